//! `--rate 100/min`: so many requests in so much time.

use serde_json::{Value, json};

/// The limit that `text` means; a message of what is accepted otherwise.
pub(super) fn rate(text: &str) -> Result<Value, String> {
    let refused = || {
        format!("{text:?} is not accepted; use requests and a time, such as 100/min, 5/s, 1000/h or 20/30s")
    };
    let (requests, time) = text.split_once('/').ok_or_else(refused)?;
    let requests: u32 = requests.trim().parse().ok().filter(|it| *it > 0).ok_or_else(refused)?;
    let time = time.trim();
    let digits = time.len() - time.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = time.split_at(digits);
    let count: u64 = if count.is_empty() { 1 } else { count.parse::<u32>().map_err(|_| refused())?.into() };
    let unit = match unit {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        _ => return Err(refused()),
    };
    match count * unit {
        per_seconds @ 1..=86_400 => Ok(json!({ "requests": requests, "per_seconds": per_seconds })),
        _ => Err(format!("{text:?} is not accepted: the time may be 1 second to 1 day")),
    }
}

/// A limit as it is shown.
pub(super) fn shown_rate(limit: &Value) -> String {
    let (Some(requests), Some(seconds)) = (limit["requests"].as_u64(), limit["per_seconds"].as_u64()) else {
        return "-".to_owned();
    };
    match seconds {
        1 => format!("{requests}/s"),
        60 => format!("{requests}/min"),
        3600 => format!("{requests}/h"),
        86_400 => format!("{requests}/day"),
        seconds => format!("{requests}/{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_shown_and_anything_else_is_told() {
        for (text, requests, per_seconds, shown) in [
            ("100/min", 100, 60, "100/min"),
            ("5/s", 5, 1, "5/s"),
            ("20/30s", 20, 30, "20/30s"),
            ("1000/1h", 1000, 3600, "1000/h"),
            ("7/day", 7, 86_400, "7/day"),
        ] {
            let read = rate(text).unwrap();
            assert_eq!(read, json!({ "requests": requests, "per_seconds": per_seconds }), "{text}");
            assert_eq!(shown_rate(&read), shown);
        }
        for wrong in ["", "100", "0/s", "x/s", "5/", "5/w", "5/2day", "5/0s", "-1/s"] {
            assert!(rate(wrong).unwrap_err().contains("not accepted"), "{wrong}");
        }
        assert_eq!(shown_rate(&Value::Null), "-");
    }
}
