//! `backup.json`: written with a hash of itself in its last line, and read only when that is right.

use std::collections::BTreeSet;

use crate::model::backup::{BackupFault, DATABASE, FORMAT, Manifest};

/// What stands between the manifest and the hash of it.
const SEAL: &str = ",\n  \"blake3\": \"";
const END: &str = "\"\n}\n";

/// Folders that files of a backup lie in.
pub(super) const MEDIA: &str = "media";
/// Plugins' data.
pub(super) const PLUGINS: &str = "plugins";
/// Plugins' code.
pub(super) const CODE: &str = "code";
/// The server's settings file.
pub(super) const SETTINGS: &str = "panotti.yaml";

/// The text of the file.
pub(super) fn encode(manifest: &Manifest) -> Result<String, BackupFault> {
    let text = serde_json::to_string_pretty(manifest).map_err(|it| BackupFault::Failed(it.to_string()))?;
    let open = text.strip_suffix("\n}").unwrap_or(&text);
    Ok(format!("{open}{SEAL}{}{END}", blake3::hash(open.as_bytes()).to_hex()))
}

/// What the file says, when nothing in it has changed and every path stays inside.
pub(super) fn decode(text: &str) -> Result<Manifest, BackupFault> {
    let damaged = |what: &str| BackupFault::Damaged(format!("backup.json is damaged: {what}"));
    let (open, seal) = text.rsplit_once(SEAL).ok_or_else(|| damaged("it is cut off"))?;
    let hash = seal.strip_suffix(END).ok_or_else(|| damaged("it is cut off"))?;
    // The form is asked first: a later one may be sealed in another way.
    let form: serde_json::Value = serde_json::from_str(text).map_err(|it| damaged(&it.to_string()))?;
    if let Some(format) = form["format"].as_u64().filter(|it| *it > u64::from(FORMAT)) {
        return Err(BackupFault::Failed(format!(
            "the backup was made by panotti {} in form {format}, and this is panotti {}, which knows form {FORMAT}: \
             use the version that made it, or a newer one",
            form["server_version"].as_str().unwrap_or("?"),
            env!("CARGO_PKG_VERSION"),
        )));
    }
    if blake3::hash(open.as_bytes()).to_hex().as_str() != hash {
        return Err(damaged("its text is not the one that was written"));
    }
    let manifest: Manifest = serde_json::from_value(form).map_err(|it| damaged(&it.to_string()))?;
    let mut seen = BTreeSet::new();
    for file in &manifest.files {
        if !is_inside(&file.path) {
            return Err(damaged(&format!("the path {:?} does not belong in a backup", file.path)));
        }
        if !seen.insert(&file.path) {
            return Err(damaged(&format!("the path {:?} is there twice", file.path)));
        }
    }
    match manifest.files.iter().any(|it| it.path == DATABASE) {
        true => Ok(manifest),
        false => Err(damaged(&format!("it has no {DATABASE}"))),
    }
}

/// Whether a path is one that a backup has, and leads nowhere else.
pub(super) fn is_inside(path: &str) -> bool {
    let plain = |it: &str| !it.is_empty() && it != "." && it != ".." && !it.contains('\0');
    let mut parts = path.split('/');
    match parts.next() {
        Some(DATABASE | SETTINGS) => parts.next().is_none(),
        Some(MEDIA | PLUGINS | CODE) => parts.clone().next().is_some() && parts.all(plain),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::backup::BackupFile;
    use crate::model::time::Timestamp;

    use super::*;

    fn manifest(paths: &[&str]) -> Manifest {
        let file = |path: &&str| BackupFile { path: (*path).to_owned(), size: 1, blake3: "00".to_owned() };
        Manifest {
            format: FORMAT,
            id: "a".into(),
            server_version: "0.1.0".into(),
            schema: "1".into(),
            begun_at: Timestamp(0),
            ended_at: Timestamp(1),
            counts: [("clips".to_owned(), 3)].into(),
            bytes: 2,
            warnings: Vec::new(),
            files: paths.iter().map(file).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_any_flipped_bit_is_noticed() {
        let wanted = manifest(&["panotti.db", "media/clips/1.wav", "code/a/init.lua", "panotti.yaml"]);
        let text = encode(&wanted).unwrap();
        assert_eq!(decode(&text).unwrap(), wanted);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let read = String::from_utf8(bytes).map(|text| decode(&text).is_ok());
            assert_ne!(read, Ok(true), "byte {at}");
            assert!(decode(&text[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "../x",
            "/etc/passwd",
            "media/../../x",
            "media",
            "media/",
            "media//x",
            "media/./x",
            "x",
            "",
            "panotti.db/x",
            "plugins/a/..",
            "media/a\0b",
        ] {
            let text = encode(&manifest(&["panotti.db", path])).unwrap();
            assert!(matches!(decode(&text), Err(BackupFault::Damaged(_))), "{path:?}");
        }
        assert!(decode(&encode(&manifest(&["media/x"])).unwrap()).is_err(), "without a database");
        assert!(decode(&encode(&manifest(&["panotti.db", "panotti.db"])).unwrap()).is_err(), "twice");
    }

    #[test]
    fn a_later_form_is_named_and_not_guessed_at() {
        let text =
            encode(&Manifest { format: 2, server_version: "9.0.0".into(), ..manifest(&["panotti.db"]) });
        let told = decode(&text.unwrap()).unwrap_err().to_string();
        assert!(told.contains("panotti 9.0.0 in form 2"), "{told}");
    }
}
