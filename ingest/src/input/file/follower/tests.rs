//! Real files, written, rotated and cut short, and what is read of them.

use std::io::Write as _;

use tempfile::TempDir;

use super::*;

/// A folder and who follows a pattern in it.
struct Folder {
    dir: TempDir,
    pattern: &'static str,
    follower: Follower,
}

fn limits() -> Limits {
    Limits { record_bytes_max: 20, dead_letter_bytes_max: 4, ..Limits::default() }
}

fn folder(pattern: &'static str) -> Folder {
    let dir = tempfile::tempdir().expect("a folder");
    let follower = Follower::new(dir.path().join(pattern), &limits());
    Folder { dir, pattern, follower }
}

impl Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let file = File::options().create(true).append(true).open(self.path(name));
        file.expect("opened").write_all(text.as_bytes()).expect("written");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    /// What logrotate's `copytruncate` does, in its two steps.
    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("copied");
    }

    fn truncate(&self, name: &str) {
        File::options().write(true).open(self.path(name)).expect("opened").set_len(0).expect("cut");
    }

    /// All lines there are now.
    fn read(&mut self) -> Vec<String> {
        let mut read = Vec::new();
        // Once more after nothing was found: a file that was cut short is begun in the next round.
        for _ in 0..3 {
            self.follower.scanned_at = None;
            while let Some(chunk) = self.follower.next() {
                read.extend(chunk.lines.iter().map(|line| match line {
                    Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                    Line::TooLong(beginning, size) => {
                        format!("{}… {size}", String::from_utf8_lossy(beginning))
                    }
                }));
                let place =
                    Place { done: chunk.end, tail: chunk.tail.clone(), ..chunk.before.clone() };
                self.follower.advance(&chunk, place);
            }
        }
        assert_eq!(self.follower.problem(), None);
        read
    }

    /// The process ends; another knows what was saved.
    fn restart(mut self) -> Self {
        let mut known = Follower::new(self.path(self.pattern), &limits());
        for followed in self.follower.files.drain(..) {
            known.remember(followed.item, followed.place);
        }
        for (item, place) in self.follower.orphans.drain(..) {
            known.remember(item, place);
        }
        Self { follower: known, ..self }
    }

    /// Nothing has come for long.
    fn wait(&mut self) {
        for followed in &mut self.follower.files {
            followed.grew_at -= ROTATED_WAIT;
        }
    }
}

#[test]
fn new_lines_are_read_once_over_restarts() {
    let mut folder = folder("app.log");
    folder.append("app.log", "a\nb\npart");
    folder.append("other.log", "no\n");
    assert_eq!(folder.read(), ["a", "b"]);
    folder.append("app.log", "ial\nc\n");
    let mut folder = folder.restart();
    assert_eq!(folder.read(), ["partial", "c"]);
    let mut folder = folder.restart();
    assert_eq!(folder.read(), [""; 0]);
    assert_eq!((folder.follower.lag(), folder.follower.restarts()), (0, 0));
}

#[test]
fn a_renamed_file_is_read_to_its_end() {
    let mut folder = folder("app.log");
    folder.append("app.log", "a\n");
    assert_eq!(folder.read(), ["a"]);
    folder.append("app.log", "b\n");
    folder.rename("app.log", "app.log.1");
    folder.append("app.log", "c\n");
    folder.append("app.log.1", "d\nlast");
    let mut read = folder.read();
    read.sort();
    assert_eq!(read, ["b", "c", "d"]);
    // Its writer is gone: what has no end is a line all the same.
    folder.wait();
    assert_eq!(folder.read(), ["last"]);
    folder.append("app.log", "e\n");
    assert_eq!(folder.read(), ["e"]);
}

#[test]
fn a_file_renamed_while_nobody_looked_is_found_again() {
    for pattern in ["app.log", "app.log*"] {
        let mut folder = folder(pattern);
        folder.append("app.log", "a\n");
        assert_eq!(folder.read(), ["a"]);
        folder.append("app.log", "b\n");
        folder.rename("app.log", "app.log.1");
        folder.append("app.log", "c\n");
        let mut folder = folder.restart();
        let mut read = folder.read();
        read.sort();
        assert_eq!(read, ["b", "c"], "{pattern}");
    }
}

#[test]
fn a_file_that_is_cut_short_is_begun_anew() {
    let mut folder = folder("app.log");
    folder.append("app.log", "first line\n");
    assert_eq!(folder.read(), ["first line"]);
    folder.truncate("app.log");
    folder.append("app.log", "new\n");
    assert_eq!(folder.read(), ["new"]);
    assert_eq!(folder.follower.restarts(), 1);
    // Longer than before, and with another content.
    folder.truncate("app.log");
    folder.append("app.log", "another one\nand more\n");
    let mut folder = folder.restart();
    assert_eq!(folder.read(), ["another one", "and more"]);
}

#[test]
fn a_copy_is_not_read_again_and_holds_what_was_not_read() {
    let mut folder = folder("app.log*");
    folder.append("app.log", "a\nb\n");
    assert_eq!(folder.read(), ["a", "b"]);
    folder.copy("app.log", "app.log.1");
    assert_eq!(folder.read(), [""; 0], "between copying and truncating");
    folder.truncate("app.log");
    folder.append("app.log", "c\n");
    assert_eq!(folder.read(), ["c"]);
    // Lines that came after our last look are in the copy alone.
    folder.append("app.log", "d\n");
    folder.rename("app.log.1", "app.log.2");
    folder.copy("app.log", "app.log.1");
    folder.truncate("app.log");
    folder.append("app.log", "e\n");
    let mut read = folder.read();
    read.sort();
    assert_eq!(read, ["d", "e"]);
    let mut folder = folder.restart();
    assert_eq!(folder.read(), [""; 0]);
}

#[test]
fn two_files_that_say_the_same_are_two() {
    let mut folder = folder("*.log");
    folder.append("a.log", "started\n");
    folder.append("b.log", "started\n");
    assert_eq!(folder.read(), ["started", "started"]);
}

#[test]
fn a_line_that_is_too_long_keeps_its_beginning() {
    let mut folder = folder("app.log");
    folder.append("app.log", "0123456789012345678901234");
    assert_eq!(folder.read(), [""; 0]);
    folder.append("app.log", "5\nshort\n");
    assert_eq!(folder.read(), ["0123… 26", "short"]);
}

#[test]
fn a_folder_means_the_files_in_it_that_are_not_hidden() {
    let mut folder = folder("");
    folder.append("a", "1\n");
    folder.append(".hidden", "2\n");
    fs::create_dir(folder.path("sub")).expect("made");
    folder.append("sub/b", "3\n");
    assert_eq!(folder.read(), ["1"]);
}

#[test]
fn patterns_have_stars_and_question_marks() {
    for (pattern, name, expected) in [
        ("*.log", "a.log", true),
        ("*.log", "a.log.1", false),
        ("app*.log*", "app-1.log.2", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*a*b", "xaxxb", true),
        ("*a*b", "xaxxbc", false),
        ("", "", true),
    ] {
        assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
    }
}
