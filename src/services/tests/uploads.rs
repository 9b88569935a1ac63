//! Uploads in pieces: what time and crashes do to them.

use bytes::Bytes;

use super::rig::{Rig, http, wav};
use super::tracks::{end, start};
use crate::error::{Code, Error};
use crate::model::upload::Upload;
use crate::services::tracks;
use crate::services::uploads::{self, Announced};

const HOUR_US: i64 = 3_600_000_000;

async fn announce(rig: &Rig, track: &str, length: usize) -> Upload {
    let announced = Announced {
        recording_id: "r".to_owned(),
        track: track.to_owned(),
        length: length as u64,
        ..Announced::default()
    };
    uploads::create(&rig.services, announced).await.unwrap()
}

async fn send(rig: &Rig, upload: &Upload, offset: u64, bytes: &[u8]) -> Result<Upload, Error> {
    let mut piece = uploads::begin(&rig.services, &http(), &upload.id, offset, None, None).await?;
    for chunk in bytes.chunks(777) {
        piece.write(Bytes::copy_from_slice(chunk)).await?;
    }
    piece.finish().await
}

#[tokio::test]
async fn an_upload_is_forgotten_a_day_after_its_last_piece() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let (touched, left) = (announce(&rig, "a", 100).await, announce(&rig, "b", 100).await);
    let done = announce(&rig, "c", 3).await;
    send(&rig, &left, 0, &[1; 10]).await.unwrap();
    send(&rig, &done, 0, b"abc").await.unwrap();
    rig.clock.advance_us(20 * HOUR_US);
    send(&rig, &touched, 0, &[1; 10]).await.unwrap();
    rig.clock.advance_us(5 * HOUR_US);
    assert_eq!(uploads::get(&rig.services, &left.id).await.unwrap_err().code, Code::UploadNotFound);
    uploads::sweep(&rig.services).await.unwrap();
    let listed = uploads::list(&rig.services).await.unwrap();
    assert_eq!(listed.iter().map(|it| (&it.id, it.offset)).collect::<Vec<_>>(), [(&touched.id, 10)]);
    assert_eq!(rig.files(), ["recordings/r/c.bin".to_owned(), format!("uploads/{}.part", touched.id)]);
    assert!(rig.services.store.read(|r| r.upload(&done.id)).unwrap().is_none());
}

#[tokio::test]
async fn a_file_that_had_its_name_but_no_row_is_a_piece_again() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let bytes = wav(0, 500, true);
    let upload = announce(&rig, "system", bytes.len()).await;
    send(&rig, &upload, 0, &bytes[..600]).await.unwrap();
    // As a crash leaves it right after the file was given its name.
    let (part, place) = (format!("uploads/{}.part", upload.id), "recordings/r/system.wav");
    let noted = Upload { offset: 600, path: Some(place.to_owned()), ..upload.clone() };
    rig.services.store.write(move |tx| tx.put_upload(&noted)).await.unwrap();
    let own = |path: &str| rig.services.files.own(path);
    std::fs::create_dir_all(own("recordings/r")).unwrap();
    std::fs::rename(own(&part), own(place)).unwrap();
    let rig = rig.restarted();
    uploads::recover(&rig.services).await.unwrap();
    let recovered = tracks::recover(&rig.services).await.unwrap();
    assert_eq!((recovered.moved, rig.files()), (0, vec![part]));
    let done = send(&rig, &upload, 600, &bytes[600..]).await.unwrap();
    assert_eq!(done.offset as usize, bytes.len());
    assert_eq!(std::fs::read(rig.services.files.own(place)).unwrap(), bytes);
    assert_eq!(rig.told("recording/r"), ["recording.started", "track.stored"]);
}

#[tokio::test]
async fn bytes_beyond_the_offset_are_cut_off_and_a_lost_file_ends_its_upload() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let (kept, lost) = (announce(&rig, "a", 100).await, announce(&rig, "b", 100).await);
    for upload in [&kept, &lost] {
        send(&rig, upload, 0, &[1; 40]).await.unwrap();
    }
    let part = |upload: &Upload| rig.services.files.own(&format!("uploads/{}.part", upload.id));
    std::fs::write(part(&kept), [[1; 40], [9; 40]].concat()).unwrap();
    std::fs::write(part(&lost), [1; 39]).unwrap();
    std::fs::write(rig.services.files.own("uploads/nobody.part"), b"x").unwrap();
    let rig = rig.restarted();
    uploads::recover(&rig.services).await.unwrap();
    assert_eq!(uploads::get(&rig.services, &lost.id).await.unwrap_err().code, Code::UploadNotFound);
    assert_eq!(rig.files(), [format!("uploads/{}.part", kept.id)]);
    send(&rig, &kept, 40, &[2; 60]).await.unwrap();
    let (_, media) = tracks::open(&rig.services, "r", "a").unwrap();
    assert_eq!(std::fs::read(media.path()).unwrap(), [&[1; 40][..], &[2; 60]].concat());
}

#[tokio::test]
async fn what_cannot_become_a_track_now_lacks_its_last_byte_alone() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let upload = announce(&rig, "a", 10).await;
    let mut piece = uploads::begin(&rig.services, &http(), &upload.id, 0, None, None).await.unwrap();
    piece.write(Bytes::from_static(b"0123456789")).await.unwrap();
    let busy = rig.services.files.live.begin("r", "a").unwrap();
    assert_eq!(piece.finish().await.unwrap_err().code, Code::Conflict);
    drop(busy);
    assert_eq!(uploads::get(&rig.services, &upload.id).await.unwrap().offset, 9);
    assert!(send(&rig, &upload, 9, b"9").await.unwrap().completed_at.is_some());
    end(&rig, "r").await;
    let (_, media) = tracks::open(&rig.services, "r", "a").unwrap();
    assert_eq!(std::fs::read(media.path()).unwrap(), b"0123456789");
}

#[tokio::test]
async fn a_piece_that_is_dropped_keeps_what_came() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let upload = announce(&rig, "a", 100).await;
    let mut piece = uploads::begin(&rig.services, &http(), &upload.id, 0, None, None).await.unwrap();
    piece.write(Bytes::from_static(&[5; 30])).await.unwrap();
    let second = uploads::begin(&rig.services, &http(), &upload.id, 0, None, None).await;
    assert_eq!(second.err().unwrap().code, Code::UploadLocked);
    drop(piece);
    for _ in 0..1000 {
        if uploads::get(&rig.services, &upload.id).await.unwrap().offset == 30 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("nothing was kept");
}

#[tokio::test]
async fn an_upload_whose_file_is_being_read_is_not_taken_over() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let upload = announce(&rig, "a", 100).await;
    // As while a file is hashed and given its name: nothing comes, and the state is locked.
    let held = rig.services.files.live.begin(".uploads", &upload.id).unwrap();
    let mut state = held.state.lock().await;
    state.open(&rig.services.files.own(&format!("uploads/{}.part", upload.id)), 0).unwrap();
    assert_eq!(uploads::get(&rig.services, &upload.id).await.unwrap().offset, 0);
    assert_eq!(send(&rig, &upload, 0, b"x").await.unwrap_err().code, Code::UploadLocked);
    assert!(!state.closed);
}
