//! What is measured without a database: ratios of times by criterion, and a share of instructions.
//!
//! What a machine has not measured keeps its last figure, in `micro.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bench_kit::Result;

/// By the names of [`MICROS`], and [`SHARE`].
pub(crate) type Ratios = BTreeMap<String, f64>;

/// Our part of a whole request's instructions in percent, from `benches/http/run.sh`.
pub(crate) const SHARE: &str = "share of a request in percent";

/// Ratios of times that criterion has measured: its folders under `target/criterion`.
pub(crate) struct Micro {
    pub(crate) name: &'static str,
    pub(crate) must: f64,
    pub(crate) moonshot: f64,
    ours: &'static str,
    /// The fastest counts.
    rivals: &'static [&'static str],
}

pub(crate) const MICROS: &[Micro] = &[
    Micro {
        name: "base64 crate, decode 4 KiB",
        must: 5.0,
        moonshot: 10.0,
        ours: "codec_base64_decode/4kb",
        rivals: &["codec_base64_decode/4kb_base64"],
    },
    Micro {
        name: "base64 crate, encode 4 KiB",
        must: 3.0,
        moonshot: 5.0,
        ours: "codec_base64_encode/4kb",
        rivals: &["codec_base64_encode/4kb_base64"],
    },
    Micro {
        name: "best Marshal crate, decode",
        must: 4.0,
        moonshot: 6.0,
        ours: "codec_marshal_decode_rails_585b/sqlbypass",
        rivals: &[
            "codec_marshal_decode_rails_585b/marshal-rs",
            "codec_marshal_decode_rails_585b/alox-48",
            "codec_marshal_decode_rails_585b/thurgood",
        ],
    },
    Micro {
        name: "serde_json Value, one key of 2 KiB",
        must: 7.0,
        moonshot: 10.0,
        ours: "codec_json_get/2kb",
        rivals: &["codec_json_get/2kb_serde_json"],
    },
    Micro {
        name: "SHA-256 with `format!`, private id",
        must: 10.0,
        moonshot: 18.0,
        ours: "id_private/ours",
        rivals: &["id_private/format"],
    },
];

/// What has been measured, the newest figure of each; the file is written anew.
pub(crate) fn update(folder: &Path, project: &Path) -> Result<Ratios> {
    let path = folder.join("micro.json");
    let mut ratios = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Ratios::new(),
    };
    for micro in MICROS {
        if let Some(ratio) = ratio(project, micro) {
            ratios.insert(micro.name.into(), (ratio * 100.0).round() / 100.0);
        }
    }
    if let Ok(text) = fs::read_to_string(project.join("benches/http/share.json")) {
        ratios.insert(SHARE.into(), serde_json::from_str(&text)?);
    }
    fs::write(&path, serde_json::to_string_pretty(&ratios)? + "\n")?;
    Ok(ratios)
}

/// Of the main package's benches, or of the codecs' own comparison.
fn ratio(project: &Path, micro: &Micro) -> Option<f64> {
    let folders = ["target/criterion", "benches/compare/codec/target/criterion"];
    folders.iter().find_map(|folder| {
        let time = |bench: &str| {
            let path = project.join(folder).join(bench).join("new/estimates.json");
            let text = fs::read_to_string(path).ok()?;
            let estimates: serde_json::Value = serde_json::from_str(&text).ok()?;
            estimates["median"]["point_estimate"].as_f64()
        };
        let best = micro.rivals.iter().filter_map(|rival| time(rival)).reduce(f64::min)?;
        Some(best / time(micro.ours)?)
    })
}
