//! Every row of the Marshal fixtures.

use serde_json::Value as Json;
use sqlbypass::Serializer;

use super::fixtures::{base64, comparable, dump, name, rows};

fn describe(bytes: &[u8]) -> Result<Json, String> {
    let json = Serializer::Marshal.to_json(&base64(bytes), true).map_err(|e| e.to_string())?;
    Ok(serde_json::from_str(&json).unwrap())
}

#[test]
fn every_value_reads_as_ruby_describes_it() {
    let mut bad = 0;
    for file in ["values.jsonl", "rails.jsonl"] {
        for row in rows(file) {
            if row["value"].is_null() {
                continue;
            }
            let ours = describe(&dump(&row));
            let theirs = comparable(row["value"].clone());
            if ours.as_ref() != Ok(&theirs) {
                bad += 1;
                let show = |text: String| text.chars().take(700).collect::<String>();
                println!(
                    "{file} {}\n  ours   {}\n  theirs {}",
                    name(&row),
                    show(format!("{:?}", ours.map(|j| j.to_string()))),
                    show(theirs.to_string())
                );
            }
        }
    }
    assert_eq!(bad, 0);
}
