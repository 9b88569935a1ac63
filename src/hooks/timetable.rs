//! When schedules run: pure arithmetic over times.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use super::offer::ScheduleWhen;

/// The shortest time between two runs, in seconds.
pub const SHORTEST_S: f64 = 1.0;

/// The longest time between two runs, in seconds: a year.
pub const LONGEST_S: f64 = 366.0 * 86_400.0;

impl ScheduleWhen {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// A sentence for the script's author.
    pub fn check(&self) -> Result<(), String> {
        match self {
            ScheduleWhen::Every(seconds) if (SHORTEST_S..=LONGEST_S).contains(seconds) => Ok(()),
            ScheduleWhen::Every(seconds) => Err(format!(
                "must be {SHORTEST_S} to {LONGEST_S} seconds, got {seconds}; write such as 300 (every 5 minutes)"
            )),
            ScheduleWhen::Cron { expression, tz } => {
                let (cron, zone) = (parse(expression)?, zone(tz)?);
                let now = Utc::now().with_timezone(&zone);
                let next = cron.find_next_occurrence(&now, false);
                next.map(drop).map_err(|_| {
                    format!("'{expression}' never comes true: no such month has that day; {EXAMPLE}")
                })
            }
        }
    }

    /// The first run after `after_us` (microseconds since 1970 UTC); none when there never is one.
    pub fn first_after(&self, after_us: i64) -> Option<i64> {
        match self {
            ScheduleWhen::Every(seconds) => Some(after_us.saturating_add(interval_us(*seconds))),
            ScheduleWhen::Cron { expression, tz } => {
                let after = DateTime::<Utc>::from_timestamp_micros(after_us)?.with_timezone(&zone(tz).ok()?);
                let next = parse(expression).ok()?.find_next_occurrence(&after, false).ok()?;
                Some(next.timestamp_micros())
            }
        }
    }

    /// The run after the one due at `due_us`, later than `now_us`: intervals keep their beat, missed ones are passed over.
    pub fn next(&self, due_us: i64, now_us: i64) -> Option<i64> {
        match self {
            ScheduleWhen::Every(seconds) => {
                let step = interval_us(*seconds);
                let behind = now_us.saturating_sub(due_us).max(0);
                Some(due_us.saturating_add(step.saturating_mul(behind / step + 1)))
            }
            ScheduleWhen::Cron { .. } => self.first_after(now_us.max(due_us)),
        }
    }

    /// How many runs lie from `due_us` to `now_us`, at most `most`.
    pub fn count_due(&self, due_us: i64, now_us: i64, most: u32) -> u32 {
        match self {
            ScheduleWhen::Every(seconds) if due_us <= now_us => {
                u32::try_from((now_us - due_us) / interval_us(*seconds) + 1).unwrap_or(most).min(most)
            }
            ScheduleWhen::Every(_) => 0,
            ScheduleWhen::Cron { .. } => {
                let (mut at, mut count) = (Some(due_us), 0);
                while let Some(due) = at.filter(|it| *it <= now_us && count < most) {
                    count += 1;
                    at = self.first_after(due);
                }
                count
            }
        }
    }

    /// Whether `next_us` lies further ahead than any run can: the wall clock was set back.
    pub fn is_astray(&self, next_us: i64, now_us: i64) -> bool {
        match self {
            ScheduleWhen::Every(seconds) => next_us.saturating_sub(now_us) > interval_us(*seconds),
            ScheduleWhen::Cron { .. } => self.first_after(now_us).is_some_and(|it| it < next_us),
        }
    }
}

fn interval_us(seconds: f64) -> i64 {
    ((seconds * 1e6) as i64).max(1)
}

fn parse(expression: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).build();
    parser.parse(expression).map_err(|error| {
        let why = wrong_field(&parser, expression).unwrap_or_else(|| error.to_string());
        format!("'{expression}' is no cron expression: {why}; {EXAMPLE}")
    })
}

/// Ends every sentence about a wrong expression.
const EXAMPLE: &str = "write such as '30 3 * * *' (every day at 03:30) or '*/15 * * * 1-5' (every 15 minutes from Monday to Friday)";

/// The fields of an expression, the optional one first, and what each takes.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0-59"),
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31 or L"),
    ("month", "1-12 or JAN-DEC"),
    ("day of the week", "0-7 or SUN-SAT"),
];

/// Which field is wrong, found by reading each alone.
fn wrong_field(parser: &CronParser, expression: &str) -> Option<String> {
    let given: Vec<&str> = expression.split_whitespace().collect();
    let first = FIELDS.len().checked_sub(given.len()).filter(|it| *it <= 1);
    let Some(first) = first else {
        let plural = if given.len() == 1 { "" } else { "s" };
        return Some(format!(
            "it has {} field{plural}; it takes minute, hour, day of the month, month, day of the week, and may begin with the second",
            given.len()
        ));
    };
    let names = &FIELDS[first..];
    let wrong = given.iter().enumerate().find(|(at, field)| {
        let mut alone = vec!["*"; given.len()];
        alone[*at] = field;
        parser.parse(&alone.join(" ")).is_err()
    })?;
    let (name, takes) = names[wrong.0];
    Some(format!("the {name} is '{}' and takes {takes}, *, lists and steps", wrong.1))
}

fn zone(tz: &str) -> Result<Tz, String> {
    Tz::from_str(tz).map_err(|_| format!("'{tz}' is no time zone; use one such as Europe/Berlin"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::time::{MissingOffset, Timestamp};

    fn at(text: &str) -> i64 {
        Timestamp::parse(text, MissingOffset::Refused).unwrap().0
    }

    fn cron(expression: &str, tz: &str) -> ScheduleWhen {
        ScheduleWhen::Cron { expression: expression.to_owned(), tz: tz.to_owned() }
    }

    #[test]
    fn a_daily_run_keeps_its_hour_through_both_changes_of_the_clock() {
        let daily = cron("30 7 * * *", "Europe/Berlin");
        let spring = daily.first_after(at("2026-03-28T12:00:00Z")).unwrap();
        assert_eq!(Timestamp(spring).to_string(), "2026-03-29T05:30:00Z");
        let autumn = daily.first_after(at("2026-10-24T12:00:00Z")).unwrap();
        assert_eq!(Timestamp(autumn).to_string(), "2026-10-25T06:30:00Z");
        // 02:30 is left out in spring and comes twice in autumn; a run comes once a day all the same.
        let night = cron("30 2 * * *", "Europe/Berlin");
        for day in ["2026-03-28T03:00:00Z", "2026-10-24T03:00:00Z"] {
            let first = night.first_after(at(day)).unwrap();
            let second = night.first_after(first).unwrap();
            let hours = (second - first) as f64 / 3.6e9;
            assert!((22.0..=26.0).contains(&hours), "{hours}");
        }
    }

    #[test]
    fn wrong_expressions_and_zones_are_told() {
        for (expression, told) in [
            ("61 * * * *", "'61 * * * *' is no cron expression: the minute is '61' and takes 0-59"),
            ("0 * * * * mo", "the day of the week is 'mo' and takes 0-7 or SUN-SAT"),
            ("* * * *", "it has 4 fields; it takes minute, hour"),
            ("", "it has 0 fields"),
            ("0 0 30 2 *", "never comes true"),
        ] {
            let why = cron(expression, "UTC").check().unwrap_err();
            assert!(why.contains(told) && why.contains("write such as '30 3 * * *'"), "{why}");
        }
        assert!(cron("* * * * *", "Mars").check().unwrap_err().contains("is no time zone"));
        assert!(cron("0 0 30 2 *", "UTC").check().is_err(), "never comes true");
        assert!(cron("*/5 * * * * *", "UTC").check().is_ok(), "six fields have seconds");
        for seconds in [0.0, -1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert!(ScheduleWhen::Every(seconds).check().is_err(), "{seconds}");
        }
    }

    #[test]
    fn missed_runs_are_counted_and_a_clock_set_back_is_seen() {
        let minute = ScheduleWhen::Every(60.0);
        assert_eq!(minute.count_due(0, 180_000_000, 100), 4);
        assert_eq!(cron("* * * * *", "UTC").count_due(0, 180_000_000, 100), 4);
        assert_eq!(minute.count_due(0, i64::MAX / 2, 100), 100);
        assert!(minute.is_astray(120_000_000, 0) && !minute.is_astray(60_000_000, 0));
        assert!(cron("* * * * *", "UTC").is_astray(86_400_000_000, 1));
    }

    proptest! {
        #[test]
        fn intervals_keep_their_beat(seconds in 1u32..10_000, due in 0i64..1_000_000_000_000, late in 0i64..1_000_000_000_000) {
            let when = ScheduleWhen::Every(f64::from(seconds));
            let next = when.next(due, due + late).unwrap();
            prop_assert!(next > due + late && next <= due + late + i64::from(seconds) * 1_000_000);
            prop_assert_eq!((next - due) % (i64::from(seconds) * 1_000_000), 0);
        }
    }
}
