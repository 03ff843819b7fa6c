//! Which files a path means now, which of them we know, and what is new in them. Blocking.
//!
//! Files that were known and are gone wait among the orphans: a file that turns up under a related
//! name and holds what was read of one is that file.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::lines::{self, Bounds, Line};
use super::place::{self, Place, Print};
use crate::config::Limits;
use crate::input::feed::new_nonce;
use crate::join;
use crate::protocol::stream::without_line_end;

/// Files of one input that are followed at once; others wait until one is gone.
const FILES_MAX: usize = 1_000;
/// Places of files that are gone; of more the oldest are forgotten.
const ORPHANS_MAX: usize = 1_000;
/// Between two looks at the folder.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// A file that was rotated away is read to its end when nothing came for so long.
const ROTATED_WAIT: Duration = Duration::from_secs(5);

/// New lines of one file.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The file, as in the catalog.
    pub(super) item: String,
    pub(super) path: PathBuf,
    pub(super) before: Place,
    pub(super) lines: Vec<Line>,
    /// The offset after them.
    pub(super) end: u64,
    pub(super) tail: Print,
}

/// A file that is open.
struct Followed {
    item: String,
    file: File,
    path: PathBuf,
    place: Place,
    scanned: u64,
    size: u64,
    /// By the file system's word, in seconds and nanoseconds.
    changed_at: (i64, i64),
    /// When we saw that it had changed.
    grew_at: Instant,
    /// The path it was found under leads to another file, or to none.
    is_rotated: bool,
    /// What was read of it is not in it any more.
    is_changed: bool,
    is_saved: bool,
}

/// The files of one input.
pub(super) struct Follower {
    pattern: PathBuf,
    bounds: Bounds,
    files: Vec<Followed>,
    orphans: Vec<(String, Place)>,
    /// Orphans that nobody needs any more.
    forgotten: Vec<String>,
    /// Files that are a copy of one that is followed, by inode.
    copies: HashMap<(u64, u64), String>,
    scanned_at: Option<Instant>,
    /// The file to look at next.
    turn: usize,
    restarts: u64,
    problem: Option<String>,
}

impl Follower {
    pub(super) fn new(pattern: PathBuf, limits: &Limits) -> Self {
        let bounds = Bounds {
            record_bytes_max: limits.record_bytes_max,
            kept_bytes_max: limits.dead_letter_bytes_max,
            lines_max: limits.connection_records_max,
        };
        Self {
            pattern,
            bounds,
            files: Vec::new(),
            orphans: Vec::new(),
            forgotten: Vec::new(),
            copies: HashMap::new(),
            scanned_at: None,
            turn: 0,
            restarts: 0,
            problem: None,
        }
    }

    /// Takes a place that was saved.
    pub(super) fn remember(&mut self, item: String, place: Place) {
        self.orphans.push((item, place));
    }

    /// Bytes that are not read yet.
    pub(super) fn lag(&self) -> u64 {
        self.files.iter().map(|followed| followed.size.saturating_sub(followed.place.done)).sum()
    }

    /// Times a file was begun anew.
    pub(super) const fn restarts(&self) -> u64 {
        self.restarts
    }

    /// What went wrong since it was asked.
    pub(super) fn problem(&mut self) -> Option<String> {
        self.problem.take()
    }

    /// Items that may be removed from the catalog.
    pub(super) fn take_forgotten(&mut self) -> Vec<String> {
        std::mem::take(&mut self.forgotten)
    }

    /// Places that are further than the catalog says.
    pub(super) fn unsaved(&mut self) -> Vec<(String, Place)> {
        let unsaved = self.files.iter_mut().filter(|followed| !followed.is_saved);
        unsaved
            .map(|followed| {
                followed.is_saved = true;
                (followed.item.clone(), followed.place.clone())
            })
            .collect()
    }

    /// The lines of a chunk are durable.
    pub(super) fn advance(&mut self, chunk: &Chunk, place: Place) {
        if let Some(followed) = self.files.iter_mut().find(|one| one.item == chunk.item) {
            followed.place = place;
            followed.is_saved = false;
        }
    }

    /// New lines of the next file that has any.
    pub(super) fn next(&mut self) -> Option<Chunk> {
        if self.scanned_at.is_none_or(|at| at.elapsed() >= SCAN_INTERVAL) {
            self.scanned_at = Some(Instant::now());
            if let Err(error) = self.scan() {
                self.problem = Some(format!("`{}`: {error}", self.pattern.display()));
            }
        }
        for step in 0..self.files.len() {
            let place = (self.turn + step) % self.files.len();
            match self.files[place].read(self.bounds) {
                Ok(Some(chunk)) => {
                    self.turn = place + 1;
                    return Some(chunk);
                }
                Ok(None) => {}
                Err(error) => {
                    let path = self.files[place].path.display();
                    self.problem = Some(format!("`{path}`: {error}"));
                }
            }
        }
        self.let_go();
        None
    }

    /// Parts from files that were cut short, and from those that were rotated away and read.
    fn let_go(&mut self) {
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(|followed| !followed.is_changed && !followed.is_finished());
        self.files = kept;
        for followed in gone {
            if followed.is_changed {
                self.restarts += 1;
                self.scanned_at = None;
            }
            self.orphans.push((followed.item, followed.place));
        }
        let over = self.orphans.len().saturating_sub(ORPHANS_MAX);
        self.forgotten.extend(self.orphans.drain(..over).map(|(item, _)| item));
    }

    /// Looks at the folder again.
    fn scan(&mut self) -> io::Result<()> {
        // One that was cut short is known as such before its copy is met.
        for followed in &mut self.files {
            followed.look()?;
        }
        self.let_go();
        let (folder, name) = self.folder_and_name();
        let mut meant = HashSet::new();
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if !metadata.is_file() {
                continue;
            }
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let inode = inode_of(&metadata);
            if is_meant(&name, &file_name) {
                meant.insert(inode);
                found.push((path, file_name, inode));
            } else if self.orphans.iter().any(|(_, place)| {
                place.inode == inode
                    && place.done < metadata.len()
                    && are_related(&place.name, &file_name)
            }) {
                // Renamed out of what the path means before we had read it to its end.
                found.push((path, file_name, inode));
            }
        }
        for followed in &mut self.files {
            let now = found.iter().find(|(_, _, inode)| *inode == followed.place.inode);
            followed.is_rotated |= now.is_none_or(|(path, ..)| *path != followed.path);
            if let Some((path, file_name, _)) = now {
                followed.path.clone_from(path);
                followed.place.name.clone_from(file_name);
            }
        }
        self.copies.retain(|inode, _| meant.contains(inode));
        found.sort();
        // First those that are known, so that a copy finds its original followed.
        for is_known in [true, false] {
            for (path, file_name, inode) in &found {
                let is_followed = self.files.iter().any(|one| one.place.inode == *inode);
                let has_place = self.orphans.iter().any(|(_, place)| place.inode == *inode);
                if is_followed || has_place != is_known {
                    continue;
                }
                if self.is_full() {
                    return Ok(());
                }
                if let Err(error) = self.open(path, file_name, *inode) {
                    self.problem = Some(format!("`{}`: {error}", path.display()));
                }
            }
        }
        // One that was known and whose content changed is new.
        for (path, file_name, inode) in &found {
            let is_followed = self.files.iter().any(|one| one.place.inode == *inode);
            if !is_followed
                && !self.is_full()
                && meant.contains(inode)
                && !self.copies.contains_key(inode)
            {
                self.begin(path, file_name, *inode)?;
            }
        }
        Ok(())
    }

    fn is_full(&mut self) -> bool {
        let is_full = self.files.len() >= FILES_MAX;
        if is_full {
            self.problem = Some(format!("more than {FILES_MAX} files: some wait"));
        }
        is_full
    }

    /// Goes on with a file that is known.
    fn open(&mut self, path: &Path, file_name: &str, inode: (u64, u64)) -> io::Result<()> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        if let Some(item) = self.copies.get(&inode)
            && self.files.iter().any(|one| one.item == *item)
        {
            return Ok(());
        }
        let was_copy_of = self.copies.remove(&inode);
        for place in 0..self.orphans.len() {
            let (item, known) = &self.orphans[place];
            let is_same_file = known.inode == inode;
            let is_copy = was_copy_of.as_ref() == Some(item);
            let may_be = is_same_file || is_copy || are_related(&known.name, file_name);
            if !may_be || (known.done == 0 && !is_same_file) {
                continue;
            }
            // A copy that was made before we had read all of its original holds nothing new.
            let is_behind = is_copy && size < known.done;
            if is_behind || known.is_in(&file, size)? {
                let (item, mut known) = self.orphans.remove(place);
                known.inode = inode;
                if is_behind {
                    (known.done, known.tail) = (size, place::tail(&file, size)?);
                }
                self.follow(item, file, path, Place { name: file_name.to_owned(), ..known });
                return Ok(());
            }
        }
        let original = self.files.iter().find(|one| {
            are_related(&one.place.name, file_name) && one.holds(&file, size).unwrap_or(false)
        });
        if let Some(original) = original {
            self.copies.insert(inode, original.item.clone());
        }
        Ok(())
    }

    fn begin(&mut self, path: &Path, file_name: &str, inode: (u64, u64)) -> io::Result<()> {
        let file = File::open(path)?;
        // What was known of another file with this inode is of no use any more, unless a copy of it
        // turns up.
        let item = format!("{:032x}", u128::from_be_bytes(new_nonce()));
        for (_, place) in self.orphans.iter_mut().filter(|(_, place)| place.inode == inode) {
            place.inode = (0, 0);
        }
        self.follow(item, file, path, Place::begin(inode, file_name.to_owned()));
        Ok(())
    }

    fn follow(&mut self, item: String, file: File, path: &Path, place: Place) {
        self.files.push(Followed {
            item,
            file,
            path: path.to_owned(),
            scanned: 0,
            size: place.done,
            changed_at: (0, 0),
            grew_at: Instant::now(),
            is_rotated: false,
            is_changed: false,
            is_saved: true,
            place,
        });
    }

    /// The folder, and what names in it may look like.
    fn folder_and_name(&self) -> (PathBuf, String) {
        if self.pattern.is_dir() {
            return (self.pattern.clone(), "*".to_owned());
        }
        let parent = self.pattern.parent().filter(|parent| !parent.as_os_str().is_empty());
        let name = self.pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (parent.unwrap_or(Path::new(".")).to_owned(), name)
    }
}

impl Followed {
    /// Sees how large it is, and whether what was read of it is still in it.
    fn look(&mut self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        let (size, changed_at) = (metadata.len(), (metadata.mtime(), metadata.mtime_nsec()));
        if (size, changed_at) != (self.size, self.changed_at) {
            (self.size, self.changed_at, self.grew_at) = (size, changed_at, Instant::now());
        } else if size == self.place.done {
            return Ok(());
        }
        self.is_changed |= !self.place.is_in(&self.file, size)?;
        Ok(())
    }

    fn read(&mut self, bounds: Bounds) -> io::Result<Option<Chunk>> {
        self.look()?;
        let size = self.size;
        if self.is_changed || size == self.place.done {
            return Ok(None);
        }
        let is_final = self.is_rotated && self.grew_at.elapsed() >= ROTATED_WAIT;
        let from = self.place.done;
        let (mut lines, mut end) =
            lines::read(&self.file, from, size, &mut self.scanned, is_final, bounds)?;
        let is_full =
            lines.len() >= bounds.lines_max || size - from > bounds.record_bytes_max as u64;
        if is_full || self.grew_at.elapsed() < join::WAIT {
            end -= hold_back(&mut lines, is_full);
        }
        if end == from {
            return Ok(None);
        }
        let before = Place { head: place::head(&self.file, end)?, ..self.place.clone() };
        let tail = place::tail(&self.file, end)?;
        let (item, path) = (self.item.clone(), self.path.clone());
        Ok(Some(Chunk { item, path, before, lines, end, tail }))
    }

    fn is_finished(&self) -> bool {
        self.is_rotated && self.place.done >= self.size && self.grew_at.elapsed() >= ROTATED_WAIT
    }

    /// Whether `other` is a copy of its beginning.
    fn holds(&self, other: &File, size: u64) -> io::Result<bool> {
        if size == 0 || size > self.file.metadata()?.len() {
            return Ok(false);
        }
        Ok(place::head(&self.file, size)? == place::head(other, size)?
            && place::tail(&self.file, size)? == place::tail(other, size)?)
    }
}

/// Takes lines at the end away that may go on with the next one, and gives their bytes. A batch that is
/// full does not wait for itself.
fn hold_back(lines: &mut Vec<Line>, is_full: bool) -> u64 {
    let whole = lines.iter().map_while(|line| match line {
        Line::Whole(line) => Some(without_line_end(line)),
        Line::TooLong(..) => None,
    });
    let open = join::open_records(whole);
    if is_full && open == lines.len() {
        return 0;
    }
    lines.drain(lines.len() - open..).map(|line| line.bytes().len() as u64 + 1).sum()
}

fn inode_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Whether one name is the other with something behind it, as rotation makes them.
fn are_related(one: &str, other: &str) -> bool {
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    one.starts_with(other) || other.starts_with(one) || other.starts_with(&(stem(one) + "-"))
}

/// Whether `name` is meant by a pattern; a hidden file only when the pattern says its dot.
fn is_meant(pattern: &str, name: &str) -> bool {
    (!name.starts_with('.') || pattern.starts_with('.'))
        && matches(pattern.as_bytes(), name.as_bytes())
}

/// `*` stands for any bytes, `?` for one.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == name[from] => {
                (at, from) = (at + 1, from + 1);
            }
            _ => {
                let Some((star_at, begun)) = star else { return false };
                star = Some((star_at, begun + 1));
                (at, from) = (star_at + 1, begun + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
