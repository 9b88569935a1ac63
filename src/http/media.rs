//! Media answers: a file, or a range of it, streamed from disk.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ByteRangeSpec, Header, Range};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream;

use crate::error::{Code, Error, Result};

use super::reply::{none_match, not_modified};

/// Bytes read from disk at once.
const CHUNK_BYTES: u64 = 256 * 1024;

/// A file to answer with.
pub struct Media {
    /// Open for reading.
    pub file: File,
    /// How many bytes of it count; a live track's file may be longer.
    pub length: u64,
    /// Names these very bytes.
    pub tag: String,
    /// What they are.
    pub content_type: &'static str,
    /// What a browser calls the file when it keeps it.
    pub name: String,
    /// Its `Repr-Digest`, where it is known.
    pub digest: Option<String>,
}

/// Answers with a file: whole, one range of it, or nothing new.
///
/// # Errors
/// [`Code::RangeNotSatisfiable`].
pub fn answer(req: &HttpRequest, media: Media) -> Result<HttpResponse> {
    let tag = format!("\"{}\"", media.tag);
    if none_match(req, &tag) {
        return Ok(not_modified(&tag));
    }
    let (status, from, length) = match wanted(req, media.length, &tag)? {
        None => (StatusCode::OK, 0, media.length),
        Some((from, to)) => (StatusCode::PARTIAL_CONTENT, from, to - from + 1),
    };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, media.content_type))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        // Media comes from clients: a page in disguise must not run under this origin.
        .insert_header((header::CONTENT_DISPOSITION, disposition(&media.name)));
    if let Some(digest) = media.digest {
        response.insert_header(("repr-digest", digest));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {from}-{}/{}", from + length - 1, media.length);
        response.insert_header((header::CONTENT_RANGE, range));
    }
    Ok(response.body(SizedStream::new(length, chunks(media.file, from, length))))
}

/// The one range that is asked for and holds; several at once are answered with the whole file.
fn wanted(req: &HttpRequest, length: u64, tag: &str) -> Result<Option<(u64, u64)>> {
    if !req.headers().contains_key(header::RANGE) {
        return Ok(None);
    }
    if let Some(condition) = req.headers().get(header::IF_RANGE)
        && condition.as_bytes() != tag.as_bytes()
    {
        return Ok(None);
    }
    // RFC 9110: a Range that is not understood is as good as none.
    let Ok(Range::Bytes(ranges)) = Range::parse(req) else { return Ok(None) };
    let [range] = ranges.as_slice() else { return Ok(None) };
    if let ByteRangeSpec::FromTo(from, to) = range
        && from > to
    {
        return Ok(None);
    }
    match range.to_satisfiable_range(length) {
        Some(range) => Ok(Some(range)),
        None => {
            let detail = format!("The file has {length} bytes.");
            Err(Error::new(Code::RangeNotSatisfiable, detail).with_member("length", length))
        }
    }
}

/// The bytes of a range, read on the pool for blocking work.
fn chunks(file: File, from: u64, length: u64) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold((Some(file), from, length), |(file, from, left)| async move {
        let Some(mut file) = file.filter(|_| left > 0) else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; usize::try_from(left.min(CHUNK_BYTES)).unwrap_or_default()];
            file.seek(SeekFrom::Start(from))?;
            file.read_exact(&mut buffer)?;
            Ok::<_, std::io::Error>((file, Bytes::from(buffer)))
        });
        let (file, bytes) = read.await.map_err(std::io::Error::other)??;
        let taken = bytes.len() as u64;
        Ok(Some((bytes, (Some(file), from + taken, left - taken))))
    })
}

/// `attachment` with a name that fits into a header.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;

    fn ten_bytes() -> Media {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789unacknowledged").unwrap();
        let tag = "t".to_owned();
        Media { file, length: 10, tag, content_type: "audio/wav", name: "a\"b.wav".to_owned(), digest: None }
    }

    async fn get(headers: &[(&'static str, &'static str)]) -> (u16, String, String) {
        let mut req = TestRequest::get();
        for header in headers {
            req = req.insert_header(*header);
        }
        let response = match answer(&req.to_http_request(), ten_bytes()) {
            Ok(response) => response,
            Err(error) => return (error.status(), String::new(), String::new()),
        };
        let range = response.headers().get(header::CONTENT_RANGE);
        let range = range.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.unwrap();
        (status, range, String::from_utf8(body.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn ranges_lie_within_the_acknowledged_length() {
        let told = |status, range: &str, body: &str| (status, range.to_owned(), body.to_owned());
        assert_eq!(get(&[]).await, told(200, "", "0123456789"));
        assert_eq!(get(&[("range", "bytes=2-4")]).await, told(206, "bytes 2-4/10", "234"));
        assert_eq!(get(&[("range", "bytes=8-99")]).await, told(206, "bytes 8-9/10", "89"));
        assert_eq!(get(&[("range", "bytes=-3")]).await, told(206, "bytes 7-9/10", "789"));
        assert_eq!(get(&[("range", "bytes=10-")]).await, told(416, "", ""));
    }

    #[actix_web::test]
    async fn a_range_that_is_not_understood_or_outdated_gives_the_whole_file() {
        for headers in [
            vec![("range", "lines=1-2")],
            vec![("range", "bytes=4-2")],
            vec![("range", "bytes=0-1,4-5")],
            vec![("range", "bytes=0-1"), ("if-range", "\"other\"")],
        ] {
            assert_eq!(get(&headers).await.0, 200, "{headers:?}");
        }
        assert_eq!(get(&[("range", "bytes=0-1"), ("if-range", "\"t\"")]).await.0, 206);
        assert_eq!(get(&[("if-none-match", "\"t\"")]).await.0, 304);
    }
}
