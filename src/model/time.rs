//! Points in time: microseconds since 1970 UTC inside, RFC 3339 outside.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// A point in time, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// How a text without an offset is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingOffset {
    /// As UTC: what the older clients mean.
    Utc,
    /// Not at all: `/api/v1` wants it said.
    Refused,
}

/// The forms that are accepted, as told to a client that sent another.
pub const ACCEPTED_FORMS: &str = "RFC 3339 with Z or an offset (2025-01-25T10:00:00Z), compact UTC digits (20250125100000), \
     or Unix seconds as a number or digits";

/// A year 9999 bound keeps every stored time printable.
const MAX_US: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// Reads one of [`ACCEPTED_FORMS`] from a JSON value.
    ///
    /// # Errors
    /// A sentence that names the accepted forms.
    pub fn from_json(value: &serde_json::Value, offset: MissingOffset) -> Result<Self, String> {
        match value {
            serde_json::Value::String(text) => Self::parse(text, offset),
            serde_json::Value::Number(number) => {
                number.as_f64().and_then(from_unix_seconds).ok_or_else(unaccepted)
            }
            _ => Err(unaccepted()),
        }
    }

    /// Reads one of [`ACCEPTED_FORMS`] from text.
    ///
    /// # Errors
    /// A sentence that names the accepted forms.
    pub fn parse(text: &str, offset: MissingOffset) -> Result<Self, String> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.len() {
                14 => parse_compact(text).ok_or_else(unaccepted),
                1..=12 => text.parse().ok().and_then(from_unix_seconds).ok_or_else(unaccepted),
                _ => Err(unaccepted()),
            };
        }
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            return Self::from_datetime(at).ok_or_else(unaccepted);
        }
        match (offset, OffsetDateTime::parse(&format!("{}Z", text.replace(' ', "T")), &Rfc3339)) {
            (MissingOffset::Utc, Ok(at)) => Self::from_datetime(at).ok_or_else(unaccepted),
            (MissingOffset::Refused, Ok(_)) => {
                Err("has no offset: write Z for UTC, or an offset such as +01:00".to_owned())
            }
            (_, Err(_)) => Err(unaccepted()),
        }
    }

    /// The moment as a calendar date and time in UTC.
    pub fn to_datetime(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn seconds_since(self, earlier: Timestamp) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }

    /// The moment `time` later; at most the end of the year 9999.
    pub fn after(self, time: Duration) -> Timestamp {
        let us = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(us).min(MAX_US))
    }

    fn from_datetime(at: OffsetDateTime) -> Option<Self> {
        let us = i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok()?;
        (0..=MAX_US).contains(&us).then_some(Timestamp(us))
    }
}

fn unaccepted() -> String {
    format!("is not a time; accepted: {ACCEPTED_FORMS}")
}

fn from_unix_seconds(seconds: f64) -> Option<Timestamp> {
    let us = seconds * 1e6;
    (us.is_finite() && (0.0..=MAX_US as f64).contains(&us)).then_some(Timestamp(us.round() as i64))
}

fn parse_compact(text: &str) -> Option<Timestamp> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
    let byte = |from: usize| u8::try_from(part(from, from + 2)?).ok();
    let month = Month::try_from(byte(4)?).ok()?;
    let date = Date::from_calendar_date(i32::from(part(0, 4)?), month, byte(6)?).ok()?;
    let time = Time::from_hms(byte(8)?, byte(10)?, byte(12)?).ok()?;
    Timestamp::from_datetime(PrimitiveDateTime::new(date, time).assume_offset(UtcOffset::UTC))
}

/// A moment as text, on the stack.
#[derive(Debug, Clone, Copy)]
pub struct TimeText {
    bytes: [u8; 27],
    len: usize,
}

impl TimeText {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Timestamp {
    /// RFC 3339 in UTC; the fraction only where there is one.
    pub fn text(self) -> TimeText {
        self.text_with(match self.0.rem_euclid(1_000_000) {
            0 => 0,
            us if us % 1000 == 0 => 3,
            _ => 6,
        })
    }

    /// The same to the millisecond, always of one width.
    pub fn text_to_ms(self) -> TimeText {
        self.text_with(3)
    }

    /// Written by hand: every answer has a few of them, and what writes by a description reads that each time.
    fn text_with(self, fraction_digits: usize) -> TimeText {
        let seconds = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1_000_000));
        let at = seconds.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = at.to_calendar_date();
        let mut bytes = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |from: usize, digits: usize, mut number: u32| {
            for place in (from..from + digits).rev() {
                bytes[place] = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, year.unsigned_abs());
        put(5, 2, u8::from(month).into());
        put(8, 2, day.into());
        put(11, 2, at.hour().into());
        put(14, 2, at.minute().into());
        put(17, 2, at.second().into());
        put(20, 6, self.0.rem_euclid(1_000_000) as u32);
        let end = if fraction_digits == 0 { 19 } else { 20 + fraction_digits };
        bytes[end] = b'Z';
        TimeText { bytes, len: end + 1 }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Timestamp::from_json(&value, MissingOffset::Refused).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_accepted_form_means_the_same_moment() {
        let expected = Timestamp(1_737_799_200_000_000);
        for value in [
            json!("2025-01-25T10:00:00Z"),
            json!("2025-01-25T11:00:00.000+01:00"),
            json!("20250125100000"),
            json!(1_737_799_200),
            json!("1737799200"),
        ] {
            assert_eq!(Timestamp::from_json(&value, MissingOffset::Refused), Ok(expected), "{value}");
        }
        assert_eq!(Timestamp::parse("2025-01-25T10:00:00", MissingOffset::Utc), Ok(expected));
        assert!(Timestamp::parse("2025-01-25T10:00:00", MissingOffset::Refused).is_err());
    }

    #[test]
    fn anything_else_is_refused_and_told_the_forms() {
        for value in [
            json!("yesterday"),
            json!(""),
            json!("20251325100000"),
            json!(-1),
            json!(null),
            json!({}),
            json!("123456789012345"),
        ] {
            let message = Timestamp::from_json(&value, MissingOffset::Utc).unwrap_err();
            assert!(message.contains("RFC 3339"), "{value}: {message}");
        }
    }

    #[test]
    fn a_fraction_is_told_to_the_last_digit_that_says_something() {
        let texts = [0, 1, 1_000, 999_999, 1_000_000, MAX_US, -1].map(|us| Timestamp(us).to_string());
        let wanted = [
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.000001Z",
            "1970-01-01T00:00:00.001Z",
            "1970-01-01T00:00:00.999999Z",
            "1970-01-01T00:00:01Z",
            "9999-12-31T23:59:59.999999Z",
            "1969-12-31T23:59:59.999999Z",
        ];
        assert_eq!(texts, wanted);
        assert_eq!(Timestamp(1_737_799_200_000_999).text_to_ms().as_str(), "2025-01-25T10:00:00.000Z");
    }

    proptest! {
        #[test]
        fn printing_and_reading_gives_the_same_moment(us in 0..=MAX_US) {
            let text = Timestamp(us).to_string();
            prop_assert_eq!(Timestamp::parse(&text, MissingOffset::Refused), Ok(Timestamp(us)));
        }
    }
}
