//! What the data of events of a type must be like.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::time::Timestamp;

/// The schema of a type of events.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EventSchemaRow {
    /// The type, such as `highlights.found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The JSON schema of `data`.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// Who set it, such as `key/1`.
    pub updated_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}
