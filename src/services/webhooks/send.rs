//! One request to a webhook, and what its answer means.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::error::{Error, Result};
use crate::model::call::Outcome;
use crate::model::event::Event;
use crate::model::time::Timestamp;
use crate::model::webhook::{AttemptKind, Webhook, WebhookAttempt, WebhookSecrets};
use crate::net::{Fault, Request, Response};
use crate::services::Services;

use super::secret::signatures;

/// The most that is read of an answer.
const ANSWER_BYTES: usize = 64 << 10;
/// The most that is kept of it.
const KEPT_BYTES: usize = 1 << 10;

/// Where requests go and what they are signed with.
pub(super) struct Target {
    pub(super) webhook: Webhook,
    pub(super) secrets: WebhookSecrets,
}

/// What came of a request.
pub(super) struct Sent {
    at: Timestamp,
    duration_ms: i64,
    status: Option<u16>,
    answer: Option<String>,
    /// Microseconds the receiver wants to be left alone.
    pub(super) pause_us: Option<i64>,
    /// How and why it failed.
    pub(super) failure: Option<(Outcome, String)>,
}

impl Sent {
    /// The receiver never wants to hear again.
    pub(super) fn is_gone(&self) -> bool {
        self.status == Some(410)
    }

    /// As it is noted.
    pub(super) fn attempt(&self, event: &Event, kind: AttemptKind, attempt: i32) -> WebhookAttempt {
        WebhookAttempt {
            id: 0,
            event_id: event.id.clone(),
            event_type: event.kind.clone(),
            kind,
            attempt: i64::from(attempt),
            at: self.at,
            duration_ms: self.duration_ms,
            status: self.status.map(i64::from),
            error: self.failure.as_ref().map(|(_, why)| why.clone()),
            answer: self.answer.clone(),
        }
    }
}

/// Checks where a webhook is to post to.
///
/// # Errors
/// `Invalid`: no URL, another scheme, a user name, or a host that the settings do not open.
pub(super) fn check_url(services: &Services, text: &str) -> Result<()> {
    let wrong = |why: String| Error::field("/url", why);
    let url = Url::parse(text).map_err(|why| wrong(format!("is not a URL: {why}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "must not hold a user name or password: everybody who lists webhooks sees it".to_owned(),
        ));
    }
    let client = services.webhooks.client(&services.settings).map_err(Error::internal)?;
    client.check(&url).map_err(|fault| match fault {
        Fault::Denied { why, .. } => wrong(why).with_hint(
            "Name the host in webhook_hosts (panotti.yaml) or PANOTTI_WEBHOOK_HOSTS, and restart.",
        ),
        fault => wrong(fault.to_string()),
    })
}

/// Posts `event` as `CloudEvents` JSON, signed for this moment.
pub(super) async fn send(services: &Services, target: &Target, event: &Event) -> Sent {
    let (at, began) = (services.now(), Instant::now());
    let came = post(services, target, event, at).await;
    let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let sent = Sent { at, duration_ms, status: None, answer: None, pause_us: None, failure: None };
    match came {
        Ok(response) => Sent {
            failure: refusal(&response).map(|why| (Outcome::Runtime, why)),
            pause_us: header(&response, "retry-after").and_then(|it| pause_us(it, services.now())),
            answer: kept(&response.body),
            status: Some(response.status),
            ..sent
        },
        Err(failure) => Sent { failure: Some(failure), ..sent },
    }
}

async fn post(
    services: &Services,
    target: &Target,
    event: &Event,
    now: Timestamp,
) -> std::result::Result<Response, (Outcome, String)> {
    let broken = |why: String| (Outcome::Runtime, why);
    let client = services.webhooks.client(&services.settings).map_err(broken)?;
    let url = Url::parse(&target.webhook.url).map_err(|why| broken(format!("the url is none: {why}")))?;
    let body = serde_json::to_vec(&event.to_cloud_event()).map_err(|why| broken(why.to_string()))?;
    let timestamp_s = now.0.div_euclid(1_000_000);
    let signed = signatures(&target.secrets, &event.id, timestamp_s, &body, now);
    let header = |name: &str, text: String| (name.to_owned(), text);
    let request = Request {
        method: "POST".to_owned(),
        url,
        headers: vec![
            header("content-type", "application/cloudevents+json".to_owned()),
            header("webhook-id", event.id.clone()),
            header("webhook-timestamp", timestamp_s.to_string()),
            header("webhook-signature", signed),
        ],
        body: Some(body),
        timeout: Duration::from_secs(target.webhook.timeout_s.unsigned_abs()),
        max_body_bytes: ANSWER_BYTES,
    };
    client.send_straight(request).await.map_err(|fault| match fault {
        Fault::Denied { .. } => (Outcome::Denied, fault.to_string()),
        Fault::TooSlow(_) => (Outcome::Deadline, format!("{fault} (timeout_s)")),
        fault => broken(fault.to_string()),
    })
}

/// Why an answer is none that a delivery can end with.
fn refusal(response: &Response) -> Option<String> {
    match response.status {
        200..=299 => None,
        410 => Some("it answered 410: it wants no more events".to_owned()),
        status @ 300..=399 => {
            let to = header(response, "location").map(|it| format!(" to {}", shown(it.as_bytes())));
            let to = to.unwrap_or_default();
            Some(format!(
                "it answered {status}, a redirect{to}: none is followed, change the url of the webhook"
            ))
        }
        status => Some(format!("it answered {status}")),
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(it, _)| it == name).map(|(_, text)| text.as_str())
}

/// Microseconds that `Retry-After` asks for: seconds, or a date.
fn pause_us(text: &str, now: Timestamp) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(i64::from(seconds) * 1_000_000);
    }
    let at = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    let us = i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok()?;
    Some(us.saturating_sub(now.0)).filter(|it| *it > 0)
}

/// What is kept of an answer's body.
fn kept(body: &[u8]) -> Option<String> {
    (!body.is_empty()).then(|| shown(&body[..body.len().min(KEPT_BYTES)]))
}

/// Text of somebody else, without what would confuse a terminal.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|it| if it.is_control() && !matches!(it, '\n' | '\t') { '\u{fffd}' } else { it })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let now = Timestamp(1_445_412_479_000_000);
        assert_eq!(pause_us("120", now), Some(120_000_000));
        assert_eq!(pause_us("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(1_000_000));
        assert_eq!(pause_us("Wed, 21 Oct 2015 07:27:00 GMT", now), None);
        assert_eq!(pause_us("soon", now), None);
    }

    #[test]
    fn only_2xx_is_well_and_a_redirect_says_what_to_do() {
        let response = |status, headers: &[(&str, &str)]| Response {
            status,
            headers: headers.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            body: Vec::new(),
            url: String::new(),
        };
        assert_eq!(refusal(&response(204, &[])), None);
        assert_eq!(refusal(&response(500, &[])).unwrap(), "it answered 500");
        let moved = refusal(&response(308, &[("location", "https://b.example/")])).unwrap();
        assert!(moved.contains("to https://b.example/: none is followed, change the url"), "{moved}");
    }

    #[test]
    fn what_is_kept_of_an_answer_is_short_and_harmless() {
        assert_eq!(kept(b""), None);
        assert_eq!(kept(b"a\x1b[2J\n").unwrap(), "a\u{fffd}[2J\n");
        assert_eq!(kept(&[b'x'; 5000]).unwrap().len(), KEPT_BYTES);
    }
}
