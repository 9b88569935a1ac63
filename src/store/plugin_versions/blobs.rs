//! The bytes of plugins' files: each once by its hash, deflated where that makes them smaller.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use diesel::prelude::*;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::error::{Error, Result};
use crate::model::kept_version::Blob;

use super::super::connection::Reader;
use super::super::failure::OrFail;
use super::super::schema::{plugin_blobs as blobs, plugin_version_files as files};
use super::super::tx::Tx;

/// Files below this many bytes are kept as they are.
const SMALL: usize = 256;

/// A file as it is kept: deflated when that saves at least an eighth of it. For large files this takes milliseconds.
pub fn packed(file: &[u8]) -> Blob {
    let hash = blake3::hash(file).to_hex().to_string();
    let size = i64::try_from(file.len()).unwrap_or(i64::MAX);
    let deflated = (file.len() >= SMALL).then(|| deflate(file)).flatten();
    match deflated.filter(|it| it.len() <= file.len() - file.len() / 8) {
        Some(bytes) => Blob { hash, size, deflated: true, bytes },
        None => Blob { hash, size, deflated: false, bytes: file.to_vec() },
    }
}

fn deflate(file: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(file.len() / 2), Compression::default());
    encoder.write_all(file).ok()?;
    encoder.finish().ok()
}

fn unpacked(size: i64, deflated: bool, bytes: Vec<u8>) -> Result<Arc<[u8]>> {
    if !deflated {
        return Ok(bytes.into());
    }
    let mut file = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    let most = u64::try_from(size).unwrap_or_default();
    DeflateDecoder::new(&*bytes).take(most).read_to_end(&mut file).map_err(Error::internal)?;
    Ok(file.into())
}

impl Tx {
    pub(super) fn keep_blob(&mut self, blob: &Blob) -> Result<()> {
        // Most files of a new version are those of the former one: asking is cheaper than sending them.
        let known = diesel::select(diesel::dsl::exists(blobs::table.find(&blob.hash)));
        if known.get_result(&mut self.conn).or_fail()? {
            return Ok(());
        }
        let values = (
            blobs::hash.eq(&blob.hash),
            blobs::size.eq(blob.size),
            blobs::deflated.eq(blob.deflated),
            blobs::bytes.eq(&blob.bytes),
        );
        diesel::insert_into(blobs::table).values(values).execute(&mut self.conn).or_fail().map(drop)
    }

    pub(super) fn drop_orphan(&mut self, hash: &str) -> Result<()> {
        let had = diesel::select(diesel::dsl::exists(files::table.filter(files::blob.eq(hash))));
        if had.get_result(&mut self.conn).or_fail()? {
            return Ok(());
        }
        diesel::delete(blobs::table.find(hash)).execute(&mut self.conn).or_fail().map(drop)
    }
}

impl Reader {
    /// The bytes of one file of a version, and their hash.
    ///
    /// # Errors
    /// The database's.
    pub fn version_file(&mut self, id: i64, path: &str) -> Result<Option<(String, Arc<[u8]>)>> {
        let row: Option<(String, i64, bool, Vec<u8>)> = files::table
            .inner_join(blobs::table)
            .filter(files::version_id.eq(id))
            .filter(files::path.eq(path))
            .select((blobs::hash, blobs::size, blobs::deflated, blobs::bytes))
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        row.map(|(hash, size, deflated, bytes)| Ok((hash, unpacked(size, deflated, bytes)?))).transpose()
    }

    /// All files of a version with their bytes.
    ///
    /// # Errors
    /// The database's.
    pub fn version_contents(&mut self, id: i64) -> Result<BTreeMap<String, Arc<[u8]>>> {
        let rows: Vec<(String, i64, bool, Vec<u8>)> = files::table
            .inner_join(blobs::table)
            .filter(files::version_id.eq(id))
            .select((files::path, blobs::size, blobs::deflated, blobs::bytes))
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter()
            .map(|(path, size, deflated, bytes)| Ok((path, unpacked(size, deflated, bytes)?)))
            .collect()
    }

    /// How many files are kept, whatever versions have them, and the bytes they take.
    ///
    /// # Errors
    /// The database's.
    pub fn blob_usage(&mut self) -> Result<(i64, i64)> {
        let sum = diesel::dsl::sql::<diesel::sql_types::BigInt>("coalesce(sum(length(bytes)), 0)");
        blobs::table.select((diesel::dsl::count_star(), sum)).first(&mut self.conn).or_fail()
    }
}
