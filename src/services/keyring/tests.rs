use super::*;

fn settings(folder: &tempfile::TempDir, key: &str) -> Settings {
    Settings {
        data_dir: folder.path().to_owned(),
        secret_key_file: folder.path().join("secret.key"),
        secret_key: SecretKeys::parse(key).unwrap(),
        ..Settings::default()
    }
}

#[test]
fn the_key_file_is_made_with_the_first_secret_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = Keyring::of(&settings(&folder, ""));
    assert_eq!(keyring.check().unwrap(), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let sealed = keyring.seal("config/1/key", "hunter2").unwrap();
    assert!(!sealed.contains("hunter2") && keyring.is_current(&sealed));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(keyring.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = Keyring::of(&settings(&folder, ""));
    assert_eq!(again.open("config/1/key", &sealed).unwrap(), "hunter2");
    assert_ne!(again.seal("config/1/key", "hunter2").unwrap(), sealed, "equal values do not look equal");
}

#[test]
fn secrets_that_come_at_once_on_a_fresh_server_are_sealed_with_one_key() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::of(&settings(&folder, ""));
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let sealed = keyring.seal("row", "hunter2").unwrap();
                    assert!(keyring.is_current(&sealed));
                });
            }
        });
    }
}

#[test]
fn what_was_changed_or_moved_to_another_row_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = Keyring::of(&settings(&folder, ""));
    let sealed = keyring.seal("config/1/key", "hunter2").unwrap();
    assert_eq!(keyring.open("config/2/key", &sealed), Err(SealFault::Changed));
    for at in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(keyring.open("config/1/key", &String::from_utf8(bytes).unwrap()).is_err(), "byte {at}");
    }
    for short in ["", "sealed:", "sealed:1:", &sealed[..sealed.len() / 2]] {
        assert!(keyring.open("config/1/key", short).is_err(), "{short}");
    }
}

#[test]
fn a_variable_wins_over_the_file_which_still_opens_and_another_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let old = Keyring::of(&settings(&folder, "")).seal("r", "x").unwrap();
    let both = Keyring::of(&settings(&folder, &"ab".repeat(32)));
    assert_eq!(both.open("r", &old).unwrap(), "x");
    assert!(!both.is_current(&old) && both.check().unwrap().unwrap().starts_with("PANOTTI_SECRET_KEY"));
    let new = both.seal("r", "x").unwrap();
    std::fs::remove_file(folder.path().join("secret.key")).unwrap();
    let alone = Keyring::of(&settings(&folder, ""));
    let told = alone.open("r", &new).unwrap_err().to_string();
    assert!(told.contains("the server has none") && told.contains("secret.key"), "{told}");
    let other = Keyring::of(&settings(&folder, &"cd".repeat(32)));
    let told = other.open("r", &new).unwrap_err().to_string();
    assert!(told.contains("from PANOTTI_SECRET_KEY") && !told.contains("cdcd"), "{told}");
    let rotated = Keyring::of(&settings(&folder, &format!("{},{}", "cd".repeat(32), "ab".repeat(32))));
    assert_eq!(rotated.open("r", &new).unwrap(), "x");
}

#[test]
fn a_file_that_is_no_key_file_or_was_named_and_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.key"), "hunter2\n").unwrap();
    let error = Keyring::of(&settings(&folder, "")).check().unwrap_err();
    let told = error.detail;
    assert!(told.contains("is wrong") && !told.contains("hunter2"), "{told}");
    let named = Settings { secret_key_file: folder.path().join("mounted.key"), ..settings(&folder, "") };
    let error = Keyring::of(&named).check().unwrap_err();
    assert!(error.detail.contains("there is no file"));
    assert!(Keyring::of(&named).seal("r", "x").is_err());
}
