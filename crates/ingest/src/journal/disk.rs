//! The few things the journal asks of a disk, so that tests can let them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A file that is appended to.
pub trait Segment: Write + Send {
    /// Makes everything written durable.
    ///
    /// # Errors
    /// What the system says; nothing is known of what was written since the last success.
    fn sync(&mut self) -> io::Result<()>;

    /// Forgets everything behind `len` bytes and goes on from there.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// The space of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub all_bytes: u64,
    /// What may still be written.
    pub free_bytes: u64,
}

/// Where segments are made.
pub trait Disk: Send {
    /// Makes a new file, which must not exist, and makes its name durable.
    ///
    /// # Errors
    /// What the system says.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Segment>>;

    /// How large it is and what is still free, `None` where nobody knows.
    fn space(&mut self, folder: &Path) -> Option<Space>;
}

/// The real disk.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Segment>> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        if let Some(folder) = path.parent() {
            sync_folder(folder)?;
        }
        Ok(Box::new(RealSegment(file)))
    }

    fn space(&mut self, folder: &Path) -> Option<Space> {
        let stat = rustix::fs::statvfs(folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Some(Space { all_bytes: bytes(stat.f_blocks), free_bytes: bytes(stat.f_bavail) })
    }
}

struct RealSegment(File);

impl Write for RealSegment {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Segment for RealSegment {
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.0.sync_data()
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a small file so that it is there as a whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}
