//! What plugins keep for clients: named, with a hash, served over HTTP. The bytes of each hash are kept once a plugin.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};
use crate::model::asset::Asset;

use super::Services;

/// Characters of a name.
const MAX_NAME_CHARS: usize = 128;

/// How much a plugin may keep.
#[derive(Debug, Clone, Copy)]
pub struct AssetQuota {
    /// Assets.
    pub count: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// What is wrong with a name, if anything.
///
/// # Errors
/// A sentence for the script's author.
pub fn check_name(name: &str) -> std::result::Result<(), String> {
    let fits = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let is_name =
        !name.is_empty() && name.len() <= MAX_NAME_CHARS && name.chars().all(fits) && !name.starts_with('.');
    is_name.then_some(()).ok_or_else(|| {
        format!("must be 1 to {MAX_NAME_CHARS} letters, digits, - _ . and must not begin with a dot")
    })
}

/// Where clients get an asset, as a path.
pub fn url(plugin: &str, name: &str) -> String {
    format!("/api/v1/plugins/{plugin}/assets/{name}")
}

/// Saves bytes under a name, in place of what had it; on disk when this is answered.
///
/// # Errors
/// `TooLarge` past the quota; the disk's and the store's.
pub async fn save(
    services: &Services,
    plugin: &str,
    name: &str,
    mime: &str,
    bytes: Vec<u8>,
    quota: AssetQuota,
) -> Result<Asset> {
    // One change of a plugin's assets at a time: what is counted is what is there.
    let _alone = services.alone.turn(&format!("assets/{plugin}")).await;
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let former = get(services, plugin, name)?;
    let (count, kept) = usage(services, plugin)?;
    let more = u64::from(former.is_none());
    if count + more > quota.count {
        let why = format!("the plugin keeps {count} assets; the limit is {} (limits.assets)", quota.count);
        return Err(Error::new(Code::TooLarge, why));
    }
    let after = kept
        .saturating_sub(former.map_or(0, |it| it.size.unsigned_abs()))
        .saturating_add(size.unsigned_abs());
    if after > quota.bytes {
        let why = format!(
            "the plugin would keep {after} bytes of assets; the limit is {} MiB (limits.assets_mib)",
            quota.bytes >> 20
        );
        return Err(Error::new(Code::TooLarge, why));
    }
    let folder = folder(services, plugin);
    let own = folder.clone();
    let sha256 = services.blocking.run(move || write(&own, &bytes)).await?;
    services.files.take_back(&folder.join(&sha256));
    let asset =
        Asset { name: name.to_owned(), mime: mime.to_owned(), sha256, size, created_at: services.now() };
    let (row, whose) = (asset.clone(), plugin.to_owned());
    let orphan = services.store.write(move |tx| tx.put_asset(&whose, &row)).await?;
    forget(services, plugin, orphan);
    Ok(asset)
}

/// One asset.
///
/// # Errors
/// The store's.
pub fn get(services: &Services, plugin: &str, name: &str) -> Result<Option<Asset>> {
    services.store.read(|it| it.asset(plugin, name))
}

/// The assets of a plugin by name, at most `limit` after `after`.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services, plugin: &str, after: &str, limit: i64) -> Result<Vec<Asset>> {
    let (plugin, after) = (plugin.to_owned(), after.to_owned());
    services.read_long(move |it| it.list_assets(&plugin, &after, limit)).await
}

/// Removes an asset; false when there was none.
///
/// # Errors
/// The store's.
pub async fn remove(services: &Services, plugin: &str, name: &str) -> Result<bool> {
    let _alone = services.alone.turn(&format!("assets/{plugin}")).await;
    let (whose, name) = (plugin.to_owned(), name.to_owned());
    let (was_there, orphan) = services.store.write(move |tx| tx.delete_asset(&whose, &name)).await?;
    forget(services, plugin, orphan);
    Ok(was_there)
}

/// How many assets a plugin has, and their bytes.
///
/// # Errors
/// The store's.
pub fn usage(services: &Services, plugin: &str) -> Result<(u64, u64)> {
    let (count, bytes) = services.store.read(|it| it.asset_usage(plugin))?;
    Ok((count.unsigned_abs(), bytes.unsigned_abs()))
}

/// All bytes of an asset.
///
/// # Errors
/// They cannot be read.
pub async fn read(services: &Services, plugin: &str, asset: &Asset) -> Result<Vec<u8>> {
    let path = folder(services, plugin).join(&asset.sha256);
    services.blocking.run(move || std::fs::read(path).map_err(Error::internal)).await
}

/// Removes the files that no row names, as a crash between a file and its row leaves them; how many there were. For the
/// start, when nobody saves anything.
///
/// # Errors
/// The store's.
pub async fn sweep(services: &Services) -> Result<usize> {
    let own = services.clone();
    services.blocking.run(move || sweep_all(&own)).await
}

fn sweep_all(services: &Services) -> Result<usize> {
    let plugins = entries(&services.settings.data_dir.join("plugins"), std::fs::FileType::is_dir);
    let mut removed = 0;
    for (plugin, path) in plugins {
        let folder = path.join("assets");
        let is_folder = std::fs::symlink_metadata(&folder).is_ok_and(|it| it.is_dir());
        let mut files = if is_folder { entries(&folder, std::fs::FileType::is_file) } else { Vec::new() };
        files.retain(|(name, _)| is_hash(name));
        if files.is_empty() {
            continue;
        }
        let known = services.store.read(|it| it.asset_hashes(&plugin))?;
        let lost = files.iter().filter(|(name, _)| !known.contains(name));
        let gone = lost.filter(|(_, path)| match std::fs::remove_file(path) {
            Ok(()) => true,
            Err(error) => {
                log::warn!("{} cannot be removed: {error}", path.display());
                false
            }
        });
        let gone = gone.count();
        if gone > 0 {
            log::info!(plugin = plugin.as_str(); "removed the files of assets that were never finished: {gone}");
        }
        removed += gone;
    }
    Ok(removed)
}

/// Names and paths of what lies in a folder; nothing when it cannot be read.
fn entries(folder: &Path, wanted: impl Fn(&std::fs::FileType) -> bool) -> Vec<(String, PathBuf)> {
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    let found = found.flatten().filter(|it| it.file_type().is_ok_and(|it| wanted(&it)));
    found.filter_map(|it| Some((it.file_name().into_string().ok()?, it.path()))).collect()
}

/// Whether a file is named as [`write`] names what it has finished.
fn is_hash(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

fn folder(services: &Services, plugin: &str) -> PathBuf {
    services.settings.data_dir.join("plugins").join(plugin).join("assets")
}

/// Writes bytes under their hash, whole or not at all.
fn write(folder: &Path, bytes: &[u8]) -> Result<String> {
    use std::io::Write;
    let hash: String = Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect();
    let path = folder.join(&hash);
    if path.exists() {
        return Ok(hash);
    }
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull => {
            Error::new(Code::DiskFull, "The disk is full; nothing was changed.")
        }
        _ => Error::internal(error),
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let part = folder.join(format!("{}.part", uuid::Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = std::fs::File::create_new(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, &path)?;
        std::fs::File::open(folder)?.sync_all()
    })();
    if let Err(error) = written {
        let _ = std::fs::remove_file(&part);
        return Err(failed(error));
    }
    Ok(hash)
}

/// Removes the bytes that no asset has any more; a leftover costs room, nothing else.
fn forget(services: &Services, plugin: &str, orphan: Option<String>) {
    let Some(hash) = orphan else { return };
    let path = folder(services, plugin).join(hash);
    if services.files.put_off(path.clone()) {
        return;
    }
    services.blocking.start(move || {
        if let Err(error) = std::fs::remove_file(&path) {
            log::warn!("{} cannot be removed: {error}", path.display());
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::services::testing::World;

    #[tokio::test]
    async fn files_without_a_row_go_at_the_start_and_nothing_else_does() {
        let world = World::new(&tokio::runtime::Handle::current(), Arc::new(SystemClock));
        let quota = AssetQuota { count: 9, bytes: 1 << 20 };
        let kept = save(&world.services, "p", "a.txt", "text/plain", b"kept".to_vec(), quota).await.unwrap();
        let own = folder(&world.services, "p");
        let other = folder(&world.services, "gone");
        std::fs::create_dir_all(&other).unwrap();
        let lost = "0".repeat(64);
        for path in [
            own.join(&lost),
            other.join(&kept.sha256),
            own.join("note.txt"),
            own.join(lost.to_uppercase() + "A"),
        ] {
            std::fs::write(path, "x").unwrap();
        }
        assert_eq!(sweep(&world.services).await.unwrap(), 2);
        assert_eq!(sweep(&world.services).await.unwrap(), 0);
        assert!(own.join(&kept.sha256).exists() && own.join("note.txt").exists());
        assert!(!own.join(&lost).exists() && !other.join(&kept.sha256).exists());
        assert_eq!(read(&world.services, "p", &kept).await.unwrap(), b"kept");
    }
}
