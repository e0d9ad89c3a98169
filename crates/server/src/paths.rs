//! Where things are in the data folder.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use url::Url;

/// The data folder.
#[derive(Clone, Debug)]
pub(crate) struct Paths(PathBuf);

impl Paths {
    /// The folder at `path`, which is made when it is not there, readable by its owner only.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        Ok(Self(path.canonicalize()?))
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// Where an agent remembers what was read and sent.
    pub(crate) fn forwarder(&self) -> PathBuf {
        self.0.join("forward.json")
    }

    /// Where hunts and their findings are.
    pub(crate) fn hunts(&self) -> PathBuf {
        self.0.join("hunts")
    }

    /// Where queries put what memory has no room for; nothing that was there before is.
    pub(crate) fn spilled(&self) -> io::Result<PathBuf> {
        let folder = self.0.join("spilled");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Where the state of correlations is saved.
    pub(crate) fn correlations(&self) -> PathBuf {
        self.0.join("correlations.state")
    }

    pub(crate) fn lake_folder(&self) -> PathBuf {
        self.0.join("lake")
    }

    /// The address of the lake.
    pub(crate) fn lake(&self) -> io::Result<Url> {
        fs::create_dir_all(self.lake_folder())?;
        Url::from_directory_path(self.lake_folder()).map_err(|()| io::ErrorKind::InvalidFilename.into())
    }

    /// The address of the state database.
    pub(crate) fn state(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.0.join("state.db").display())
    }
}

/// Puts a file with this content in the place of another, durably: whenever the machine stops, one of the two is there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // A folder that cannot be opened, as on Windows, needs no syncing.
    match path.parent().map(File::open) {
        Some(Ok(folder)) => folder.sync_all(),
        _ => Ok(()),
    }
}
