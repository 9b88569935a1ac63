//! What headers of requests and answers say.

use actix_web::http::Method;
use serde_json::{Value, json};

/// What a header of a request holds.
pub(super) fn header_schema(name: &str) -> Value {
    match name {
        "Upload-Offset" | "Upload-Length" => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        "Idempotency-Key" => json!({ "type": "string", "pattern": "^[!-~]{1,255}$" }),
        "If-Match" => json!({ "type": "string", "pattern": "^[^,]*$" }),
        "X-HTTP-Method-Override" => json!({ "type": "string", "enum": ["PATCH", "DELETE"] }),
        _ => json!({ "type": "string" }),
    }
}

/// What a header of a request says.
pub(super) fn header_doc(name: &str, method: &Method) -> &'static str {
    match name {
        "If-Match" => {
            "The ETag of the version to change; another one gives 412. `*` takes any that is there."
        }
        "If-None-Match" if method == Method::PUT => "`*`: only when there is none yet.",
        "If-None-Match" => "The ETag the client has; the same one gives 304.",
        "Idempotency-Key" => "A retry with the same key and body gives the first answer again.",
        "Upload-Offset" if *method == Method::PATCH => {
            "How much of the upload is there: the piece begins here."
        }
        "Upload-Offset" => "The length of the track, or upload, before this part.",
        "Upload-Length" => "Bytes of the whole.",
        "Upload-Metadata" => {
            "Keys and values in base64: `recording <base64>,track <base64>`; also `filename`, `filetype`, `replace`."
        }
        "Upload-Checksum" => {
            "`sha1`, `sha256` or `sha512` of the piece, a space, the hash in base64; a piece that is not that is dropped."
        }
        "Tus-Resumable" => "`1.0.0`, the version of tus; another, or none, gives 412.",
        "X-HTTP-Method-Override" => "`PATCH` or `DELETE`.",
        "Repr-Digest" => {
            "`sha-256=:<base64>:` or `sha-512=:<base64>:` of the whole body (RFC 9530); checked before anything is kept, other algorithms are passed over."
        }
        "Want-Repr-Digest" => {
            "Which digest of the whole file is wanted, such as `sha-256=10` or `sha-512=10`; `sha-256=0` for none (RFC 9530)."
        }
        "Last-Event-ID" => "Goes on after the event with this id.",
        "Range" => "The bytes wanted.",
        "If-Range" => "The ETag for which Range holds.",
        _ => "See RFC 9110.",
    }
}

/// What a header of an answer says.
pub(super) fn told_doc(name: &str) -> &'static str {
    match name {
        "Location" => "Where it is.",
        "Tus-Resumable" => "`1.0.0`, the version of tus.",
        "Tus-Version" => "The versions of tus that are spoken.",
        "Tus-Extension" => "Its extensions that are spoken.",
        "Tus-Checksum-Algorithm" => "What Upload-Checksum may be made with.",
        "Tus-Max-Size" => "Bytes of the largest upload; missing when there is no limit.",
        "Upload-Offset" => "Bytes that are there for good.",
        "Upload-Length" => "Bytes of the whole.",
        "Upload-Metadata" => "As it was sent.",
        "Upload-Expires" => {
            "When it is forgotten, unless another piece comes before; missing once it is complete."
        }
        "Repr-Digest" => "The SHA-256 of the whole file, where it is known (RFC 9530).",
        _ => "See the specification.",
    }
}
