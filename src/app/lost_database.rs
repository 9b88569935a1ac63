//! A data folder without its database: starting there would make an empty one, under which all that lies there belongs
//! to nobody. A disk that is not mounted, or a file that was deleted or cut to nothing, looks like that.

use std::fs;
use std::path::Path;

use crate::config::Settings;

/// What to do about it.
pub const REMEDY: &str = "Put the file back or take a backup back with `panotti restore`; to begin anew, move what lies there away, or name another folder with --data-dir.";

/// What lies there without its database, if anything does.
pub fn look(settings: &Settings) -> Option<String> {
    let (database, data) = (settings.database_path(), &settings.data_dir);
    let state = match fs::metadata(&database) {
        Ok(about) if about.len() > 0 => return None,
        Ok(_) => "is empty",
        Err(_) => "is missing",
    };
    let (key, media) = (data.join("admin.token"), data.join("media"));
    let key = key.is_file().then(|| format!("{} is a key for it", key.display()));
    let recorded = has_file(&media.join("recordings"), 1) || has_file(&media.join("clips"), 0);
    let recorded = recorded.then(|| format!("{} holds what was recorded", media.display()));
    let beside: Vec<String> = recorded.into_iter().chain(key).collect();
    (!beside.is_empty()).then(|| format!("{} {state}, but {}", database.display(), beside.join(" and ")))
}

/// Whether there is a file in a folder or so many levels below.
fn has_file(folder: &Path, levels: u32) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|it| match it.file_type() {
        Ok(kind) if kind.is_dir() => levels > 0 && has_file(&it.path(), levels - 1),
        kind => kind.is_ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_its_database_is_told_and_one_that_never_had_any_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let settings = Settings {
            data_dir: data.clone(),
            database_url: format!("sqlite:{}", data.join("panotti.db").display()),
            ..Settings::default()
        };
        assert_eq!(look(&settings), None);
        fs::create_dir_all(data.join("media/recordings/r")).unwrap();
        fs::create_dir_all(data.join("media/clips")).unwrap();
        fs::write(data.join("panotti.db"), "").unwrap();
        assert_eq!(look(&settings), None, "a first start that was cut off");
        fs::write(data.join("admin.token"), "k").unwrap();
        let told = look(&settings).unwrap();
        assert!(
            told.contains("panotti.db is empty, but") && told.ends_with("admin.token is a key for it"),
            "{told}"
        );
        fs::write(data.join("media/recordings/r/mic.wav"), "RIFF").unwrap();
        fs::remove_file(data.join("panotti.db")).unwrap();
        let told = look(&settings).unwrap();
        assert!(
            told.contains("panotti.db is missing, but") && told.contains("media holds what was recorded and"),
            "{told}"
        );
        fs::write(data.join("panotti.db"), "SQLite format 3").unwrap();
        assert_eq!(look(&settings), None, "whether it is whole is another question");
    }
}
