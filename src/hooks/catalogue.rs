//! Every hook of the product, in one table: documents, type stubs, OpenAPI and tests read it.

/// When a hook is called and what its answer can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookKind {
    /// Asked in the caller's time, one plugin after another; may answer.
    Question,
    /// Told from the journal after the commit, at least once.
    Fact,
    /// Called once by the host in the plugin's life.
    Life,
}

impl HookKind {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            HookKind::Question => "question",
            HookKind::Fact => "fact",
            HookKind::Life => "life",
        }
    }
}

/// What a hook's first argument is; its fields are in [`Payload::fields`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// No argument.
    None,
    /// `{version, data_dir, plugins}`.
    App,
    /// The plugin's new config.
    Config,
    /// What the former generation's `on_unload` returned.
    State,
    /// A request before routing.
    Request,
    /// An answer before its first byte.
    Response,
    /// A recording.
    Recording,
    /// A clip.
    Clip,
    /// A past event, whole, as subscriptions get it.
    Event,
}

/// One field of a payload: name, Luau type, what it is.
pub type Field = (&'static str, &'static str, &'static str);

impl Payload {
    /// The name of the type in the stubs and of the argument in examples.
    pub fn type_name(self) -> Option<&'static str> {
        match self {
            Payload::None => None,
            Payload::App => Some("App"),
            Payload::Config => Some("Config"),
            Payload::State => Some("State"),
            Payload::Request => Some("Request"),
            Payload::Response => Some("Response"),
            Payload::Recording => Some("Recording"),
            Payload::Clip => Some("Clip"),
            Payload::Event => Some("Event"),
        }
    }

    /// The fields a script sees.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Payload::None | Payload::Config | Payload::State => &[],
            Payload::App => &[
                ("version", "string", "the server's version"),
                ("data_dir", "string", "the server's data folder"),
                ("plugins", "{string}", "names of the plugins that run"),
            ],
            Payload::Request => &[
                ("id", "string", "the request id"),
                ("method", "string", "GET, POST, …"),
                ("path", "string", "the path as sent"),
                ("query", "string", "the query as sent, without the question mark"),
                ("headers", "{[string]: string}", "lower-case names; secrets removed"),
                ("remote", "string?", "the client's address"),
            ],
            Payload::Response => &[
                ("status", "number", "the HTTP status"),
                ("headers", "{[string]: string}", "lower-case names"),
                ("duration", "number", "seconds since the request came"),
                ("request", "Request", "what was asked"),
            ],
            Payload::Recording => &[
                ("id", "string", "1 to 128 characters"),
                ("title", "string?", "what people call it"),
                ("status", "string", "active or completed"),
                ("started_at", "string", "RFC 3339, UTC"),
                ("ended_at", "string?", "RFC 3339, UTC"),
                ("duration", "number?", "seconds"),
                ("tracks", "{[string]: Track}", "by name"),
                ("metadata", "{[string]: any}", "free JSON"),
                ("start_missing", "boolean", "whether its start was never told"),
                ("created_at", "string", "RFC 3339, UTC"),
                ("updated_at", "string", "RFC 3339, UTC"),
            ],
            Payload::Clip => &[
                ("id", "number", "counts up from 1"),
                ("title", "string", "1 to 255 characters"),
                ("file_path", "string", "where the media lies"),
                ("recording_id", "string?", "the recording it was cut from"),
                ("description", "string?", "free text"),
                ("game_name", "string?", "up to 255 characters"),
                ("game_id", "string?", "up to 255 characters"),
                ("tags", "{string}", "labels"),
                ("metadata", "{[string]: any}", "free JSON"),
                ("file_size", "number?", "bytes"),
                ("duration", "number?", "seconds"),
                ("resolution", "string?", "such as 1920x1080"),
                ("fps", "number?", "frames a second"),
                ("codec", "string?", "such as h264 or pcm_s16le"),
                ("recorded_at", "string?", "RFC 3339, UTC"),
                ("processed", "boolean", "whether processing is done"),
                ("processing_status", "string", "pending, processing, completed or failed"),
                ("provenance", "{[string]: any}", "which plugin changed which field, and when"),
                ("created_at", "string", "RFC 3339, UTC"),
                ("updated_at", "string", "RFC 3339, UTC"),
            ],
            Payload::Event => &[
                ("id", "string", "unique and time-ordered"),
                ("type", "string", "such as recording.ended"),
                ("source", "string", "panotti or plugin/<name>"),
                ("subject", "string?", "what it is about"),
                ("time", "string", "RFC 3339, UTC"),
                ("data", "any", "what it tells"),
                ("correlation_id", "string", "shared by all that one request set off"),
                ("causation_id", "string?", "the event or request that led to it"),
                ("priority", "string", "low, normal, high or critical"),
            ],
        }
    }
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct HookInfo {
    /// What scripts call it.
    pub name: &'static str,
    /// When and how it is called.
    pub kind: HookKind,
    /// Its first argument.
    pub payload: Payload,
    /// Top-level fields a patch may change.
    pub may_patch: &'static [&'static str],
    /// Whether `panotti.deny` belongs here.
    pub may_deny: bool,
    /// The event it is told from.
    pub event: Option<&'static str>,
    /// When exactly it is called, in a sentence.
    pub doc: &'static str,
}

macro_rules! hooks {
    ($($variant:ident $name:literal $kind:ident $payload:ident patch $patch:tt deny $deny:literal event $event:expr; $doc:literal)*) => {
        /// A hook.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Hook { $(#[doc = $doc] $variant),* }

        /// All rows, in the order of [`Hook::ALL`].
        static INFOS: &[HookInfo] = &[$(HookInfo {
            name: $name, kind: HookKind::$kind, payload: Payload::$payload, may_patch: &$patch,
            may_deny: $deny, event: $event, doc: $doc,
        }),*];

        impl Hook {
            /// Every hook.
            pub const ALL: &'static [Hook] = &[$(Hook::$variant),*];

            /// The hook of a name.
            pub fn from_name(name: &str) -> Option<Hook> {
                match name {
                    $($name => Some(Hook::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

hooks! {
    OnStartup "on_startup" Life App patch [] deny false event None;
        "Once, after the database is open and all plugins are loaded; also when the plugin is enabled later."
    OnShutdown "on_shutdown" Life App patch [] deny false event None;
        "Once, while the database is still open, in reverse order; also when the plugin is disabled."
    OnLoad "on_load" Life State patch [] deny false event None;
        "After the chunk has run and before any hook, with what the former generation's on_unload returned (nil at first)."
    OnUnload "on_unload" Life None patch [] deny false event None;
        "Before the plugin is let go; returns a snapshot (JSON, at most 1 MiB) for the next generation and tears nothing down. Of several instances the first one's goes to all."
    OnConfigChanged "on_config_changed" Life Config patch [] deny false event None;
        "When values of the plugin's config change, before they are stored; the argument is the new, checked config. An error refuses it: the old values stay, and it is called with them."
    Health "health" Life None patch [] deny false event None;
        "Every 30 seconds; returns ok, message, details."
    BeforeRequest "before_request" Question Request patch ["headers"] deny true event None;
        "Before routing, also for requests that will be 401 or 404; may refuse, answer, or patch headers."
    AfterRequest "after_request" Question Response patch ["headers"] deny false event None;
        "When status and headers are known and before the first byte, errors included; may patch headers."
    BeforeRecordingStart "before_recording_start" Question Recording patch ["title", "metadata"] deny true event None;
        "Before a recording is stored; may refuse, or patch title and metadata."
    AfterRecordingEnd "after_recording_end" Fact Recording patch [] deny false event Some("recording.ended");
        "After a recording has ended, from the journal."
    OnClipCaptured "on_clip_captured" Question Clip
        patch ["title", "description", "tags", "metadata", "game_name", "game_id"] deny false event None;
        "While a clip is being created; what it changes is stored in the same transaction."
    OnClipProcessed "on_clip_processed" Question Clip
        patch ["title", "description", "tags", "metadata", "game_name", "game_id"] deny false event None;
        "Exactly when processed goes from false to true; what it changes is stored in the same transaction."
    OnClipUpdated "on_clip_updated" Fact Clip patch [] deny false event Some("clip.updated");
        "After a clip was changed, from the journal."
    OnClipDeleted "on_clip_deleted" Fact Clip patch [] deny false event Some("clip.deleted");
        "After a clip was deleted, from the journal, with the clip as it was."
}

impl Hook {
    /// The row of this hook.
    pub fn info(self) -> &'static HookInfo {
        &INFOS[self as usize]
    }

    /// What scripts call it.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The hook that is told from events of this type.
    pub fn of_event(kind: &str) -> Option<Hook> {
        Self::ALL.iter().copied().find(|it| it.info().event == Some(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_hooks_stand_in_the_same_order() {
        for hook in Hook::ALL {
            assert_eq!(Hook::from_name(hook.name()), Some(*hook));
        }
    }

    #[test]
    fn facts_come_from_an_event_and_only_questions_may_change_anything() {
        for hook in Hook::ALL {
            let info = hook.info();
            assert_eq!(info.event.is_some(), info.kind == HookKind::Fact, "{}", info.name);
            assert!(info.may_patch.is_empty() || info.kind == HookKind::Question, "{}", info.name);
            for field in info.may_patch {
                assert!(
                    info.payload.fields().iter().any(|(name, ..)| name == field),
                    "{}: {field}",
                    info.name
                );
            }
        }
    }
}
