//! The headers of tus 1.0.0, the protocol of resumable uploads.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Code, Error, Result};
use crate::model::id::{check_id, check_track_name};
use crate::services::files::content_type;
use crate::services::uploads::{Announced, Checksum};

/// The version that is spoken.
pub const TUS_VERSION: &str = "1.0.0";
/// What is spoken beside the core.
pub const TUS_EXTENSIONS: &str = "creation,creation-with-upload,termination,checksum,expiration";
/// In every answer.
pub const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
/// The content type of pieces.
pub const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// Whether the client speaks the same version.
///
/// # Errors
/// [`Code::TusVersion`]; the answer tells the one that is spoken.
pub fn require_version(headers: &HeaderMap) -> Result<()> {
    match headers.get(TUS_RESUMABLE).map(HeaderValue::as_bytes) {
        Some(sent) if sent == TUS_VERSION.as_bytes() => Ok(()),
        Some(sent) => {
            let shown: String = String::from_utf8_lossy(sent).chars().take(20).collect();
            let detail =
                format!("Tus-Resumable says `{}`; {TUS_VERSION} is spoken here.", shown.escape_debug());
            Err(Error::new(Code::TusVersion, detail))
        }
        None => Err(Error::new(Code::TusVersion, "The request has no header Tus-Resumable.")),
    }
}

/// Refuses what is no piece of an upload.
///
/// # Errors
/// [`Code::UnsupportedMediaType`].
pub fn require_piece(content_type: Option<&str>) -> Result<()> {
    let sent = content_type.unwrap_or_default();
    if sent.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(OFFSET_STREAM) {
        return Ok(());
    }
    let detail =
        format!("The content type is `{}`; pieces of uploads are {OFFSET_STREAM}.", sent.escape_debug());
    let hint = format!("Send the header Content-Type: {OFFSET_STREAM}.");
    Err(Error::new(Code::UnsupportedMediaType, detail).with_hint(hint))
}

/// What `Upload-Metadata` says the file is for: `recording` and `track` must be there, `replace`, `filetype` and
/// `filename` may be; other keys are kept.
///
/// # Errors
/// [`Code::BadHeader`].
pub fn announced(metadata: &str, length: u64) -> Result<Announced> {
    let (mut announced, mut seen) = (Announced { length, ..Announced::default() }, Vec::new());
    let (mut kind, mut file_name) = (None, None);
    for pair in metadata.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if seen.contains(&key) {
            return Err(wrong(&format!("has the key `{}` twice", key.escape_debug())));
        }
        seen.push(key);
        let value = STANDARD.decode(value.trim()).ok().and_then(|it| String::from_utf8(it).ok());
        let Some(value) = value else {
            return Err(wrong(&format!("has no text in base64 at `{}`", key.escape_debug())));
        };
        match key {
            "recording" => announced.recording_id = value,
            "track" => announced.track = value,
            "replace" => announced.replace = !matches!(value.as_str(), "false" | "0"),
            "filetype" | "type" => kind = Some(value).filter(|it| !it.is_empty()),
            "filename" | "name" => file_name = Some(value),
            _ => {}
        }
    }
    check_id(&announced.recording_id)
        .map_err(|why| wrong(&format!("needs `recording`, the id of one: it {why}")))?;
    check_track_name(&announced.track).map_err(|why| wrong(&format!("needs `track`, a name: it {why}")))?;
    let by_name = file_name.map(|it| content_type(&it)).filter(|it| *it != "application/octet-stream");
    announced.content_type = kind.or(by_name.map(str::to_owned));
    announced.metadata = metadata.to_owned();
    Ok(announced)
}

/// What `Upload-Checksum` says of a piece.
///
/// # Errors
/// [`Code::BadHeader`], also for an algorithm that is not known.
pub fn checksum(header: &str) -> Result<Checksum> {
    let known = header.trim().split_once(' ').and_then(|(algorithm, value)| {
        Checksum::new(&algorithm.to_ascii_lowercase(), STANDARD.decode(value.trim()).ok()?)
    });
    known.ok_or_else(|| {
        let detail = format!(
            "Upload-Checksum must be one of {}, a space and the hash in base64.",
            Checksum::ALGORITHMS.join(", ")
        );
        Error::new(Code::BadHeader, detail)
    })
}

fn wrong(what: &str) -> Error {
    Error::new(Code::BadHeader, format!("The header Upload-Metadata {what}."))
        .with_hint("It is a list such as `recording <base64>,track <base64>,filename <base64>`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_the_track_and_what_it_is() {
        let said =
            announced("recording cjE=, track c3lzdGVt,replace dHJ1ZQ==,filename YS5mbGFj,is_new", 5).unwrap();
        assert_eq!((said.recording_id.as_str(), said.track.as_str(), said.replace), ("r1", "system", true));
        assert_eq!((said.content_type.as_deref(), said.length), (Some("audio/flac"), 5));
        let typed =
            announced("recording cjE=,track c3lzdGVt,filename YS5mbGFj,filetype YXVkaW8vd2F2", 5).unwrap();
        assert_eq!((typed.content_type.as_deref(), typed.replace), (Some("audio/wav"), false));
        for bad in [
            "",
            "recording cjE=",
            "recording cjE=,track !",
            "recording cjE=,recording cjE=,track c3lzdGVt",
            "recording Li4=,track c3lzdGVt",
        ] {
            assert_eq!(announced(bad, 5).unwrap_err().code, Code::BadHeader, "{bad}");
        }
    }

    #[test]
    fn a_checksum_is_of_a_known_algorithm_and_of_its_length() {
        assert!(checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").is_ok());
        assert!(checksum("sha256 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").is_ok());
        for bad in ["", "sha1", "sha1 AAAA", "md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha1 !"] {
            assert_eq!(checksum(bad).unwrap_err().code, Code::BadHeader, "{bad}");
        }
    }
}
