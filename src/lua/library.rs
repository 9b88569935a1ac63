//! The modules that ship with the host: `scripts/lib`, embedded, required as `@panotti/<name>`.

use super::require::Library;

/// What tests require, and nothing else.
pub const TEST: &str = "@panotti/test";

/// The modules of a test: those of plugins, and `@panotti/test`.
pub fn with_tests() -> Library {
    let mut library = library();
    library.insert("test.luau", include_str!("../../scripts/testing/test.luau"));
    library
}

/// Every file of `scripts/lib`, by its path there.
pub fn library() -> Library {
    Library::from([("inspect.luau", include_str!("../../scripts/lib/inspect.luau"))])
}

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lib")).unwrap();
        let mut files: Vec<String> =
            folder.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        assert_eq!(files, library().into_keys().collect::<Vec<_>>());
    }
}
