//! Stops a build with the dashboard when the dashboard was not built, or is older than its sources.

use std::path::Path;
use std::time::SystemTime;
use std::{env, fs, io};

/// What the built dashboard is made from. The generated client of the API is one of the sources.
const SOURCES: &[&str] = &[
    "ui/src",
    "ui/public",
    "ui/compress.mjs",
    "ui/index.html",
    "ui/package.json",
    "ui/package-lock.json",
    "ui/svelte.config.js",
    "ui/tsconfig.json",
    "ui/types.mjs",
    "ui/vite.config.ts",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_UI").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed=ui/dist");
    for source in SOURCES.iter().filter(|source| Path::new(source).exists()) {
        println!("cargo::rerun-if-changed={source}");
    }
    if let Err(problem) = check_dashboard() {
        println!("cargo::error={problem}: run `make ui`");
    }
}

fn check_dashboard() -> Result<(), &'static str> {
    let built = fs::metadata("ui/dist/index.html").and_then(|meta| meta.modified());
    let built = built.map_err(|_| "the dashboard is not built (web/ui/dist is missing)")?;
    let newest = SOURCES.iter().filter_map(|source| newest_change(Path::new(source)).ok()).max();
    if newest.is_some_and(|newest| newest > built) {
        return Err("the dashboard in web/ui/dist is older than its sources");
    }
    Ok(())
}

/// When the file, or the youngest file below the folder, was last changed.
fn newest_change(path: &Path) -> io::Result<SystemTime> {
    let meta = fs::metadata(path)?;
    if !meta.is_dir() {
        return meta.modified();
    }
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(path)? {
        newest = newest.max(newest_change(&entry?.path())?);
    }
    Ok(newest)
}
