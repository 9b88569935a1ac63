//! `--expires 30d`: how long from now, or until when.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// The moment that `text` means, seen from `now`, in RFC 3339; a message of what is accepted otherwise.
pub(super) fn expires_at(text: &str, now: OffsetDateTime) -> Result<String, String> {
    let refused = || {
        format!(
            "{text:?} is not accepted; use a time from now such as 12h, 30d or 8w, or a moment such as 2030-01-31T00:00:00Z"
        )
    };
    let at = match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(at) => at,
        Err(_) => from_now(text).and_then(|span| now.checked_add(span)).ok_or_else(refused)?,
    };
    if at <= now {
        return Err(format!("{text:?} is in the past"));
    }
    at.to_offset(time::UtcOffset::UTC)
        .replace_nanosecond(0)
        .unwrap_or(at)
        .format(&Rfc3339)
        .map_err(|_| refused())
}

fn from_now(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let count: i64 = text[..text.len() - unit.len_utf8()].parse::<u32>().ok()?.into();
    match unit {
        'm' => Some(Duration::minutes(count)),
        'h' => Some(Duration::hours(count)),
        'd' => Some(Duration::days(count)),
        'w' => Some(Duration::weeks(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_moments_are_accepted_and_anything_else_is_told() {
        let now = OffsetDateTime::parse("2026-01-25T10:00:00.5Z", &Rfc3339).expect("a moment");
        let at = |text: &str| expires_at(text, now);
        assert_eq!(at("30d").as_deref(), Ok("2026-02-24T10:00:00Z"));
        assert_eq!(at("90m").as_deref(), Ok("2026-01-25T11:30:00Z"));
        assert_eq!(at("2030-01-01T02:00:00+02:00").as_deref(), Ok("2030-01-01T00:00:00Z"));
        for wrong in
            ["", "soon", "30", "d", "-3d", "0d", "99999999999d", "4000000000w", "3µ", "2020-01-01T00:00:00Z"]
        {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
