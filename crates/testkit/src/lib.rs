//! What tests share: the large corpora, where a machine has them, and the content the repository ships.
//!
//! For tests only; nothing of the product uses this crate. The corpora are not part of the repository: the environment
//! variable `KHIEN_CORPUS` names their folder, and a test over them that finds none says so and passes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub mod ocsf;
#[cfg(unix)]
pub mod postgres;
pub mod server;

/// Most bytes that one archive may unpack to. Above the largest corpus, below what would hurt a test machine.
const UNPACKED_BYTES: u64 = 1 << 30;

/// Largest window of the zstd archives, as the power of two that `zstd --long` takes.
const WINDOW_LOG: u32 = 27;

/// The folder of the corpora; says `skipped` and gives `None` when `KHIEN_CORPUS` is not set.
///
/// # Panics
/// When `KHIEN_CORPUS` names no folder: a test that is meant to run must not be skipped by a spelling mistake.
pub fn corpus() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("KHIEN_CORPUS").map(PathBuf::from) else {
        eprintln!("skipped: KHIEN_CORPUS is not set");
        return None;
    };
    assert!(folder.is_dir(), "KHIEN_CORPUS names no folder: {}", folder.display());
    Some(folder)
}

/// The unpacked bytes of the archive `name` (`x.jsonl.zst`) of the corpora; `None` when there are no corpora.
///
/// # Panics
/// When the archive cannot be read.
pub fn read_zst(name: &str) -> Option<Vec<u8>> {
    let path = corpus()?.join(name);
    Some(unpack(&path).unwrap_or_else(|error| panic!("could not unpack {}: {error}", path.display())))
}

/// The files in the archive `name` (`x.tar.zst`) of the corpora, each with its path; `None` when there are no corpora.
///
/// # Panics
/// When the archive cannot be read.
pub fn read_tar_zst(name: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let path = corpus()?.join(name);
    let files = unpack(&path).and_then(|bytes| files_of(&bytes));
    Some(files.unwrap_or_else(|error| panic!("could not unpack {}: {error}", path.display())))
}

/// The `content/` folder of the repository.
pub fn content() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content")
}

fn unpack(path: &Path) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::Decoder::new(File::open(path)?)?;
    decoder.window_log_max(WINDOW_LOG)?;
    let mut bytes = Vec::new();
    decoder.take(UNPACKED_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > UNPACKED_BYTES {
        return Err(io::Error::other("it unpacks to more than 1 GiB"));
    }
    Ok(bytes)
}

fn files_of(archive: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.push((name, bytes));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_archive_comes_back() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o644);
        builder.append_data(&mut header, "folder/a.log", &b"hello"[..]).unwrap();
        let packed = zstd::encode_all(&builder.into_inner().unwrap()[..], 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.zst");
        std::fs::write(&path, packed).unwrap();

        let files = files_of(&unpack(&path).unwrap()).unwrap();

        assert_eq!(files, [("folder/a.log".to_owned(), b"hello".to_vec())]);
    }

    #[test]
    fn a_broken_archive_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zst");
        std::fs::write(&path, b"not zstd").unwrap();
        assert!(unpack(&path).is_err());
        assert!(unpack(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn the_corpora_are_readable_where_they_are() {
        let Some(files) = read_tar_zst("sigmahq-regression-dev.tar.zst") else {
            return;
        };
        assert!(files.iter().any(|(name, _)| name.ends_with("info.yml")));
    }
}
