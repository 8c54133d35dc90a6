//! Times and sizes for people.

use std::time::SystemTime;

/// `2026-01-31T12:00:00Z`, to the second.
pub(super) fn rfc3339(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(jiff::Timestamp::from_second(time.as_second()).ok()?.to_string())
}

/// The same, or a dash.
pub(super) fn or_dash(time: Option<SystemTime>) -> String {
    time.and_then(rfc3339).unwrap_or_else(|| "-".into())
}

/// `2026-01-31`.
pub(super) fn day(time: SystemTime) -> String {
    or_dash(Some(time)).chars().take(10).collect()
}

/// `512 B`, `1.5 KiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            let digits = usize::from(unit != "B" && size < 10.0);
            return format!("{size:.digits$} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_and_sizes_read_well() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_382_341_500);
        assert_eq!(rfc3339(time).unwrap(), "2026-11-22T21:19:01Z");
        assert_eq!(day(time), "2026-11-22");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
    }
}
