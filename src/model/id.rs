//! Ids that clients may choose, and those we make.

use std::cell::RefCell;
use std::time::SystemTime;

use uuid::{Builder, Uuid};

use super::time::Timestamp;

/// The longest id, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Checks a recording id: 1..128 of `[A-Za-z0-9._-]`, not starting with a dot.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check_id(id: &str) -> Result<(), String> {
    let fits = (1..=MAX_ID_BYTES).contains(&id.len());
    let shaped = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits && shaped && !id.starts_with('.') {
        return Ok(());
    }
    Err("must be 1 to 128 characters of A-Z a-z 0-9 . _ - and not start with a dot".to_owned())
}

/// Checks a track's name: `[a-z0-9_-]{1,64}`.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check_track_name(name: &str) -> Result<(), String> {
    let shaped =
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    if (1..=64).contains(&name.len()) && shaped {
        return Ok(());
    }
    Err("must be 1 to 64 characters of a-z 0-9 _ -".to_owned())
}

/// Whether `name` can be a plugin's: `[a-z0-9][a-z0-9_-]{0,63}`.
pub fn is_plugin_name(name: &str) -> bool {
    check_track_name(name).is_ok() && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// A new recording id such as `20250125100000_4AFEA8B6`: the UTC second, 20 bits for the microsecond in it, and 12 random
/// ones. So ids are in the order of their time: what is looked up by them lies together, and is written together.
pub fn new_recording_id(at: Timestamp, random: u32) -> String {
    let within = (at.0.rem_euclid(1_000_000) as u32) << 12 | random & 0xFFF;
    let at = at.to_datetime();
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}_{within:08X}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// A new event id: unique, and greater than all that this process made before, also within one millisecond.
pub fn new_event_id() -> String {
    Uuid::now_v7().to_string()
}

/// A new id of a request or a trace: 32 hexadecimal digits, unique, in the order of their milliseconds.
pub fn new_request_id() -> uuid::fmt::Simple {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let id = random_bytes().map_or_else(Uuid::now_v7, |it| {
        Builder::from_unix_timestamp_millis(now.as_millis() as u64, &it).into_uuid()
    });
    id.simple()
}

/// Bytes nobody can guess, of a store of the thread: asking the system for each id is a system call. None when it has none.
pub fn random_bytes<const COUNT: usize>() -> Option<[u8; COUNT]> {
    thread_local! {
        static STORE: RefCell<(usize, [u8; 1000])> = const { RefCell::new((1000, [0; 1000])) };
    }
    STORE.with_borrow_mut(|(used, store)| {
        if store.len() - *used < COUNT {
            getrandom::fill(store).ok()?;
            *used = 0;
        }
        let part = store[*used..].first_chunk_mut::<COUNT>()?;
        *used += COUNT;
        // What was given is not kept.
        Some(std::mem::replace(part, [0; COUNT]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_leave_their_folder_or_break_a_url_are_refused() {
        for id in ["", "..", "../x", ".hidden", "a/b", "a b", "ä", "a\0", &"x".repeat(129)] {
            assert!(check_id(id).is_err(), "{id:?}");
        }
        for id in ["a", "20250125100000_4AFEA8B6", "rec-1.2_x", &"x".repeat(128)] {
            assert!(check_id(id).is_ok(), "{id:?}");
        }
    }

    #[test]
    fn generated_ids_carry_the_second_and_are_valid() {
        let id = new_recording_id(Timestamp(1_737_799_200_307_178), 0x9999_98B6);
        assert_eq!(id, "20250125100000_4AFEA8B6");
        assert!(check_id(&id).is_ok());
    }

    #[test]
    fn generated_ids_are_in_the_order_of_their_microseconds() {
        let at = |us: i64| new_recording_id(Timestamp(1_737_799_200_000_000 + us), (us * 77) as u32);
        let ids: Vec<String> = [0, 1, 2, 999, 500_000, 999_999, 1_000_000, 60_000_000].map(at).into();
        assert!(ids.is_sorted_by(|before, after| before < after), "{ids:?}");
    }

    #[test]
    fn random_bytes_are_not_given_twice() {
        let all: std::collections::HashSet<[u8; 12]> = (0..1_000).filter_map(|_| random_bytes()).collect();
        assert_eq!(all.len(), 1_000);
        assert!(!all.contains(&[0; 12]));
    }

    #[test]
    fn ids_of_events_have_one_order_and_those_of_requests_are_unique() {
        let events: Vec<String> = (0..5_000).map(|_| new_event_id()).collect();
        assert!(events.is_sorted_by(|before, after| before < after));
        let requests: std::collections::HashSet<String> =
            (0..5_000).map(|_| new_request_id().to_string()).collect();
        assert_eq!(requests.len(), 5_000);
        let is_v7 = |it: &String| Uuid::parse_str(it).is_ok_and(|it| it.get_version_num() == 7);
        assert!(events.iter().chain(&requests).all(is_v7));
    }

    #[test]
    fn plugin_names_are_lower_case_and_start_with_a_letter_or_digit() {
        assert!(is_plugin_name("quiet_hours") && is_plugin_name("2fast"));
        assert!(
            !is_plugin_name("_x")
                && !is_plugin_name("Quiet")
                && !is_plugin_name("")
                && !is_plugin_name(".git")
        );
    }
}
