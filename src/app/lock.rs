//! One server per data folder: a lock that ends with the process, whatever way it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// So long a server that was killed may take to be gone, while the one that takes its place starts already.
const ENDING: Duration = Duration::from_secs(1);

/// The lock on a data folder; it is given back when this is dropped or the process ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// The same as [`lock_data_dir`] for a server that starts: one that is about to end is waited for.
///
/// # Errors
/// As there.
pub fn take_over_data_dir(data_dir: &Path) -> io::Result<DataLock> {
    let began = Instant::now();
    loop {
        match lock_data_dir(data_dir) {
            Err(fault) if fault.kind() == io::ErrorKind::ResourceBusy && began.elapsed() < ENDING => {
                std::thread::sleep(Duration::from_millis(20));
            }
            locked_or_not => return locked_or_not,
        }
    }
}

/// Locks a data folder, made when it is missing.
///
/// # Errors
/// Another server has it, or the folder cannot be written; the message says which folder and what to do.
pub fn lock_data_dir(data_dir: &Path) -> io::Result<DataLock> {
    let told = |fault: io::Error, what: &str| {
        io::Error::new(
            fault.kind(),
            format!("the data folder {} cannot be {what}: {fault}", data_dir.display()),
        )
    };
    std::fs::create_dir_all(data_dir).map_err(|fault| told(fault, "made"))?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(data_dir.join(".lock"))
        .map_err(|fault| told(fault, "locked"))?;
    match file.try_lock() {
        Ok(()) => Ok(DataLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!(
                "another panotti uses the data folder {}: stop it, or give this one another folder with --data-dir",
                data_dir.display()
            ),
        )),
        Err(TryLockError::Error(fault)) => Err(told(fault, "locked")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_on_one_data_folder_refuse() {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().join("new/data");
        let first = lock_data_dir(&data_dir).expect("the first one");
        let fault = lock_data_dir(&data_dir).expect_err("the second one");
        assert!(fault.to_string().contains("another panotti uses the data folder"), "{fault}");
        drop(first);
        lock_data_dir(&data_dir).expect("free again");
    }

    #[test]
    fn one_that_is_about_to_end_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = lock_data_dir(folder.path()).expect("the first one");
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(first);
        });
        take_over_data_dir(folder.path()).expect("free after a moment");
        ends.join().expect("no panic");
    }
}
