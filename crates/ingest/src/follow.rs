//! Files that grow, read line by line from where reading ended.
//!
//! A file is known by its place on the disk and its first line, not by its name: a file that was renamed goes on where it
//! was, one that was truncated or replaced begins anew. What is read is a piece of whole lines with a key that says which
//! file it is of and where it ends, so that who keeps the key knows where to go on and a piece is never taken twice.
//!
//! In folders, files are left out whose names say that they are old or packed (`.1`, `.gz`...): with them everything would
//! come a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use khien_base::limits::RECORD_BYTES;
use sha2::{Digest, Sha256};

use crate::batch::{Key, RECORDS};
use crate::body::{Records, lines};

/// Files at once.
const FILES: usize = 4_096;

/// Deepest folder that is entered.
const DEPTH: usize = 16;

/// Bytes of a first line by which a file is known.
const HEAD: usize = 1_024;

/// Bytes that are read at once, and at most, when no line ends in them: a line that is allowed fits.
const PIECE: usize = 1 << 20;
const LONGEST: usize = RECORD_BYTES + 1;

/// Endings of names of files that are old or packed.
const OLD: [&str; 9] = ["gz", "bz2", "xz", "zst", "zip", "old", "bak", "tmp", "swp"];

/// Whole lines of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file by the name under which it was found.
    pub path: PathBuf,
    /// Which file, and where the piece ends.
    pub key: Key,
    /// The lines.
    pub records: Records,
}

/// Something that cannot be read; it is tried again with the next scan.
#[derive(Debug)]
pub struct Trouble {
    /// File or folder.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

/// See the module text.
#[derive(Debug, Default)]
pub struct Follower {
    wanted: Vec<PathBuf>,
    /// Where each file was read up to for certain.
    positions: BTreeMap<u64, u64>,
    open: BTreeMap<u64, Open>,
    /// The file that was read last.
    last: u64,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    /// Where reading goes on.
    offset: u64,
    /// It was there in the last scan.
    seen: bool,
}

impl Follower {
    /// Follows files and everything in folders, from `positions` on; see [`Follower::positions`].
    pub fn new(wanted: Vec<PathBuf>, positions: BTreeMap<u64, u64>) -> Self {
        Self { wanted, positions, ..Self::default() }
    }

    /// Where each file was read up to for certain: what is to be remembered.
    pub fn positions(&self) -> &BTreeMap<u64, u64> {
        &self.positions
    }

    /// A piece is durable elsewhere.
    pub fn confirm(&mut self, key: Key) {
        let (file, end) = parts(key);
        let position = self.positions.entry(file).or_insert(0);
        *position = (*position).max(end);
        if let Some(open) = self.open.get_mut(&file) {
            open.offset = open.offset.max(end);
        }
    }

    /// Looks which files there are now.
    pub fn scan(&mut self) -> Vec<Trouble> {
        let mut trouble = Vec::new();
        let mut found = BTreeSet::new();
        for path in self.wanted.clone() {
            if path.is_dir() {
                files_in(&path, DEPTH, &mut found, &mut trouble);
            } else {
                found.insert(path);
            }
        }
        for open in self.open.values_mut() {
            open.seen = false;
        }
        for path in found {
            if let Err(error) = self.meet(&path) {
                trouble.push(Trouble { path, error });
            }
        }
        // A file that is gone is kept until it was read to its end.
        self.open.retain(|_, open| open.seen || open.file.metadata().is_ok_and(|data| data.len() > open.offset));
        trouble
    }

    fn meet(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        let Some(id) = identity(&mut file)? else { return Ok(()) };
        if let Some(open) = self.open.get_mut(&id) {
            open.seen = true;
            path.clone_into(&mut open.path);
            return Ok(());
        }
        if self.open.len() >= FILES {
            return Err(io::Error::other(format!("more than {FILES} files are followed already")));
        }
        let offset = self.positions.get(&id).copied().unwrap_or(0);
        self.open.insert(id, Open { path: path.to_owned(), file, offset, seen: true });
        Ok(())
    }

    /// The next whole lines of some file, `None` when no file has any. Files take turns.
    pub fn read(&mut self) -> Result<Option<Piece>, Trouble> {
        let turn: Vec<u64> =
            self.open.range(self.last + 1..).chain(self.open.range(..=self.last)).map(|(id, _)| *id).collect();
        for id in turn {
            let Some(open) = self.open.get_mut(&id) else { continue };
            self.last = id;
            match open.read(id) {
                Ok(None) => {}
                Ok(piece) => return Ok(piece),
                Err(error) => {
                    let path = open.path.clone();
                    self.open.remove(&id);
                    return Err(Trouble { path, error });
                }
            }
        }
        Ok(None)
    }
}

impl Open {
    fn read(&mut self, id: u64) -> io::Result<Option<Piece>> {
        let length = self.file.metadata()?.len();
        if length <= self.offset {
            return Ok(None);
        }
        let mut bytes = self.bytes(PIECE)?;
        if bytes.len() == PIECE && memchr::memchr(b'\n', &bytes).is_none() {
            bytes = self.bytes(LONGEST)?;
        }
        // A batch has so many records at most.
        let end = match memchr::memchr_iter(b'\n', &bytes).nth(RECORDS - 1) {
            Some(last) => Some(last),
            None => memchr::memrchr(b'\n', &bytes),
        };
        match end {
            Some(end) => bytes.truncate(end + 1),
            // A line that nobody takes; what follows it is read as a line of its own.
            None if bytes.len() >= LONGEST => {}
            None => return Ok(None),
        }
        self.offset += bytes.len() as u64;
        let records = lines::records(Bytes::from(bytes));
        Ok(Some(Piece { path: self.path.clone(), key: key(id, self.offset), records }))
    }

    /// At most so many bytes from where reading goes on.
    fn bytes(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(self.offset))?;
        self.file.by_ref().take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn key(file: u64, end: u64) -> Key {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&file.to_le_bytes());
    bytes[8..].copy_from_slice(&end.to_le_bytes());
    Key(bytes)
}

fn parts(Key(bytes): Key) -> (u64, u64) {
    let half = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
    (half(0), half(8))
}

/// What a file is known by; `None` while its first line is not whole.
fn identity(file: &mut File) -> io::Result<Option<u64>> {
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let line = match memchr::memchr(b'\n', &head) {
        Some(end) => &head[..end],
        None if head.len() == HEAD => &head,
        None => return Ok(None),
    };
    let mut hash = Sha256::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let data = file.metadata()?;
        hash.update(data.dev().to_le_bytes());
        hash.update(data.ino().to_le_bytes());
    }
    hash.update(line);
    let digest = hash.finalize();
    Ok(Some(u64::from_le_bytes(digest[..8].try_into().unwrap_or_default())))
}

fn is_old(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    name.starts_with('.')
        || OLD.iter().any(|old| ending.eq_ignore_ascii_case(old))
        || !ending.is_empty() && ending.bytes().all(|byte| byte.is_ascii_digit())
}

/// Every file below a folder that is not old.
fn files_in(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>, trouble: &mut Vec<Trouble>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return trouble.push(Trouble { path: folder.to_owned(), error }),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        // Symbolic links are not followed: they may lead out of the folder or round in circles.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth > 0 {
            files_in(&path, depth - 1, found, trouble);
        } else if kind.is_file() && !is_old(&path) {
            found.insert(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;

    fn append(path: &Path, text: &str) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn all(follower: &mut Follower) -> Vec<String> {
        assert!(follower.scan().is_empty());
        let mut found = Vec::new();
        while let Some(piece) = follower.read().unwrap() {
            follower.confirm(piece.key);
            for span in &piece.records.spans {
                let line = &piece.records.body[span.start as usize..][..span.len as usize];
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        found.sort();
        found
    }

    #[test]
    fn whole_lines_come_once_and_reading_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        append(&log, "one\ntwo\nthr");
        append(&folder.path().join("a.log.1"), "old\n");
        append(&folder.path().join("b.log.gz"), "packed\n");
        let mut follower = Follower::new(vec![folder.path().to_owned()], BTreeMap::new());
        assert_eq!(all(&mut follower), ["one", "two"]);
        append(&log, "ee\nfour\n");
        append(&folder.path().join("c.log"), "new\n");
        assert_eq!(all(&mut follower), ["four", "new", "three"]);
        assert_eq!(all(&mut follower), [""; 0]);
        // Another process goes on.
        let mut later = Follower::new(vec![folder.path().to_owned()], follower.positions().clone());
        append(&log, "five\n");
        assert_eq!(all(&mut later), ["five"]);
    }

    #[test]
    fn renamed_files_go_on_and_truncated_ones_begin_anew() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        append(&log, "first line\none\n");
        let mut follower = Follower::new(vec![log.clone()], BTreeMap::new());
        assert_eq!(all(&mut follower), ["first line", "one"]);
        append(&log, "two\n");
        fs::rename(&log, folder.path().join("a.log.1")).unwrap();
        append(&log, "other first line\n");
        assert_eq!(all(&mut follower), ["other first line", "two"]);
        fs::write(&log, "x\n").unwrap();
        assert_eq!(all(&mut follower), ["x"]);
        append(&log, "y\n");
        assert_eq!(all(&mut follower), ["y"]);
    }

    #[test]
    fn a_line_that_never_ends_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        append(&log, &"x".repeat(2 * LONGEST));
        append(&log, "\nshort\n");
        let mut follower = Follower::new(vec![log], BTreeMap::new());
        assert!(follower.scan().is_empty());
        let (mut rejected, mut lines) = (0, 0);
        while let Some(piece) = follower.read().unwrap() {
            rejected += piece.records.rejected;
            lines += piece.records.spans.len();
        }
        assert!(rejected >= 1 && lines >= 1, "{rejected} {lines}");
    }

    #[test]
    fn a_piece_fits_into_a_batch() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        append(&log, &"x\n".repeat(3 * RECORDS));
        append(&log, &format!("{}\n", "y".repeat(3 * PIECE)));
        let mut follower = Follower::new(vec![log], BTreeMap::new());
        assert!(follower.scan().is_empty());
        let mut sizes = Vec::new();
        while let Some(piece) = follower.read().unwrap() {
            sizes.push(piece.records.spans.len());
        }
        assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (3 * RECORDS + 1, Some(&RECORDS)));
    }

    #[test]
    fn what_is_missing_is_told_and_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("later.log");
        let mut follower = Follower::new(vec![log.clone()], BTreeMap::new());
        let trouble = follower.scan();
        assert_eq!((trouble.len(), &trouble[0].path), (1, &log));
        append(&log, "here\n");
        assert_eq!(all(&mut follower), ["here"]);
    }
}
