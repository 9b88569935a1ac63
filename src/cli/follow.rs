//! Following what the server tells, until it ends or somebody does.

use std::io::Write;
use std::time::{Duration, Instant};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;

/// How often the server is asked for more.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A server that is away may come back for so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls `step` again and again, at once when it says that there is more; a server that goes away is waited for, as
/// while it restarts.
///
/// # Errors
/// What the server refuses; that it has not come back.
pub(super) fn follow(
    flags: &ClientFlags,
    mut client: Client,
    mut step: impl FnMut(&Client) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut away: Option<Instant> = None;
    loop {
        match step(&client) {
            Ok(more) => {
                if away.take().is_some() {
                    say("the server is back");
                }
                if more {
                    continue;
                }
            }
            Err(Failure::Away(why)) => {
                let since = *away.get_or_insert_with(|| {
                    say("the server does not answer any more; waiting for it");
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(Failure::Away(why));
                }
                // It may listen elsewhere when it comes back.
                if let Ok(found) = Client::find(flags) {
                    client = found;
                }
            }
            Err(failure) => return Err(failure),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Tells whoever looks on, beside the results.
pub(super) fn say(text: &str) {
    _ = writeln!(std::io::stderr(), "panotti: {text}");
}

/// Adds a parameter to a route.
pub(super) fn with(route: &mut String, name: &str, value: &str) {
    route.push(if route.contains('?') { '&' } else { '?' });
    let pair = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    route.push_str(&pair);
}
