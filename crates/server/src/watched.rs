//! Files that are read again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(2);

fn changed(paths: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let when = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    paths.iter().map(|path| when(path)).collect()
}

/// Calls `read`, which may block, whenever one of the files at `paths` has changed, until it is told to stop.
pub(crate) async fn each_change(
    paths: Vec<PathBuf>,
    mut stop: watch::Receiver<bool>,
    read: impl Fn() + Send + Sync + 'static,
) {
    let (read, mut seen) = (Arc::new(read), changed(&paths));
    if paths.is_empty() {
        return;
    }
    loop {
        tokio::select! {
            // An error means that nobody is there any more who could say stop.
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(EVERY) => {}
        }
        let now = changed(&paths);
        if now == seen {
            continue;
        }
        seen = now;
        let read = read.clone();
        if tokio::task::spawn_blocking(move || read()).await.is_err() {
            tracing::error!("reading files that have changed panicked");
        }
    }
}
