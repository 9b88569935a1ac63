//! Keys and what they allow.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::Timestamp;

macro_rules! scopes {
    ($($variant:ident $name:tt $doc:tt;)*) => {
        /// What a key allows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        pub enum Scope { $(#[doc = $doc] #[serde(rename = $name)] $variant),* }

        impl Scope {
            /// All scopes.
            pub const ALL: &'static [Scope] = &[$(Scope::$variant),*];
            /// The name in the API and on the command line.
            pub fn name(self) -> &'static str { match self { $(Scope::$variant => $name),* } }
            /// What it allows, in a sentence.
            pub fn doc(self) -> &'static str { match self { $(Scope::$variant => $doc),* } }
        }
    };
}

scopes! {
    RecordingsRead "recordings:read" "Read recordings and their tracks.";
    RecordingsWrite "recordings:write" "Start, end, change and delete recordings and their tracks.";
    ClipsRead "clips:read" "Read clips and their media.";
    ClipsWrite "clips:write" "Create, change and delete clips.";
    EventsRead "events:read" "Read the journal.";
    EventsWrite "events:write" "Publish events.";
    PluginsRead "plugins:read" "See plugins, their state and hooks.";
    PluginsManage "plugins:manage" "Enable, disable and configure plugins.";
    PluginsCode "plugins:code" "Change the code of plugins.";
    TokensManage "tokens:manage" "Create and revoke keys.";
    Admin "admin" "Everything.";
}

impl Scope {
    /// The scope of a name.
    pub fn from_name(name: &str) -> Option<Scope> {
        Self::ALL.iter().copied().find(|it| it.name() == name)
    }
}

/// A key as it is listed: never its secret.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Token {
    /// The public part of `pnt_<id>_<secret>`.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// When it was made (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it stops working (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it last opened a door (UTC; to about a minute).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// How often it may be used; none = as the settings say.
    pub rate_limit: Option<RateLimit>,
}

/// How often a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateLimit {
    /// So many requests, at once if need be, …
    pub requests: u64,
    /// … in so many seconds.
    pub per_seconds: u64,
}

impl Token {
    /// Whether the key opens a door that asks for `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|it| *it == scope || *it == Scope::Admin)
    }
}
