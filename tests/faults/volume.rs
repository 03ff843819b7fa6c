//! Volumes that can be filled and switched off: an ext4 in a file, a tmpfs; both unmounted when dropped.
//!
//! They need root and loop devices. Where those are missing, [`Volume::ext4`] and [`Volume::tmpfs`]
//! say so and give nothing, and the story passes untold.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Programs of an administrator are not on everybody's path.
const ADMIN_PATHS: &str = "/usr/sbin:/sbin:/usr/bin:/bin";
/// Bytes a foreign file grows by at once, before it takes the last ones singly.
const FILL_BYTES: usize = 1 << 20;

/// What still happens to what the disk has not got when the power goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// All of it is written, then nothing more.
    AfterSync = 0,
    /// The file system's own log is written: names and sizes, not contents.
    AfterLog = 1,
    /// Nothing is written.
    AtOnce = 2,
}

/// A mounted volume.
pub(crate) struct Volume {
    mount_point: PathBuf,
    /// The folder of the image, and the image; none for a tmpfs.
    image: Option<(TempDir, PathBuf)>,
    is_mounted: bool,
}

impl Volume {
    /// Makes an ext4 of `mib` MiB and mounts it at `mount_point`, which is created.
    pub(crate) fn ext4(mount_point: &Path, mib: u64) -> Option<Self> {
        let folder =
            tempfile::Builder::new().prefix("logwarden-volume-").tempdir().expect("a folder");
        let image = folder.path().join("disk.img");
        let file = File::create(&image).expect("an image");
        file.set_len(mib << 20).expect("a sparse file");
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image)).expect("mkfs.ext4");
        let image = Some((folder, image));
        let mut volume = Self { mount_point: mount_point.to_owned(), image, is_mounted: false };
        volume
            .mount_first()
            .map_err(|error| println!("not tried, an ext4 cannot be mounted here: {error}"))
            .ok()?;
        Some(volume)
    }

    /// Mounts a tmpfs of `mib` MiB at `mount_point`, which is created.
    pub(crate) fn tmpfs(mount_point: &Path, mib: u64) -> Option<Self> {
        fs::create_dir_all(mount_point).expect("a mount point");
        let size = format!("size={mib}m,mode=0700");
        let mount =
            run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(mount_point));
        mount
            .map_err(|error| println!("not tried, a tmpfs cannot be mounted here: {error}"))
            .ok()?;
        Some(Self { mount_point: mount_point.to_owned(), image: None, is_mounted: true })
    }

    fn mount_first(&mut self) -> Result<(), String> {
        fs::create_dir_all(&self.mount_point).expect("a mount point");
        self.mount()?;
        fs::set_permissions(&self.mount_point, Permissions::from_mode(0o700)).expect("a mode");
        Ok(())
    }

    fn mount(&mut self) -> Result<(), String> {
        let (_, image) = self.image.as_ref().expect("only an ext4 is mounted again");
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&self.mount_point))?;
        self.is_mounted = true;
        Ok(())
    }

    /// Cuts the power: from now on nothing that is written reaches the disk.
    pub(crate) fn cut_power(&self, cut: Cut) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shutdown.py");
        let flags = (cut as u32).to_string();
        run(Command::new("python3").arg(script).arg(&self.mount_point).arg(flags))
            .expect("shut down");
    }

    /// What happens when the power comes back: check the disk, mount it again.
    pub(crate) fn restore_power(&mut self) {
        run(Command::new("umount").arg(&self.mount_point)).expect("nobody uses it any more");
        self.is_mounted = false;
        let (_, image) = self.image.as_ref().expect("an ext4");
        // 1: it replayed its log or corrected something.
        run(Command::new("e2fsck").arg("-p").arg(image)).expect("the file system is sound");
        self.mount().expect("mounted again");
    }

    /// Bytes that are free, for root.
    pub(crate) fn free_bytes(&self) -> u64 {
        let volume = rustix::fs::statvfs(&self.mount_point).expect("it is mounted");
        volume.f_bfree * volume.f_frsize
    }

    /// Writes a foreign file of `bytes_max` bytes, or until not one byte more finds room.
    pub(crate) fn fill(&self, name: &str, bytes_max: u64) {
        let mut file = File::create(self.mount_point.join(name)).expect("a foreign file");
        let piece = vec![0xAA; FILL_BYTES];
        let (mut size, mut left) = (FILL_BYTES, bytes_max);
        while size > 0 && left > 0 {
            let wanted = size.min(usize::try_from(left).unwrap_or(size));
            match file.write(&piece[..wanted]) {
                Ok(taken) => left -= taken as u64,
                Err(_) => size = wanted / 2,
            }
        }
        // What was promised room only in memory may still fail here, which fills it as well.
        let _ = file.sync_all();
    }

    /// Removes a foreign file.
    pub(crate) fn free_room(&self, name: &str) {
        fs::remove_file(self.mount_point.join(name)).expect("it was there");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.is_mounted
            && run(Command::new("umount").arg(&self.mount_point)).is_err()
            // Somebody still has a file open there; it goes with the last of them.
            && let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.mount_point))
        {
            eprintln!("`{}` stays mounted: {error}", self.mount_point.display());
        }
    }
}

/// Runs a program; what it says on standard error when it fails. An exit code of 1 from the check
/// of a file system means that it put things in order.
fn run(command: &mut Command) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("PATH", format!("{path}:{ADMIN_PATHS}"))
        .output()
        .map_err(|error| format!("`{program}`: {error}"))?;
    let is_repaired = program == "e2fsck" && output.status.code() == Some(1);
    if output.status.success() || is_repaired {
        return Ok(());
    }
    Err(format!("`{program}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
