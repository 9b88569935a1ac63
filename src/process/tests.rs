use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

fn program(folder: &Path, tool: &str, arguments: &[&str]) -> Program {
    Program {
        tool: tool.into(),
        arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
        folder: folder.to_owned(),
        input: Vec::new(),
        timeout: Duration::from_secs(20),
        max_output_bytes: 4 << 20,
        max_memory_bytes: 1 << 30,
        max_file_bytes: 1 << 20,
    }
}

#[tokio::test]
async fn arguments_are_handed_over_as_they_are_and_the_environment_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let ended =
        run(program(folder.path(), "/bin/echo", &["$(id)", "; rm -rf /", "`x`", "a b"])).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.output), "$(id) ; rm -rf / `x` a b\n");
    assert_eq!((ended.code, ended.signal), (Some(0), None));
    let ended = run(program(folder.path(), "/usr/bin/env", &[])).await.unwrap();
    let text = String::from_utf8_lossy(&ended.output).into_owned();
    let mut names: Vec<&str> = text.lines().filter_map(|it| it.split('=').next()).collect();
    names.retain(|it| !["PWD", "OLDPWD", "SHLVL", "_"].contains(it)); // the shell's own
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "PANOTTI_CALL", "PATH", "TMPDIR"]);
}

#[tokio::test]
async fn a_megabyte_goes_in_and_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let input: Vec<u8> = (0..1_000_000u32).map(|it| it as u8).collect();
    let ended =
        run(Program { input: input.clone(), ..program(folder.path(), "/bin/cat", &[]) }).await.unwrap();
    assert_eq!(ended.output, input);
}

#[tokio::test]
async fn what_runs_too_long_or_writes_too_much_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let alive = folder.path().join("alive");
    let script = format!("(while true; do date > {0}; sleep 0.05; done) & wait", alive.display());
    let slow = Program {
        timeout: Duration::from_millis(500),
        ..program(folder.path(), "/bin/sh", &["-c", &script])
    };
    assert_eq!(run(slow).await, Err(Fault::TooSlow(Duration::from_millis(500))));
    gone(&alive).await;
    let loud = Program { max_output_bytes: 1000, ..program(folder.path(), "/usr/bin/yes", &[]) };
    assert_eq!(run(loud).await, Err(Fault::TooMuch(1000)));
}

#[tokio::test]
async fn whoever_stops_waiting_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let alive = folder.path().join("alive");
    let script = format!("trap '' TERM; while true; do date > {}; sleep 0.05; done", alive.display());
    let running = tokio::spawn(run(program(folder.path(), "/bin/sh", &["-c", &script])));
    let began = Instant::now();
    while !alive.exists() {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.abort();
    gone(&alive).await;
}

/// Waits until nobody makes the file again.
async fn gone(alive: &Path) {
    let began = Instant::now();
    loop {
        let _ = std::fs::remove_file(alive);
        tokio::time::sleep(Duration::from_millis(400)).await;
        if !alive.exists() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
    }
}

#[tokio::test]
async fn a_signal_an_exit_code_and_a_missing_program_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(program(folder.path(), "/bin/sh", &["-c", "echo no >&2; exit 3"])).await.unwrap();
    assert_eq!((ended.code, ended.error.as_slice()), (Some(3), b"no\n".as_slice()));
    let ended = run(program(folder.path(), "/bin/sh", &["-c", "kill -9 $$"])).await.unwrap();
    assert_eq!((ended.code, ended.signal), (None, Some(9)));
    let ended = run(program(folder.path(), "/nowhere/tool", &[])).await.unwrap();
    assert!(ended.code == Some(127) && !ended.error.is_empty(), "{ended:?}");
}

#[tokio::test]
async fn no_file_grows_beyond_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let head = |bytes: &str| {
        program(folder.path(), "/bin/sh", &["-c", &format!("exec head -c {bytes} /dev/zero > big")])
    };
    let ended = run(head("1048576")).await.unwrap();
    assert_eq!((ended.code, ended.signal), (Some(0), None));
    let ended = run(head("1048577")).await.unwrap();
    assert_ne!(ended.code, Some(0));
    assert_eq!(std::fs::metadata(folder.path().join("big")).unwrap().len(), 1 << 20);
}

#[test]
fn a_runtime_that_ends_leaves_no_program_behind_that_ignores_the_request_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let alive = folder.path().join("alive");
    let script = format!("trap '' TERM; while true; do date > {}; sleep 0.05; done", alive.display());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.spawn(run(program(folder.path(), "/bin/sh", &["-c", &script])));
    let began = Instant::now();
    while !alive.exists() {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(gone(&alive));
}
