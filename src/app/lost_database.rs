//! A data folder without its database: starting there would make an empty one, under which all that lies there belongs
//! to nobody. A disk that is not mounted, or a file that was deleted or cut to nothing, looks like that.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::config::Settings;

/// What to do about it.
pub const REMEDY: &str = "Put the file back; or move this folder away, or name another with --data-dir, and take a backup back there with `panotti restore` or begin anew.";

/// What lies there without its database, if anything does.
pub fn look(settings: &Settings) -> Option<String> {
    let (database, data) = (settings.database_path(), &settings.data_dir);
    let state = match fs::metadata(&database) {
        Ok(about) if about.len() > 0 => return None,
        Ok(_) => "is empty".to_owned(),
        Err(fault) if fault.kind() == ErrorKind::NotFound => "is missing".to_owned(),
        Err(fault) => format!("cannot be looked at ({fault})"),
    };
    let (media, plugins) = (data.join("media"), data.join("plugins"));
    let folders = [("recordings", 1), ("clips", 0), ("uploads", 0), ("lost+found", 0)];
    let recorded = folders.iter().any(|(folder, levels)| has_file(&media.join(folder), *levels));
    let mut beside = Vec::new();
    if recorded {
        beside.push(format!("{} holds what was recorded", media.display()));
    }
    if has_file(&plugins, PLUGIN_LEVELS) {
        beside.push(format!("{} holds what plugins keep", plugins.display()));
    }
    let key = data.join("admin.token");
    if key.is_file() {
        beside.push(format!("{} is a key for it", key.display()));
    }
    (!beside.is_empty()).then(|| format!("{} {state}, but {}", database.display(), beside.join(" and ")))
}

/// Why there is no database to work on without a server, if there is none.
pub fn none_to_work_on(settings: &Settings) -> Option<String> {
    let path = settings.database_path();
    let is_there = fs::metadata(&path).is_ok_and(|it| it.len() > 0);
    look(settings).map(|it| format!("{it}. {REMEDY}")).or_else(|| {
        let none =
            || format!("there is no database {}; name the server's folder with --data-dir", path.display());
        (!is_there).then(none)
    })
}

/// A plugin's folder, `assets` in it and theirs.
const PLUGIN_LEVELS: u32 = 3;

/// Whether there is a file in a folder or so many levels below; hidden ones do not count.
fn has_file(folder: &Path, levels: u32) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut shown = entries.filter(|it| !it.file_name().as_encoded_bytes().starts_with(b"."));
    shown.any(|it| match it.file_type() {
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
        assert!(none_to_work_on(&settings).unwrap().starts_with("there is no database"));
        fs::create_dir_all(data.join("media/recordings/r")).unwrap();
        fs::create_dir_all(data.join("media/clips")).unwrap();
        fs::write(data.join("panotti.db"), "").unwrap();
        fs::write(data.join("media/clips/.gitkeep"), "").unwrap();
        assert_eq!(look(&settings), None, "a first start that was cut off");
        fs::create_dir_all(data.join("plugins/p/assets")).unwrap();
        assert_eq!(look(&settings), None, "nothing is kept there yet");
        fs::write(data.join("plugins/p/assets/5e55"), "x").unwrap();
        let told = look(&settings).unwrap();
        assert!(told.ends_with("plugins holds what plugins keep"), "{told}");
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
            told.contains("panotti.db is missing, but")
                && told.contains("media holds what was recorded and "),
            "{told}"
        );
        fs::write(data.join("panotti.db"), "SQLite format 3").unwrap();
        assert_eq!(look(&settings), None, "whether it is whole is another question");
    }
}
