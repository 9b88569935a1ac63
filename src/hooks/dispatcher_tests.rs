use serde_json::json;

use super::*;
use crate::error::ScriptFault;
use crate::hooks::{HookHandler, Registration, Subscription};
use crate::model::event::Priority;
use crate::model::time::Timestamp;

type Act = Box<dyn Fn(&HookCall) -> std::result::Result<Answer, Outcome> + Send + Sync>;

/// A plugin that is a closure.
struct Closure {
    name: Arc<str>,
    act: Act,
    takes: Duration,
}

impl HookHandler for Closure {
    fn plugin(&self) -> &Arc<str> {
        &self.name
    }

    fn call(&self, call: HookCall) -> super::super::CallFuture<'_> {
        let answer = (self.act)(&call);
        let takes = self.takes;
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            let failure = |outcome| CallFailure { outcome, fault: ScriptFault::default(), generation: 1 };
            answer.map(|answer| Reply { answer, generation: 1, ..Reply::default() }).map_err(failure)
        })
    }
}

fn registration(hook: Hook) -> Registration {
    Registration {
        hook,
        slot: 0,
        priority: 0,
        before: Vec::new(),
        after: Vec::new(),
        timeout: None,
        on_error: OnError::Allow,
        when: None,
    }
}

fn member(
    name: &str,
    registration: Registration,
    act: impl Fn(&HookCall) -> std::result::Result<Answer, Outcome> + Send + Sync + 'static,
) -> Member {
    let handler = Closure { name: name.into(), act: Box::new(act), takes: Duration::ZERO };
    Member {
        handler: Arc::new(handler),
        dependencies: Vec::new(),
        registrations: vec![registration],
        subscriptions: Vec::new(),
    }
}

fn patch_of(value: Value) -> std::result::Result<Answer, Outcome> {
    Ok(Answer::Patch(value.as_object().unwrap().clone()))
}

fn dispatcher(members: Vec<Member>) -> Dispatcher {
    let dispatcher = Dispatcher::new(Duration::from_millis(200));
    dispatcher.replace(Table::new(members));
    dispatcher
}

async fn ask(dispatcher: &Dispatcher, hook: Hook) -> Result<Asked> {
    let payload = json!({"title": "first", "metadata": {}, "tags": []}).as_object().unwrap().clone();
    dispatcher.ask(hook, payload, &Caller::server(), &|_| Ok(())).await
}

#[tokio::test]
async fn each_plugin_sees_what_the_former_made_of_the_payload() {
    let add = |word: &'static str| {
        move |call: &HookCall| {
            patch_of(json!({"title": format!("{} {word}", call.payload.json()["title"].as_str().unwrap())}))
        }
    };
    let (mut a, b) = (registration(Hook::OnClipCaptured), registration(Hook::OnClipCaptured));
    a.priority = -1;
    let both = dispatcher(vec![member("a", a, add("last")), member("b", b, add("then"))]);
    let asked = ask(&both, Hook::OnClipCaptured).await.unwrap();
    assert_eq!(asked.payload.json()["title"], "first then last");
    let changes: Vec<_> = asked.changes.iter().map(|(at, who)| (at.as_str(), &**who)).collect();
    assert_eq!(changes, [("/title", "b"), ("/title", "a")]);
}

#[tokio::test]
async fn a_refusal_ends_the_chain_with_the_plugins_reason_and_status() {
    let deny = |_: &HookCall| Ok(Answer::Deny { reason: "not at night".into(), status: Some(403) });
    let one = dispatcher(vec![member("quiet", registration(Hook::BeforeRecordingStart), deny)]);
    let error = ask(&one, Hook::BeforeRecordingStart).await.unwrap_err();
    assert_eq!((error.code, error.status()), (Code::HookDenied, 403));
    assert_eq!(error.detail, "plugin `quiet`: not at night");
    let caller = Caller { unrefusable: true, ..Caller::server() };
    assert!(one.ask(Hook::BeforeRecordingStart, Map::new(), &caller, &|_| Ok(())).await.is_ok());
}

#[tokio::test]
async fn a_broken_plugin_costs_nothing_unless_it_is_a_gate_that_fails_closed() {
    for (on_error, refused) in [(OnError::Allow, false), (OnError::Deny, true)] {
        let mut gate = registration(Hook::BeforeRecordingStart);
        gate.on_error = on_error;
        let one = dispatcher(vec![member("gate", gate, |_| Err(Outcome::Runtime))]);
        assert_eq!(ask(&one, Hook::BeforeRecordingStart).await.is_err(), refused);
    }
}

#[tokio::test]
async fn what_a_hook_may_not_change_is_dropped_and_the_rest_applies() {
    let wanted = |_: &HookCall| patch_of(json!({"id": "forged", "title": "mine", "duration": 1}));
    let one = dispatcher(vec![member("a", registration(Hook::OnClipCaptured), wanted)]);
    let asked = ask(&one, Hook::OnClipCaptured).await.unwrap();
    assert_eq!(**asked.payload.json(), json!({"title": "mine", "metadata": {}, "tags": []}));
}

#[tokio::test]
async fn a_patch_of_a_wrong_type_is_dropped_whole() {
    let wanted = |_: &HookCall| patch_of(json!({"title": 5, "tags": ["x"]}));
    let one = dispatcher(vec![member("a", registration(Hook::OnClipCaptured), wanted)]);
    let check = |payload: &Map<String, Value>| match payload["title"].is_string() {
        true => Ok(()),
        false => Err("title must be a string".to_owned()),
    };
    let given = json!({"title": "first", "tags": []}).as_object().unwrap().clone();
    let asked = one.ask(Hook::OnClipCaptured, given.clone(), &Caller::server(), &check).await.unwrap();
    assert_eq!(asked.payload.into_map(), given);
    assert!(asked.changes.is_empty());
}

#[tokio::test]
async fn those_the_time_does_not_reach_are_named() {
    let mut slow = member("a", registration(Hook::OnClipCaptured), |_| Ok(Answer::Nothing));
    let handler = Closure {
        name: "a".into(),
        act: Box::new(|_| Ok(Answer::Nothing)),
        takes: Duration::from_millis(300),
    };
    slow.handler = Arc::new(handler);
    let late = member("b", registration(Hook::OnClipCaptured), |_| patch_of(json!({"title": "late"})));
    let asked = ask(&dispatcher(vec![slow, late]), Hook::OnClipCaptured).await.unwrap();
    assert_eq!(asked.unasked, [(Arc::from("b"), 0)]);
    assert_eq!(asked.payload.json()["title"], "first");
}

#[tokio::test]
async fn a_filter_keeps_a_hook_from_being_called() {
    let mut picky = registration(Hook::OnClipCaptured);
    let rule = json!({"title": "other"});
    picky.when = Some(
        super::super::when::When::parse(rule.as_object().unwrap(), Hook::OnClipCaptured.info().payload)
            .unwrap(),
    );
    let one = dispatcher(vec![member("a", picky, |_| patch_of(json!({"title": "changed"})))]);
    assert_eq!(ask(&one, Hook::OnClipCaptured).await.unwrap().payload.json()["title"], "first");
}

#[tokio::test]
async fn an_event_reaches_hook_and_subscription_of_a_plugin_in_one_delivery() {
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let mut both = member("a", registration(Hook::AfterRecordingEnd), move |call| {
        note.lock().push((call.ctx.hook, call.payload.json().get("type").cloned(), call.ctx.attempt));
        Ok(Answer::Nothing)
    });
    both.subscriptions.push(Subscription {
        past: None,
        pattern: "recording.*".into(),
        slot: 1,
        priority: 5,
        timeout: None,
        max_attempts: None,
        when: None,
    });
    let other = member("b", registration(Hook::OnClipDeleted), |_| Ok(Answer::Nothing));
    let dispatcher = dispatcher(vec![both, other]);
    let event = Event {
        id: "e1".into(),
        kind: "recording.ended".into(),
        source: "panotti".into(),
        subject: Some("recording/r".into()),
        time: Timestamp(0),
        data: json!({"id": "r"}).into(),
        correlation_id: "c".into(),
        causation_id: None,
        priority: Priority::Normal,
        depth: 0,
        expires_at: None,
        plugins: Arc::default(),
        traceparent: None,
    };
    assert_eq!(dispatcher.table().subscribers(&event), [Arc::from("a")]);
    dispatcher.tell("a", &event, 2, false).await.unwrap();
    let seen = seen.lock().clone();
    assert_eq!(seen, [("event", Some(json!("recording.ended")), 2), ("after_recording_end", None, 2)]);
    let gone = dispatcher.tell("gone", &event, 1, false).await.unwrap_err();
    assert_eq!(gone.outcome, Outcome::Skipped);
}
