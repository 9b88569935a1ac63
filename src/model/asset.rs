//! What plugins keep for clients.

use serde::Serialize;
use utoipa::ToSchema;

use super::time::Timestamp;

/// One asset of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Asset {
    /// Its name within the plugin.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Bytes.
    pub size: i64,
    /// When it was saved (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}
