//! What does not show from outside without waiting for days.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::ManualClock;
use crate::config::Settings;
use crate::events::{EventDraft, Journal, Subscriber};
use crate::hooks::Dispatcher;
use crate::model::call::Caller;
use crate::model::event::Event;
use crate::model::time::Timestamp;
use crate::model::webhook::{AttemptKind, WebhookAttempt, subscriber};
use crate::store::{Store, StoreOptions};

use super::*;

const NOW_US: i64 = 1_737_799_200_000_000;
const DAY_US: i64 = 86_400_000_000;

struct Rig {
    _folder: tempfile::TempDir,
    services: Services,
    clock: Arc<ManualClock>,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            data_dir: folder.path().to_owned(),
            recordings_dir: folder.path().to_owned(),
            webhook_hosts: vec!["127.0.0.1".into()],
            ..Settings::default()
        };
        let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::at(folder.path().join("t.db")) };
        let store = Store::open(&options).unwrap();
        let clock = Arc::new(ManualClock::at(NOW_US));
        let hooks = Dispatcher::new(Duration::from_secs(3));
        let journal = Journal::new(hooks.clone(), clock.clone(), 8);
        let services = Services::new(store, journal, hooks, clock.clone(), Arc::new(settings)).unwrap();
        Rig { _folder: folder, services, clock }
    }

    async fn webhook(&self, events: &[&str]) -> String {
        let body = json!({ "name": "x", "url": "http://127.0.0.1:9/", "events": events });
        let made = create(&self.services, "key/1", body.as_object().unwrap().clone(), None).await.unwrap();
        made.webhook.id
    }

    async fn noted(&self, id: &str, error: Option<&str>) -> Webhook {
        let attempt = WebhookAttempt {
            id: 0,
            event_id: "e".into(),
            event_type: "a.b".into(),
            kind: AttemptKind::Delivery,
            attempt: 1,
            at: self.services.now(),
            duration_ms: 1,
            status: None,
            error: error.map(str::to_owned),
            answer: None,
        };
        noting::note(&self.services, id, attempt, false).await;
        get(&self.services, id).unwrap()
    }

    /// Publishes an event; who is told of it.
    async fn told(&self, kind: &str) -> (Event, Vec<String>) {
        let (journal, kind) = (self.services.journal.clone(), kind.to_owned());
        let draft = EventDraft::new(&kind, "s", Value::Null);
        let publish = move |tx: &mut crate::store::Tx| journal.publish(tx, draft, &Caller::server());
        let event = self.services.store.write(publish).await.unwrap();
        let names = self.services.journal.subscribers().of(&event);
        (event, names.iter().map(|it| it.to_string()).collect())
    }
}

#[tokio::test]
async fn a_webhook_of_which_nothing_went_well_for_five_days_is_switched_off_and_everybody_told() {
    let rig = Rig::new();
    let (id, other) = (rig.webhook(&["**"]).await, rig.webhook(&["webhook.*"]).await);
    assert_eq!(rig.noted(&id, Some("no")).await.failing_since, Some(Timestamp(NOW_US)));
    rig.clock.advance_us(4 * DAY_US);
    let still = rig.noted(&id, Some("no")).await;
    assert!(still.enabled && still.failing_since == Some(Timestamp(NOW_US)));
    assert_eq!(rig.noted(&id, None).await.failing_since, None, "one success and it begins anew");
    rig.noted(&id, Some("no")).await;
    rig.clock.advance_us(5 * DAY_US);
    let off = rig.noted(&id, Some("it answered 500")).await;
    assert!(!off.enabled);
    let reason = off.disabled_reason.unwrap();
    assert!(
        reason.starts_with("nothing went well since 2025-01-29T10:00:00Z; the last time: it answered 500"),
        "{reason}"
    );

    assert!(rig.told("a.b").await.1.is_empty(), "it is told no more");
    let events = rig.services.store.read(|r| r.events_about(&subscriber(&id), 9)).unwrap();
    assert_eq!(events[0].kind, "webhook.disabled");
    let told = rig.services.journal.subscribers().of(&events[0]);
    assert_eq!(told, [subscriber(&other).into()], "others are told of it, not itself");
    let acts = rig.services.store.read(|r| r.list_audit(&Default::default(), 1)).unwrap();
    assert_eq!((&*acts[0].actor, &*acts[0].action), ("server", "webhook.disable"));

    let on = json!({ "enabled": true });
    let on = update(&rig.services, "key/1", &id, on.as_object().unwrap().clone(), None).await.unwrap();
    assert_eq!((on.enabled, on.disabled_reason, on.failing_since), (true, None, None));
    assert_eq!(rig.told("a.b").await.1, [subscriber(&id)]);
    unload(&rig.services);
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_pause_has_it_up_to_a_day() {
    let rig = Rig::new();
    let id = rig.webhook(&["a.b"]).await;
    let (event, _) = rig.told("a.b").await;
    let webhook = get(&rig.services, &id).unwrap();
    let secrets = rig.services.store.read(|r| r.webhook_secrets(&id)).unwrap().unwrap();
    let told = subscriber::told_for_tests(&rig.services, send::Target { webhook, secrets });
    for (asked, waits) in [(60_000_000, 60_000_000), (1_000_000, 5_000_000), (9 * DAY_US, DAY_US)] {
        rig.services.webhooks.pause(&id, &event.id, asked);
        assert_eq!(told.retry_us(&event, 1, 0.5), Some(waits));
        assert_eq!(told.retry_us(&event, 1, 0.5), Some(5_000_000), "once");
    }
    unload(&rig.services);
}
