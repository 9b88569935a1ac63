//! Files that only the server's own user may read: the database holds secrets that sign.

use std::fs::OpenOptions;
use std::path::Path;

/// Makes an empty file at `path` for its owner alone, unless there is one. `SQLite` gives the files beside a database the
/// rights of the database. What cannot be made here is told when the database is opened.
pub(super) fn make_private(path: &Path) {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if let Err(error) = options.open(path)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        log::debug!("{} cannot be made: {error}", path.display());
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::{Store, StoreOptions};

    #[test]
    fn nobody_else_may_read_a_new_database() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::at(folder.path().join("t.db")) };
        let store = Store::open(&options).unwrap();
        store.write_blocking(|tx| tx.execute("CREATE TABLE t (n BIGINT)")).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
        }
    }
}
