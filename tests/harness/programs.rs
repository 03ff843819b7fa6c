//! Programs the stories talk to, run as children: whether they are there, and their end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// Where a daemon lies that is not in everybody's path.
const SYSTEM_FOLDERS: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// The Python that `scripts/test-tools.sh` puts into the repository.
pub(crate) fn python() -> PathBuf {
    repository().join(".test-tools/python/bin/python")
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Finds a program by its name, in the path and where daemons lie.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(std::env::split_paths(SYSTEM_FOLDERS));
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// Whether all of these are there; says which is not, so that a story that passes for want of a
/// program is seen to.
pub(crate) fn has(story: &str, programs: &[&str]) -> bool {
    let mut missing: Vec<String> = programs
        .iter()
        .filter(|name| find(name).is_none())
        .map(|name| (*name).to_owned())
        .collect();
    if !python().is_file() {
        missing.push(python().display().to_string());
    }
    if !missing.is_empty() {
        println!("NOT TRIED: {story}: scripts/test-tools.sh installs {}", missing.join(", "));
    }
    missing.is_empty()
}

/// Runs a command to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A child that is killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
