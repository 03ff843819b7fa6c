//! A disk in memory that behaves as badly as real ones are allowed to.
//!
//! Until a file is synced, a crash keeps any subset of its 4 KiB pages and may tear one; until a
//! directory is synced, a crash keeps any subset of the changes to its names. A sync can fail once
//! and then reports success for pages it never wrote; the volume can be full; any operation can be
//! the last before the crash; a bit can flip. All of it follows from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile, PAGE_BYTES, Volume, parent};
use crate::random::Random;

/// What goes wrong, and how often. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Syncs of a thousand that fail and lose what they should have written.
    pub sync_fails_per_mille: u32,
    /// Writes of a thousand that make a file longer and find no room.
    pub no_room_per_mille: u32,
    /// The process dies at this many operations from now on.
    pub crash_after_operations: Option<u64>,
}

#[derive(Debug, Default)]
struct Inode {
    /// What a reader sees.
    cached: Vec<u8>,
    /// What a crash leaves.
    durable: Vec<u8>,
    dirty: BTreeSet<u64>,
}

/// A change of names in one directory, not yet durable.
#[derive(Debug)]
enum NameChange {
    Add(String, u64),
    Remove(String),
    Move(String, String, u64),
}

#[derive(Debug)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending: Vec<NameChange>,
    next_inode: u64,
    /// Counts crashes: a file opened before one is dead.
    life: u64,
    has_crashed: bool,
    random: Random,
    faults: DiskFaults,
    capacity_bytes: u64,
    foreign_bytes: u64,
    used_bytes: u64,
    sync_failures: u64,
    no_room_errors: u64,
}

/// A disk that lives as long as its simulation; clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

impl SimulatedDisk {
    /// An empty disk of `capacity_bytes`.
    pub(crate) fn new(random: Random, capacity_bytes: u64) -> Self {
        let state = State {
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            next_inode: 0,
            life: 0,
            has_crashed: false,
            random,
            faults: DiskFaults::default(),
            capacity_bytes,
            foreign_bytes: 0,
            used_bytes: 0,
            sync_failures: 0,
            no_room_errors: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// What goes wrong from now on.
    pub(crate) fn set_faults(&self, faults: DiskFaults) {
        self.lock().faults = faults;
    }

    /// Lets somebody else take room, so that `free_bytes` are left.
    pub(crate) fn set_free_bytes(&self, free_bytes: u64) {
        let mut state = self.lock();
        state.foreign_bytes =
            state.capacity_bytes.saturating_sub(state.used_bytes).saturating_sub(free_bytes);
    }

    /// Makes the volume larger or smaller.
    pub(crate) fn set_volume_bytes(&self, capacity_bytes: u64) {
        self.lock().capacity_bytes = capacity_bytes;
    }

    /// Syncs that failed so far.
    pub(crate) fn sync_failures(&self) -> u64 {
        self.lock().sync_failures
    }

    /// Writes that found no room so far.
    pub(crate) fn no_room_errors(&self) -> u64 {
        self.lock().no_room_errors
    }

    /// Whether the process died by itself.
    pub(crate) fn has_crashed(&self) -> bool {
        self.lock().has_crashed
    }

    /// The power goes: what was not synced is kept or lost by chance. Open files are dead; the
    /// disk can be used again.
    pub(crate) fn crash(&self) {
        let mut state = self.lock();
        state.lose_names();
        state.lose_pages();
        state.life += 1;
        state.has_crashed = false;
        state.faults = DiskFaults::default();
    }

    /// The process dies, the machine goes on: nothing is lost, open files are dead.
    pub(crate) fn kill(&self) {
        let mut state = self.lock();
        state.life += 1;
        state.has_crashed = false;
        state.faults = DiskFaults::default();
    }

    /// Flips one durable bit of a file whose path begins with `prefix`; tells which file and byte.
    pub(crate) fn flip_bit(&self, prefix: &str) -> Option<(String, u64)> {
        let mut state = self.lock();
        let State { names, inodes, random, .. } = &mut *state;
        let files: Vec<(&String, u64)> = names
            .iter()
            .filter(|(path, inode)| path.starts_with(prefix) && !inodes[inode].durable.is_empty())
            .map(|(path, inode)| (path, *inode))
            .collect();
        if files.is_empty() {
            return None;
        }
        let (path, inode) = files[random.below(files.len() as u64) as usize];
        let path = path.clone();
        let inode = inodes.get_mut(&inode)?;
        let offset = random.below(inode.durable.len().min(inode.cached.len()) as u64);
        let bit = 1 << random.below(8);
        inode.durable[offset as usize] ^= bit;
        inode.cached[offset as usize] ^= bit;
        Some((path, offset))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// The state, unless the process is dead or dies right now.
    fn operate(&self, life: Option<u64>) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if let Some(left) = state.faults.crash_after_operations {
            state.has_crashed |= left == 0;
            state.faults.crash_after_operations = Some(left.saturating_sub(1));
        }
        if state.has_crashed || life.is_some_and(|life| life != state.life) {
            return Err(io::Error::other("the simulated process is dead"));
        }
        Ok(state)
    }

    fn handle(&self, state: &State, inode: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimulatedFile { disk: self.clone(), inode, life: state.life })
    }
}

impl State {
    fn lose_names(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            if self.random.happens(500) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let kept: BTreeSet<u64> = self.names.values().copied().collect();
        self.inodes.retain(|inode, _| kept.contains(inode));
    }

    fn lose_pages(&mut self) {
        let Self { inodes, random, .. } = self;
        for inode in inodes.values_mut() {
            for page in std::mem::take(&mut inode.dirty) {
                match random.below(5) {
                    0 | 1 => inode.keep(page, 0, PAGE_BYTES),
                    2 => {
                        // A torn page: some of its sectors made it.
                        let sector = 512 * random.below(8);
                        inode.keep(page, sector, PAGE_BYTES - sector);
                    }
                    _ => {}
                }
            }
            inode.cached = inode.durable.clone();
        }
        self.used_bytes = self.inodes.values().map(|inode| inode.cached.len() as u64).sum();
    }

    fn inode(&self, path: &str) -> io::Result<u64> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("`{path}` is not there"));
        self.names.get(path).copied().ok_or_else(missing)
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    /// Forgets what no name leads to, now or after a crash.
    fn forget_unnamed(&mut self) {
        let used: u64 =
            self.names.values().map(|inode| self.inodes[inode].cached.len() as u64).sum();
        self.used_bytes = used;
    }

    fn free_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.used_bytes).saturating_sub(self.foreign_bytes)
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Add(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
            Self::Move(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }

    fn is_in(&self, dir: &str) -> bool {
        match self {
            Self::Add(path, _) | Self::Remove(path) => parent(path) == dir,
            Self::Move(_, to, _) => parent(to) == dir,
        }
    }
}

impl Inode {
    /// Makes `len` bytes from `start` within a page durable.
    fn keep(&mut self, page: u64, start: u64, len: u64) {
        let from = (page * PAGE_BYTES + start) as usize;
        let to = self.cached.len().min(from + len as usize);
        if from >= to {
            return;
        }
        if self.durable.len() < to {
            self.durable.resize(to, 0);
        }
        self.durable[from..to].copy_from_slice(&self.cached[from..to]);
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, _path: &str) -> io::Result<()> {
        // Directories are there as soon as a file is; the real code syncs them like any name.
        self.operate(None).map(drop)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.operate(None)?;
        let names = state.names.keys().filter(|path| parent(path) == dir);
        Ok(names.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect())
    }

    fn list_all(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.operate(None)?;
        let is_under = |path: &str| {
            dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
        };
        Ok(state.names.keys().filter(|path| is_under(path)).cloned().collect())
    }

    fn create_new(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.operate(None)?;
        if state.names.contains_key(path) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{path}` exists")));
        }
        let inode = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(inode, Inode::default());
        state.change(NameChange::Add(path.to_owned(), inode));
        Ok(self.handle(&state, inode))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.operate(None)?;
        let inode = state.inode(path)?;
        Ok(self.handle(&state, inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.operate(None)?;
        let inode = state.inode(from)?;
        state.change(NameChange::Move(from.to_owned(), to.to_owned(), inode));
        state.forget_unnamed();
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.operate(None)?;
        state.inode(path)?;
        state.change(NameChange::Remove(path.to_owned()));
        state.forget_unnamed();
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.operate(None)?;
        let (synced, pending): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.pending).into_iter().partition(|change| change.is_in(dir));
        for change in &synced {
            change.apply(&mut state.durable_names);
        }
        state.pending = pending;
        Ok(())
    }

    fn volume(&self) -> io::Result<Volume> {
        let state = self.operate(None)?;
        Ok(Volume { total_bytes: state.capacity_bytes, free_bytes: state.free_bytes() })
    }

    fn used_bytes(&self) -> io::Result<u64> {
        Ok(self.operate(None)?.used_bytes)
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: u64,
    life: u64,
}

impl SimulatedFile {
    fn operate<T>(&self, work: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.operate(Some(self.life))?;
        work(&mut state, self.inode)
    }
}

impl DiskFile for SimulatedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.operate(|state, inode| {
            let cached = &state.inodes[&inode].cached;
            let range = offset as usize..offset as usize + buffer.len();
            buffer.copy_from_slice(cached.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.operate(|state, inode| {
            let free_bytes = state.free_bytes();
            let end = offset as usize + bytes.len();
            let grows_by = end.saturating_sub(state.inodes[&inode].cached.len()) as u64;
            let per_mille = state.faults.no_room_per_mille;
            if grows_by > free_bytes || (grows_by > 0 && state.random.happens(per_mille)) {
                state.no_room_errors += 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            let file = state.inodes.get_mut(&inode).expect("an open file keeps its inode");
            if grows_by > 0 {
                file.cached.resize(end, 0);
            }
            file.cached[offset as usize..end].copy_from_slice(bytes);
            file.dirty.extend(offset / PAGE_BYTES..(end as u64).div_ceil(PAGE_BYTES));
            state.used_bytes += grows_by;
            Ok(())
        })
    }

    fn allocate(&self, size_bytes: u64) -> io::Result<()> {
        let missing = size_bytes.saturating_sub(self.size_bytes()?) as usize;
        self.write_all_at(&vec![0; missing], size_bytes - missing as u64)
    }

    fn sync(&self) -> io::Result<()> {
        self.operate(|state, inode| {
            let per_mille = state.faults.sync_fails_per_mille;
            let fails = state.random.happens(per_mille);
            let file = state.inodes.get_mut(&inode).expect("an open file keeps its inode");
            let dirty = std::mem::take(&mut file.dirty);
            if fails {
                // The pages count as clean now, as they do on Linux: a second sync succeeds.
                state.sync_failures += 1;
                return Err(io::Error::from_raw_os_error(5));
            }
            for page in dirty {
                file.keep(page, 0, PAGE_BYTES);
            }
            Ok(())
        })
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.operate(|state, inode| Ok(state.inodes[&inode].cached.len() as u64))
    }
}
