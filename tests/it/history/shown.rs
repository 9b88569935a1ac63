//! What the server itself shows of a history.

use serde_json::Value;

use crate::common::client::Client;

/// Events of a page.
const PAGE: usize = 1000;

/// Of so many events the deliveries are asked for, too.
const SAMPLE: usize = 40;

/// What was shown when nothing was open any more.
pub struct Shown {
    /// Sequence and id of all events of the history.
    pub events: Vec<(i64, String)>,
    /// The statistics.
    pub stats: Value,
    /// Some events as they are shown alone, with their deliveries.
    pub details: Vec<Value>,
}

impl Shown {
    pub fn ask(client: &Client) -> Shown {
        let mut events = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("/api/v1/events?type=history.**&limit={PAGE}&after={after}");
            let page = client.get(&path).expect(200);
            for it in page["items"].as_array().unwrap() {
                let seq = it["sequence"].as_str().unwrap().parse().unwrap();
                events.push((seq, it["id"].as_str().unwrap().to_owned()));
            }
            match page["next"].as_i64() {
                Some(next) => after = next,
                None => break,
            }
        }
        let some = events.iter().step_by((events.len() / SAMPLE).max(1));
        let details = some.map(|(_, id)| client.get(&format!("/api/v1/events/{id}")).expect(200)).collect();
        Shown { details, stats: client.get("/api/v1/events/stats").expect(200), events }
    }
}
