//! Runs one program to its end.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::group::Group;
use super::strays::MAX_OPEN_FILES;

/// Sets the limits on itself and becomes the program, whose name and arguments it never reads as text of its own.
const LIMITED: &str = r#"ulimit -c 0 && ulimit -n "$4" && ulimit -v "$1" && ulimit -t "$2" && ulimit -f "$3" && shift 4 && exec "$@""#;

/// What the script above answers when a limit cannot be set.
const SHELL: &str = "/bin/sh";

/// One run of a program.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program, as an absolute path.
    pub tool: PathBuf,
    /// Its arguments, handed over as they are.
    pub arguments: Vec<String>,
    /// Where it runs; also its home and its place for temporary files.
    pub folder: PathBuf,
    /// What it reads.
    pub input: Vec<u8>,
    /// It may last so long.
    pub timeout: Duration,
    /// Bytes it may write to its output and error together.
    pub max_output_bytes: usize,
    /// Bytes of its memory.
    pub max_memory_bytes: u64,
    /// Bytes of any one file it writes; more ends it by a signal.
    pub max_file_bytes: u64,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to its output.
    pub output: Vec<u8>,
    /// What it wrote to its error.
    pub error: Vec<u8>,
    /// How long it ran.
    pub took: Duration,
}

/// Why it did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ran too long and was ended.
    #[error("it ran longer than {} ms and was ended", .0.as_millis())]
    TooSlow(Duration),
    /// It wrote too much and was ended.
    #[error("it wrote more than {0} bytes and was ended")]
    TooMuch(usize),
    /// It could not be started.
    #[error("it cannot be started: {0}")]
    NotStarted(String),
    /// Talking to it failed.
    #[error("{0}")]
    Broken(String),
}

/// Runs `program` to its end, and ends what it left running; dropping this ends it, and everything it started.
///
/// # Errors
/// [`Fault`].
pub async fn run(program: Program) -> Result<Ended, Fault> {
    let began = Instant::now();
    let mut command = Command::new(SHELL);
    command
        .arg("-c")
        .arg(LIMITED)
        .arg("sh")
        .arg((program.max_memory_bytes >> 10).to_string())
        .arg((program.timeout.as_secs() + 1).to_string())
        // The shell counts in blocks of 512 bytes.
        .arg((program.max_file_bytes >> 9).to_string())
        .arg(MAX_OPEN_FILES.to_string())
        .arg(&program.tool)
        .args(&program.arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("HOME", &program.folder)
        .env("TMPDIR", &program.folder)
        .current_dir(&program.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut group = Group::start(&mut command).map_err(|error| Fault::NotStarted(error.to_string()))?;
    let done = tokio::time::timeout(program.timeout, talk(&mut group, &program)).await;
    let took = began.elapsed();
    group.end().await;
    let (output, error, status) = done.unwrap_or(Err(Fault::TooSlow(program.timeout)))?;
    Ok(Ended { code: status.code(), signal: status.signal(), output, error, took })
}

type Said = (Vec<u8>, Vec<u8>, std::process::ExitStatus);

/// Writes what it reads and reads what it writes, all at once so that neither waits for the other.
async fn talk(group: &mut Group, program: &Program) -> Result<Said, Fault> {
    let broken = |error: std::io::Error| Fault::Broken(error.to_string());
    let Some(child) = group.child() else { return Err(Fault::Broken("it is gone".to_owned())) };
    let (input, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut input) = input {
            // A program that does not read to the end is free to.
            let _ = input.write_all(&program.input).await;
        }
    };
    let left = std::sync::atomic::AtomicUsize::new(program.max_output_bytes);
    let read = async { tokio::try_join!(read_all(output, &left), read_all(error, &left)) };
    let (read, ()) = tokio::join!(read, write);
    let (output, error) = match read {
        Ok(both) => both,
        Err(Some(error)) => return Err(broken(error)),
        Err(None) => return Err(Fault::TooMuch(program.max_output_bytes)),
    };
    let status = child.wait().await.map_err(broken)?;
    Ok((output, error, status))
}

/// Everything of a stream; an error without a cause when it is more than what is left.
async fn read_all(
    stream: Option<impl AsyncRead + Unpin>,
    left: &std::sync::atomic::AtomicUsize,
) -> Result<Vec<u8>, Option<std::io::Error>> {
    use std::sync::atomic::Ordering;
    let mut bytes = Vec::new();
    let Some(mut stream) = stream else { return Ok(bytes) };
    let mut part = vec![0; 16 << 10];
    loop {
        match stream.read(&mut part).await {
            Ok(0) => return Ok(bytes),
            Ok(count) => {
                let fits =
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(count));
                fits.map_err(|_| None)?;
                bytes.extend_from_slice(&part[..count]);
            }
            Err(error) => return Err(Some(error)),
        }
    }
}
