//! Corpora and helpers for the tests of Khiên.
//!
//! Real events and rules are not part of the repository. Where the environment variable `KHIEN_CORPUS` names the folder
//! that holds them, tests read them there; elsewhere they say that they were skipped.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest member of an archive that is read, in bytes.
const MEMBER_BYTES: u64 = 512 << 20;

/// The folder of the corpora. Prints that the test was skipped when `KHIEN_CORPUS` is not set.
#[expect(
    clippy::print_stdout,
    reason = "who runs the tests should see what was not tested"
)]
pub fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("KHIEN_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: KHIEN_CORPUS is not set");
    }
    folder
}

/// Reads a whole `.zst` file, also one with a window of 128 MiB.
///
/// # Errors
/// When the file cannot be opened or is damaged.
pub fn read_zst(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_zst(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a `.zst` file for reading.
///
/// # Errors
/// When the file cannot be opened.
pub fn open_zst(path: &Path) -> io::Result<impl Read> {
    let mut reader = zstd::stream::read::Decoder::new(std::fs::File::open(path)?)?;
    reader.window_log_max(27)?;
    Ok(reader)
}

/// Gives every file of a `.tar.zst` archive, with its path inside, in the order of the archive.
///
/// # Errors
/// When the archive cannot be opened or is damaged.
pub fn untar(path: &Path, mut each: impl FnMut(&Path, Vec<u8>)) -> io::Result<()> {
    let mut archive = tar::Archive::new(open_zst(path)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.into_owned();
        let mut bytes = Vec::new();
        entry.by_ref().take(MEMBER_BYTES).read_to_end(&mut bytes)?;
        each(&name, bytes);
    }
    Ok(())
}
