//! A cookie's text: what is escaped, what may stand in an attribute, and how a date is written.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::error::{Error, Result};

/// What `URI.encode_www_form_component` leaves alone; a space becomes `+` afterwards.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

/// Browsers ignore an attribute whose value has more bytes (RFC 6265bis, section 5.6).
const MAX_ATTRIBUTE: usize = 1_024;

/// The last second that an HTTP date can name, counted from 1970.
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string().replace(' ', "+")
}

/// As `URI.decode_www_form_component`: `+` is a space. Text that is not well escaped is taken as
/// it stands, as Rack does.
pub(super) fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    // To the end in any case: that way several bytes are looked at in a step.
    let is_escape = |byte: &u8| u8::from(*byte == b'%') | u8::from(*byte == b'+');
    let escapes = value.iter().map(is_escape).fold(0, |seen, byte| seen | byte) != 0;
    if !escapes || !is_well_escaped(value) {
        return Cow::Borrowed(value);
    }
    let spaced: Vec<u8> =
        value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

/// The text of a domain or a path, if a browser will take it.
pub(super) fn attribute(text: &str) -> Result<&str> {
    let fits = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
    if text.is_empty() || text.len() > MAX_ATTRIBUTE || !text.bytes().all(fits) {
        return Err(Error::config(
            "setting a cookie's attribute",
            "it is empty, has more than 1,024 bytes or holds what cannot stand in a header",
        ));
    }
    Ok(text)
}

/// The HTTP date of a moment; the last one there is for moments beyond it.
pub(super) fn date_after(now: SystemTime, time: Duration) -> String {
    let last = SystemTime::UNIX_EPOCH + LAST_DATE;
    httpdate::fmt_http_date(now.checked_add(time).map_or(last, |moment| moment.min(last)))
}

fn is_well_escaped(value: &[u8]) -> bool {
    value.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        value.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}
