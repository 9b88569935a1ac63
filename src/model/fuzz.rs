//! Whatever text: a time that is read is written as it was, a pattern means what it says.

use crate::fuzz;

use super::event::{check_event_type, check_pattern, pattern_matches};
use super::time::{MissingOffset, Timestamp};

#[test]
fn times() {
    const WORDS: &[&str] =
        &["T", "Z", "+23:59", "-00:00", ":60", ".999999999", "0000", "9999", "-02-29", " ", "24:", "\u{a0}"];
    fuzz::run("time", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let strict = Timestamp::parse(&text, MissingOffset::Refused);
        let lenient = Timestamp::parse(&text, MissingOffset::Utc);
        if let Ok(at) = strict {
            assert_eq!(lenient, Ok(at));
        }
        let Ok(at) = lenient else { return };
        let written = at.to_string();
        assert_eq!(Timestamp::parse(&written, MissingOffset::Refused), Ok(at), "{text:?} as {written}");
        assert!(at.0 >= 0 && written.len() >= 20 && written.ends_with('Z'));
        assert_eq!(serde_json::from_value::<Timestamp>(serde_json::to_value(at).unwrap()).unwrap(), at);
    });
}

#[test]
fn patterns() {
    fuzz::run("pattern", &["*", "**", ".", "a", "recording", "ended", "_", "0", ".*", ".**"], |input| {
        let (pattern, kind) = fuzz::halves(input);
        let is_pattern = check_pattern(&pattern).is_ok();
        if check_event_type(&kind).is_err() || !is_pattern {
            // Never asked, but it must not do harm either.
            let _ = pattern_matches(&pattern, &kind);
            return;
        }
        let (wanted, given): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), kind.split('.').collect());
        assert_eq!(pattern_matches(&pattern, &kind), plainly(&wanted, &given), "{pattern} {kind}");
    });
}

fn plainly(wanted: &[&str], given: &[&str]) -> bool {
    match (wanted, given) {
        (["**"], _) => true,
        ([], []) => true,
        ([first, wanted @ ..], [word, given @ ..]) => {
            (*first == "*" || first == word) && plainly(wanted, given)
        }
        _ => false,
    }
}
