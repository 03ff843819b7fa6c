//! The operator's file of passwords that others have lost.
//!
//! It is read through at every change of a password: that is seldom, and costs no memory. One password
//! a line, as it is (case is ignored) or as its SHA-1 in hexadecimal, with anything after a `:` as
//! public collections have it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use ring::digest;

use super::password::PasswordError;

/// Bytes of the file that are read: about six million hashes, and half a second.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of one line.
const LINE_BYTES_MAX: u64 = 4 * 1024;

/// Refuses a password that stands in the file. Must not run on an async thread.
pub(super) fn check(file: &Path, password: &str) -> Result<(), PasswordError> {
    let wanted = password.to_lowercase();
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let sha1: String = sha1.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let unreadable = |error: std::io::Error| {
        tracing::error!("the list of breached passwords cannot be read: {error}");
        PasswordError::NoList
    };
    let file = File::open(file).map_err(unreadable)?;
    let mut lines = BufReader::new(file.take(FILE_BYTES_MAX));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(unreadable)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        let hash = text.split(':').next().unwrap_or_default();
        if text.to_lowercase() == wanted || hash.eq_ignore_ascii_case(&sha1) {
            return Err(PasswordError::Breached);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_file_is_refused_however_it_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("breached.txt");
        // The SHA-1 of "tide over the mill", as public collections write it.
        let text = "Summer-of-2026!\r\n0FB9B93BF1AC3B2F2C0D0B1C8F2A3F0F00000000:7\nHASH:3\n";
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, b"tide over the mill");
        let sha1: String = sha1.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        std::fs::write(&file, text.replace("HASH", &sha1)).expect("written");
        for (password, expected) in [
            ("summer-of-2026!", Err(PasswordError::Breached)),
            ("tide over the mill", Err(PasswordError::Breached)),
            ("Tide over the mill", Ok(())),
            ("summer-of-2026", Ok(())),
        ] {
            assert_eq!(check(&file, password), expected, "{password}");
        }
        let missing = check(&dir.path().join("nowhere"), "tide over the mill");
        assert_eq!(missing, Err(PasswordError::NoList));
    }
}
