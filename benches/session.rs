//! The session that the codecs are measured with.

/// A session of 2 KiB: what Rails and Devise keep, a cart, and texts.
pub(crate) fn session() -> String {
    let items: Vec<String> = (0..12)
        .map(|n| {
            format!(r#"{{"sku":"A-{n}","qty":{n},"price":{n}.99,"name":"item number {n} \u00e9"}}"#)
        })
        .collect();
    let text = format!(
        concat!(
            r#"{{"value":{{"_csrf_token":"c0bXn0H5vJqv1M4Yq1rVtK2l3m4n5o6p7q8r9s0t1u8=","#,
            r#""warden.user.user.key":[[42],"$2a$11$abcdefghijklmnopqrstuu"],"#,
            r#""warden.user.user.session":{{"last_request_at":1700000000}},"#,
            r#""flash":{{"discard":[],"flashes":{{"notice":"Signed in successfully."}}}},"#,
            r#""user_return_to":"/orders?page=2","cart":[{}],"note":"{}","locale":"de"}}}}"#
        ),
        items.join(","),
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit. ".repeat(16),
    );
    assert!((1_900..2_200).contains(&text.len()), "{}", text.len());
    text
}
