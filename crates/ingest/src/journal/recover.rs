//! What is found when a journal is opened.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::disk::{sync_folder, write_whole};
use super::format::{Found, MAGIC, read};
use super::keys;
use super::{OpenError, SegmentInfo, keys_path, segment_path};
use crate::batch::Key;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Last sequence number that was used.
    pub last: u64,
    /// Bytes behind the last whole record that were cut off: a write that was never acknowledged.
    pub cut_bytes: u64,
    /// Files whose damage was noticed; they are kept as they are.
    pub damaged: Vec<PathBuf>,
}

/// What was found, the segments, and the newest keys, oldest first.
pub(super) type Everything = (Recovered, VecDeque<SegmentInfo>, Vec<(Key, u64)>);

/// Looks through `folder`.
pub(super) fn recover(folder: &Path, most_keys: usize) -> Result<Everything, OpenError> {
    recover_folder(folder, most_keys).map_err(|(path, source)| OpenError::Io { path, source })
}

type Failure = (PathBuf, io::Error);

fn recover_folder(folder: &Path, most_keys: usize) -> Result<Everything, Failure> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| (path, source)
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    let (firsts, key_files) = files(folder).map_err(at(folder))?;
    let mut found = Recovered::default();
    let mut segments = VecDeque::new();
    for (index, &first) in firsts.iter().enumerate() {
        let path = segment_path(folder, first);
        let is_last = index + 1 == firsts.len();
        let bytes = path.metadata().map_err(at(&path))?.len();
        if !is_last && key_files.contains(&first) {
            // It was finished in order; it is checked when it is read.
            segments.push_back(SegmentInfo { first, last: firsts[index + 1] - 1, bytes });
            continue;
        }
        let scan = scan(&path, first).map_err(at(&path))?;
        let last = if is_last { scan.last } else { firsts[index + 1] - 1 };
        if is_last && scan.len < bytes {
            cut(&path, scan.len).map_err(at(&path))?;
            found.cut_bytes = bytes - scan.len;
        } else if scan.len < bytes || scan.last != last {
            found.damaged.push(path.clone());
        }
        if last < first {
            // Nothing was ever in it, and its name is wanted again.
            fs::remove_file(&path).map_err(at(&path))?;
            found.last = found.last.max(last);
            continue;
        }
        let keys_path = keys_path(folder, first);
        write_whole(&keys_path, &keys::to_bytes(&scan.keys)).map_err(at(&keys_path))?;
        segments.push_back(SegmentInfo { first, last, bytes: scan.len });
    }
    found.last = found.last.max(segments.back().map_or(0, |segment| segment.last));
    sync_folder(folder).map_err(at(folder))?;
    let keys = known_keys(folder, &segments, most_keys, &mut found).map_err(at(folder))?;
    Ok((found, segments, keys))
}

/// First sequence numbers of all segments, in order, and of all files of keys.
fn files(folder: &Path) -> io::Result<(Vec<u64>, Vec<u64>)> {
    let (mut segments, mut keys) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some((number, extension)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        let Ok(first) = number.parse::<u64>() else { continue };
        match extension {
            "journal" => segments.push(first),
            "keys" => keys.push(first),
            _ => {}
        }
    }
    segments.sort_unstable();
    keys.sort_unstable();
    Ok((segments, keys))
}

/// What a segment holds.
struct Scan {
    /// Last sequence number, `first - 1` for none.
    last: u64,
    /// Length of the file up to the end of the last whole record.
    len: u64,
    keys: Vec<(Key, u64)>,
}

fn scan(path: &Path, first: u64) -> io::Result<Scan> {
    let mut reader = BufReader::with_capacity(256 << 10, File::open(path)?);
    let mut scan = Scan { last: first.saturating_sub(1), len: 0, keys: Vec::new() };
    let mut magic = Vec::new();
    reader.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic != MAGIC {
        return Ok(scan);
    }
    scan.len = MAGIC.len() as u64;
    while let Found::Record(batch, sequence, size) = read(&mut reader)? {
        if sequence != scan.last + 1 {
            break;
        }
        scan.last = sequence;
        scan.len += size;
        scan.keys.extend(batch.origin.key.map(|key| (key, sequence)));
    }
    Ok(scan)
}

fn cut(path: &Path, len: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(len)?;
    file.sync_all()
}

/// The newest `most` keys, oldest first. Files whose keys are all too old are removed.
fn known_keys(
    folder: &Path,
    segments: &VecDeque<SegmentInfo>,
    most: usize,
    found: &mut Recovered,
) -> io::Result<Vec<(Key, u64)>> {
    let (_, mut files) = files(folder)?;
    let mut newest = Vec::new();
    while let Some(first) = files.pop() {
        let path = keys_path(folder, first);
        if newest.len() >= most {
            if !segments.iter().any(|segment| segment.first == first) {
                fs::remove_file(&path)?;
            }
            continue;
        }
        match keys::from_bytes(&fs::read(&path)?) {
            Some(keys) => newest.extend(keys.into_iter().rev()),
            None => found.damaged.push(path),
        }
    }
    newest.truncate(most);
    newest.reverse();
    Ok(newest)
}
