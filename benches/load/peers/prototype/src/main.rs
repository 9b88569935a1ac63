//! What actix, Luau and SQLite can give together when nothing of a product stands around them. Environment: PORT;
//! DB, the database; PLUGINS, a folder of folders with an init.lua each.

mod script;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value as Json;

use script::{Answer, Argument, Plugin};
use store::{Store, Write};

struct State {
    store: Store,
    plugins: Vec<Arc<Plugin>>,
    number: AtomicU64,
}

impl State {
    fn has(&self, hook: &str) -> bool {
        self.plugins.iter().any(|it| it.has(hook))
    }

    async fn ask(&self, hook: &'static str, argument: Argument) -> Answer {
        let mut answer = Answer::Nothing;
        for plugin in self.plugins.iter().filter(|it| it.has(hook)) {
            answer = plugin.call(hook, argument.clone()).await;
        }
        answer
    }

    async fn before(&self, req: &HttpRequest) {
        if self.has("before_request") {
            let text = |value: &header::HeaderValue| value.to_str().unwrap_or("").to_owned();
            let headers = req.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let (method, path) = (req.method().to_string(), req.path().to_owned());
            self.ask("before_request", Argument::Before { method, path, headers }).await;
        }
    }

    async fn after(&self, mut response: HttpResponse) -> HttpResponse {
        if self.has("after_request") {
            let status = response.status().as_u16();
            if let Answer::Headers(headers) = self.ask("after_request", Argument::After { status }).await {
                for (name, value) in headers {
                    let name = header::HeaderName::try_from(name).unwrap();
                    response.headers_mut().insert(name, header::HeaderValue::try_from(value).unwrap());
                }
            }
        }
        response
    }
}

type Shared = web::Data<State>;

async fn get_clip(state: Shared, req: HttpRequest, id: web::Path<i64>) -> HttpResponse {
    state.before(&req).await;
    let response = match store::clip(*id) {
        Some(clip) => HttpResponse::Ok().content_type("application/json").body(clip),
        None => HttpResponse::NotFound().finish(),
    };
    state.after(response).await
}

async fn post_clip(state: Shared, req: HttpRequest, body: web::Json<Json>) -> HttpResponse {
    state.before(&req).await;
    let mut clip = body.into_inner();
    if clip["metadata"].is_null() {
        clip["metadata"] = Json::Object(serde_json::Map::new());
    }
    if state.has("on_clip_captured")
        && let Answer::Clip(changed) = state.ask("on_clip_captured", Argument::Clip(clip.clone())).await
    {
        clip = changed;
    }
    let mut shown = clip.clone();
    shown["id"] = state.store.write(Write::Clip(clip)).await.into();
    let response = HttpResponse::Created().content_type("application/json").body(shown.to_string());
    state.after(response).await
}

async fn start(state: Shared, req: HttpRequest) -> HttpResponse {
    state.before(&req).await;
    let id = format!("rec_{:x}_{}", std::process::id(), state.number.fetch_add(1, Ordering::Relaxed));
    state.ask("before_recording_start", Argument::Recording(id.clone())).await;
    state.store.write(Write::Start(id.clone())).await;
    let body = format!("{{\"recording_id\":\"{id}\",\"status\":\"active\"}}");
    state.after(HttpResponse::Created().content_type("application/json").body(body)).await
}

async fn end(state: Shared, req: HttpRequest, id: web::Path<String>) -> HttpResponse {
    state.before(&req).await;
    let id = id.into_inner();
    state.store.write(Write::End(id.clone())).await;
    state.ask("after_recording_end", Argument::Recording(id.clone())).await;
    let body = format!("{{\"recording_id\":\"{id}\",\"status\":\"completed\"}}");
    state.after(HttpResponse::Ok().content_type("application/json").body(body)).await
}

fn main() -> std::io::Result<()> {
    let store = Store::open();
    let pool = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(64)
        .enable_time()
        .build()?;
    let mut plugins = Vec::new();
    for folder in std::fs::read_dir(std::env::var("PLUGINS").unwrap())? {
        let source = std::fs::read_to_string(folder?.path().join("init.lua"))?;
        plugins.push(Plugin::load(&source, &store, pool.handle()));
    }
    let state = web::Data::new(State { store, plugins, number: AtomicU64::new(0) });
    let port = std::env::var("PORT").unwrap().parse().unwrap();
    let app = move || {
        App::new()
            .app_data(state.clone())
            .route("/api/v1/clips/{id}", web::get().to(get_clip))
            .route("/api/v1/clips", web::post().to(post_clip))
            .route("/api/v1/recordings/start", web::post().to(start))
            .route("/api/v1/recordings/{id}/end", web::post().to(end))
    };
    let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", port))?.run();
    actix_web::rt::System::new().block_on(server)
}
