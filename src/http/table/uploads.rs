//! Uploads that survive a cut connection (tus 1.0.0).

use crate::error::Code::*;
use crate::model::upload::Upload;

use crate::http::openapi::schema::{items, of};
use crate::http::route::Gives::{Json, Nothing};
use crate::http::route::Takes::Piece;
use crate::http::route::{Route, delete, get, options, patch, post};
use crate::http::uploads;

const TUS: &str = "Tus-Resumable";

#[rustfmt::skip] // a route a paragraph
pub(super) fn routes() -> Vec<Route> {
    vec![
        options("/api/v1/uploads", "getUploadOptions", uploads::options, "Tells the version and extensions of tus that are spoken, and the largest upload.")
            .gives(204, Nothing).tells(&[TUS, "Tus-Version", "Tus-Extension", "Tus-Checksum-Algorithm", "Tus-Max-Size"]),
        get("/api/v1/uploads", "listUploads", uploads::list, "Lists the uploads that are not complete, oldest first, 1 000 at most.")
            .gives(200, Json(items::<Upload>)),
        post("/api/v1/uploads", "createUpload", uploads::create, "Announces a track that comes in pieces (tus 1.0.0): Upload-Length is its size, Upload-Metadata names `recording` and `track`, may have `filename`, `filetype` and `replace`. The first piece may come with it.")
            .takes(Piece { required: false }).headers(&[TUS, "Upload-Length", "Upload-Metadata", "Upload-Checksum"])
            .gives(201, Json(of::<Upload>)).tells(&[TUS, "Location", "Upload-Offset", "Upload-Expires"])
            .fails(&[TusVersion, RecordingNotFound, RecordingCompleted, UploadsFull, ChecksumMismatch, Conflict]),
        get("/api/v1/uploads/{upload_id}", "getUpload", uploads::get, "Tells how much of an upload is there; HEAD, as clients of tus ask, needs Tus-Resumable.")
            .headers(&[TUS]).gives(200, Json(of::<Upload>)).tells(&[TUS, "Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Expires"])
            .fails(&[TusVersion, UploadNotFound]),
        patch("/api/v1/uploads/{upload_id}", "sendUpload", uploads::patch, "Takes the next piece of an upload; what is answered is on disk. With the last one it becomes the track, exactly as by PUT; tells track.stored.")
            .takes(Piece { required: true }).headers(&[TUS, "Upload-Offset", "Upload-Checksum"])
            .gives(204, Nothing).tells(&[TUS, "Upload-Offset", "Upload-Expires"])
            .fails(&[TusVersion, UploadNotFound, UploadLocked, OffsetMismatch, ChecksumMismatch, RecordingNotFound, RecordingCompleted, Conflict]),
        post("/api/v1/uploads/{upload_id}", "overrideUpload", uploads::overridden, "Does what X-HTTP-Method-Override says, PATCH or DELETE, for clients that cannot send these.")
            .takes(Piece { required: false }).headers(&[TUS, "X-HTTP-Method-Override", "Upload-Offset", "Upload-Checksum"])
            .gives(204, Nothing).tells(&[TUS, "Upload-Offset", "Upload-Expires"])
            .fails(&[TusVersion, UploadNotFound, UploadLocked, OffsetMismatch, ChecksumMismatch, RecordingNotFound, RecordingCompleted, Conflict]),
        delete("/api/v1/uploads/{upload_id}", "deleteUpload", uploads::delete, "Gives an upload up; what came of it is removed. Of a complete one only the address goes.")
            .headers(&[TUS]).gives(204, Nothing).tells(&[TUS]).fails(&[TusVersion, UploadNotFound, UploadLocked]),
    ]
}
