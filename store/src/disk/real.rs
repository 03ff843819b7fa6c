//! One directory of the machine, readable by its owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags};

use super::{Disk, DiskFile, Volume};
use crate::error::OpenError;

/// Zeros written at once where the file system cannot allocate.
const ZEROS_BYTES: usize = 1024 * 1024;

/// A directory nobody else may read, and nobody else has open.
#[derive(Debug)]
pub(crate) struct RealDisk {
    root: PathBuf,
    /// Held as long as the disk is; the lock goes with it.
    _lock: File,
}

/// What in the directory would tell secrets or events to whoever can read it. A directory that is
/// closed itself hides them, but its files may be copied elsewhere as they are.
const PRIVATE: [&str; 3] = ["catalog.db", "master.key", "wal"];

impl RealDisk {
    /// Makes or opens `root`, checks its modes and takes its lock.
    pub(crate) fn open(root: &Path) -> Result<Self, OpenError> {
        create_private_dir(root)?;
        check_private_dir(root)?;
        let path = root.join("lock");
        let lock = options().create(true).truncate(false).open(&path);
        let lock = lock.map_err(|error| OpenError::io(&path, &error))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { root: root.to_path_buf(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked(root.to_path_buf())),
            Err(errno) => Err(OpenError::io(&path, &errno.into())),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        debug_assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."));
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

/// Makes a directory of mode 0700, or checks that an existing one is closed to everybody else.
pub(crate) fn create_private_dir(root: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(|error| OpenError::io(root, &error))?;
    check_private(root)
}

/// Refuses a directory that others may read, or something in it that they must not.
pub(crate) fn check_private_dir(root: &Path) -> Result<(), OpenError> {
    check_private(root)?;
    PRIVATE.iter().try_for_each(|name| check_private(&root.join(name)))
}

/// Refuses what others may read; what is not there is nobody's.
fn check_private(path: &Path) -> Result<(), OpenError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpenError::io(path, &error)),
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(OpenError::Readable { path: path.to_path_buf(), mode });
    }
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Fills a file with zeros past the page cache: copying them there, to be read by nobody, would take a
/// tenth of all the processor time that ingest needs.
fn write_zeros_directly(path: &Path, size_bytes: u64) -> io::Result<()> {
    const ALIGNMENT: usize = 4_096;
    let flags = (OFlags::NOFOLLOW | OFlags::DIRECT).bits().cast_signed();
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
    let zeros = vec![0; ZEROS_BYTES + ALIGNMENT];
    let zeros = &zeros[zeros.as_ptr().align_offset(ALIGNMENT)..][..ZEROS_BYTES];
    super::fill_with(zeros, &RealFile(file), size_bytes)
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &str) -> io::Result<()> {
        let path = self.path(path);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        // A link would lead out of the directory that is closed to everybody else.
        if fs::symlink_metadata(&path)?.is_dir() {
            return Ok(());
        }
        let reason = format!("`{}` is a link, not a directory", path.display());
        Err(io::Error::new(io::ErrorKind::NotADirectory, reason))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(dir))? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn list_all(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut paths = Vec::new();
        let mut dirs = vec![dir.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(self.path(&dir))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                if entry.file_type()?.is_dir() {
                    dirs.push(path);
                } else {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn create_new(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = options().create_new(true).open(self.path(path))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create_zeroed(&self, path: &str, size_bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.create_new(path)?;
        // Not every file system lets bytes go past the page cache; all take them through it.
        if write_zeros_directly(&self.path(path), size_bytes).is_err() {
            super::fill_with(&vec![0; ZEROS_BYTES], &*file, size_bytes)?;
        }
        Ok(file)
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(options().open(self.path(path))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.path(dir))?.sync_all()
    }

    fn volume(&self) -> io::Result<Volume> {
        let found = rustix::fs::statvfs(&self.root)?;
        Ok(Volume {
            total_bytes: found.f_blocks * found.f_frsize,
            free_bytes: found.f_bavail * found.f_frsize,
        })
    }

    fn used_bytes(&self) -> io::Result<u64> {
        let mut used_bytes = 0;
        for path in self.list_all("")? {
            match fs::symlink_metadata(self.path(&path)) {
                // Blocks are counted in 512 bytes whatever the file system (stat(2)).
                Ok(metadata) => used_bytes += metadata.blocks() * 512,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(used_bytes)
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, size_bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, size_bytes) {
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            allocated => return Ok(allocated?),
        }
        super::fill_with(&vec![0; ZEROS_BYTES], self, size_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
