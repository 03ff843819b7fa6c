//! Secrets that a program prints: a password manager, a cloud's tool.
//!
//! In: a program with its arguments, run as it is, without a shell, with our environment and nothing
//! on its standard input. Out: what it prints on standard output. What it prints on standard error is
//! thrown away, it may be about the secret. It has [`TIMEOUT`].

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::SECRET_BYTES_MAX;

/// How long a program may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked at whether it has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What a program prints.
///
/// # Errors
///
/// Why there is nothing: it cannot be started, fails, prints too much or no text, or takes too long.
pub(super) fn output(program: &Path, arguments: &[String]) -> Result<String, String> {
    output_within(program, arguments, TIMEOUT)
}

fn output_within(
    program: &Path,
    arguments: &[String],
    timeout: Duration,
) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let stdout = child.stdout.take().expect("it is piped");
    // Whom the program leaves behind may keep its output open: nobody waits for the thread.
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes);
        let _ = told.send(read.map(|_| bytes));
    });
    let result = finish(&mut child, &heard, Instant::now() + timeout);
    if result.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    String::from_utf8(result?).map_err(|_| "it prints no text".to_owned())
}

fn finish(
    child: &mut Child,
    heard: &mpsc::Receiver<std::io::Result<Vec<u8>>>,
    deadline: Instant,
) -> Result<Vec<u8>, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    let read = heard.recv_timeout(left).map_err(|_| "it takes too long".to_owned())?;
    let bytes = read.map_err(|error| format!("its output cannot be read: {error}"))?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("it prints more than {SECRET_BYTES_MAX} bytes"));
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(bytes),
            Ok(Some(status)) => return Err(format!("it ends with {status}")),
            Err(error) => return Err(format!("it cannot be waited for: {error}")),
            Ok(None) if Instant::now() >= deadline => return Err("it takes too long".to_owned()),
            Ok(None) => std::thread::sleep(LOOK_INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &Result<&str, &str>) {
        let arguments = ["-c".to_owned(), line.to_owned()];
        let given = output_within(Path::new("/bin/sh"), &arguments, Duration::from_secs(2));
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(given, expected, "{line}");
    }

    #[test]
    fn a_program_gives_what_it_prints_or_a_reason_without_it() {
        check("echo s3cret; echo noise >&2", &Ok("s3cret\n"));
        check("echo s3cret; exit 3", &Err("it ends with exit status: 3"));
        check("printf '\\377'", &Err("it prints no text"));
        check("head -c 70000 /dev/zero", &Err("it prints more than 65536 bytes"));
        check("echo s3cret; exec sleep 60", &Err("it takes too long"));
        let missing = output(Path::new("/nowhere/at/all"), &[]).expect_err("not there");
        assert!(missing.starts_with("it cannot be started: "), "{missing}");
    }

    #[test]
    fn no_shell_reads_the_arguments() {
        let given = output(Path::new("/bin/echo"), &["$(id)".to_owned(), ";".to_owned()]);
        assert_eq!(given, Ok("$(id) ;\n".to_owned()));
    }
}
