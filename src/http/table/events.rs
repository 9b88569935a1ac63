//! Events, webhooks, replays.

use crate::error::Code::*;
use crate::model::replay::Replay;
use crate::model::webhook::{Webhook, WebhookAttempt};
use crate::services::event_schemas::EventSchemaRow;
use crate::services::events::trace::Trace;
use crate::services::events::{EventStats, EventTypePage, SubscriptionView};
use crate::services::webhooks::{Made, Redelivery};

use crate::http::openapi::bodies::*;
use crate::http::openapi::schema::{items, object, of};
use crate::http::route::Gives::{Events, Json, Nothing};
use crate::http::route::Takes::{self, JsonOrNothing};
use crate::http::route::{Route, delete, get, patch, post, put};
use crate::http::{event_publish, event_replays, event_schemas, event_stream, events, webhooks};

use super::{IF_MATCH, IF_NONE, ONCE};

#[rustfmt::skip] // a route a paragraph
pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/api/v1/events/replay", "replayEvents", event_replays::replay, "Tells past events again, behind everything live: by id, by a filter, or those whose delivery was given up. With dry_run: true it answers 200 and only counts.")
            .takes(Takes::Json(replay_ask)).headers(ONCE).gives(202, Json(of::<Replay>)).gives(200, Json(object)).fails(&[PluginNotRunning]),
        get("/api/v1/events/replays", "listReplays", event_replays::list, "Lists replays, newest first.")
            .query(event_replays::PAGE).gives(200, Json(of::<event_replays::ReplayPage>)),
        get("/api/v1/events/replays/{replay_id}", "getReplay", event_replays::get, "Gives a replay and how far it is.")
            .gives(200, Json(of::<Replay>)).fails(&[ReplayNotFound]),
        delete("/api/v1/events/replays/{replay_id}", "cancelReplay", event_replays::cancel, "Ends a replay: what it has queued and what has not begun is taken back.")
            .gives(200, Json(of::<Replay>)).fails(&[ReplayNotFound, Conflict]),
        get("/api/v1/events/dead", "listDeadDeliveries", event_replays::list_dead, "Lists the deliveries that were given up, newest first.")
            .query(event_replays::PAGE).query(event_replays::FILTERS).gives(200, Json(of::<event_replays::DeadPage>)),
        post("/api/v1/events/dead/{delivery_id}/replay", "replayDeadDelivery", event_replays::replay_dead, "Lets a delivery that was given up be tried anew.")
            .gives(202, Json(of::<Replay>)).fails(&[DeliveryNotFound, PluginNotRunning]),
        delete("/api/v1/events/dead/{delivery_id}", "discardDeadDelivery", event_replays::discard_dead, "Forgets a delivery that was given up; its event stays.")
            .gives(204, Nothing).fails(&[DeliveryNotFound]),
        get("/api/v1/events/trace/{correlation_id}", "getTrace", event_replays::trace, "Gives what one request set off: events, to whom each was told, and what that caused. The X-Request-Id of the request's answer is its correlation id.")
            .gives(200, Json(of::<Trace>)),

        get("/api/v1/events", "listEvents", events::list, "Reads the journal by sequence, the oldest first or the newest first. A page may hold fewer events than asked for, or none, and still have a next: it looks through a bounded part of the journal (10 000 events at most; by type, 100 to 300 blocks of 64 with such events) and holds 8 MiB of data.")
            .query(events::WINDOW).query(events::FILTERS).query(events::MORE_FILTERS).gives(200, Json(event_page)),
        post("/api/v1/events", "publishEvent", event_publish::publish, "Publishes an event: {type, subject?, data?, priority?, ttl?}, or a CloudEvent 1.0 in structured, binary or batch mode. The server stamps id, source and time; a CloudEvent whose source and id came before is not told again. A batch (a list of them, as application/cloudevents-batch+json) is answered with {items}.")
            .query(event_publish::WAIT).takes(Takes::JsonOf(EVENT_BODIES)).headers(ONCE).gives(201, Json(event_detail)),
        get("/api/v1/events/types", "listEventTypes", events::types, "Lists the types of events by name: those on the journal, those that have a schema, and those the product tells.")
            .query(events::BY_NAME).headers(IF_NONE).gives(200, Json(of::<EventTypePage>)),
        get("/api/v1/events/types/{type}/schema", "getEventSchema", event_schemas::get, "Gives the JSON schema that the data of events of a type is held to.")
            .headers(IF_NONE).gives(200, Json(of::<EventSchemaRow>)).fails(&[EventSchemaNotFound]),
        put("/api/v1/events/types/{type}/schema", "replaceEventSchema", event_schemas::put, "Sets the JSON schema of a type that is not the product's own; who publishes other data is told every fault.")
            .takes(Takes::Json(object)).gives(200, Json(of::<EventSchemaRow>)).fails(&[Conflict]),
        delete("/api/v1/events/types/{type}/schema", "deleteEventSchema", event_schemas::delete, "Drops the schema of a type: any data will do.")
            .gives(204, Nothing).fails(&[EventSchemaNotFound]),
        get("/api/v1/events/stats", "getEventStats", events::stats, "Gives the journal in numbers: events by type, deliveries by state, the oldest one that is not done.")
            .gives(200, Json(of::<EventStats>)),
        get("/api/v1/events/subscriptions", "listEventSubscriptions", events::subscriptions, "Lists who is told of what, hooks included.")
            .headers(IF_NONE).gives(200, Json(items::<SubscriptionView>)),
        get("/api/v1/events/stream", "streamEvents", event_stream::stream, "Streams events as server-sent events: `id` is the sequence, `event` the type, `data` the CloudEvent. The first is `start` {sequence}: where it begins. Goes on after Last-Event-ID; an event `gap` {from, to} tells what is not kept any more. A comment comes every 15 s.")
            .query(event_stream::STREAM).query(events::FILTERS).headers(&["Last-Event-ID"]).gives(200, Events).fails(&[Stopping]),
        get("/api/v1/events/{id}", "getEvent", events::get, "Gives an event with its deliveries.")
            .headers(IF_NONE).gives(200, Json(event_detail)).gives(304, Nothing).fails(&[EventNotFound]),

        get("/api/v1/webhooks", "listWebhooks", webhooks::list, "Lists the other servers that are told of events, oldest first.")
            .headers(IF_NONE).gives(200, Json(items::<Webhook>)),
        post("/api/v1/webhooks", "createWebhook", webhooks::create, "Has another server told of events by signed requests; its secret is shown this once.")
            .takes(Takes::Json(webhook_create)).headers(ONCE).gives(201, Json(of::<Made>)).fails(&[Conflict]),
        get("/api/v1/webhooks/{id}", "getWebhook", webhooks::get, "Gives a webhook.")
            .headers(IF_NONE).gives(200, Json(of::<Webhook>)).gives(304, Nothing).fails(&[WebhookNotFound]),
        patch("/api/v1/webhooks/{id}", "updateWebhook", webhooks::patch, "Changes a webhook (a merge patch); in force when this is answered. Switched on again, it is told what has waited.")
            .takes(Takes::Json(webhook_change)).headers(IF_MATCH).gives(200, Json(of::<Webhook>)).fails(&[WebhookNotFound]),
        delete("/api/v1/webhooks/{id}", "deleteWebhook", webhooks::delete, "Removes a webhook, its log and what it was still to be told.")
            .headers(IF_MATCH).gives(204, Nothing).fails(&[WebhookNotFound]),
        post("/api/v1/webhooks/{id}/rotate-secret", "rotateWebhookSecret", webhooks::rotate, "Gives a webhook a new secret, shown this once; the old one signs too for 24 hours.")
            .takes(JsonOrNothing(webhook_rotate)).headers(IF_MATCH).gives(200, Json(of::<Made>)).fails(&[WebhookNotFound]),
        post("/api/v1/webhooks/{id}/test", "testWebhook", webhooks::test, "Sends webhook.ping now and tells what came back.")
            .gives(200, Json(of::<WebhookAttempt>)).fails(&[WebhookNotFound]),
        get("/api/v1/webhooks/{id}/deliveries", "listWebhookDeliveries", webhooks::attempts, "Gives what was sent to a webhook and what came back, newest first.")
            .query(webhooks::ATTEMPTS).gives(200, Json(of::<webhooks::WebhookAttemptPage>)).fails(&[WebhookNotFound]),
        post("/api/v1/webhooks/{id}/deliveries/{event_id}/redeliver", "redeliverWebhook", webhooks::redeliver, "Has a webhook told an event again, behind everything that it is still to be told.")
            .headers(ONCE).gives(202, Json(of::<Redelivery>)).fails(&[WebhookNotFound, EventNotFound, Conflict]),
    ]
}
