//! A PostgreSQL server of a test's own: in a temporary folder, reachable over a socket in it, gone with the test.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// See the module text.
pub struct Postgres {
    server: Child,
    folder: TempDir,
}

impl Postgres {
    /// Starts one; says `skipped` and gives `None` where PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it is installed and does not work.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: PostgreSQL is not installed (Debian's package postgresql)");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("the administrator may");
        }
        // Whoever runs the server must be able to reach its folder.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        let data = folder.path().join("data");
        let mut init = as_user(&programs.join("initdb"), user);
        init.args(["--no-sync", "--auth=trust", "--username=khien", "--encoding=UTF8", "--locale=C", "-D"]).arg(&data);
        let done = init.current_dir(folder.path()).output().expect("initdb runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut server = as_user(&programs.join("postgres"), user);
        server.arg("-D").arg(&data).args(["-h", "", "-F", "-k"]).arg(folder.path());
        let server = server.current_dir(folder.path()).stderr(Stdio::null()).spawn().expect("postgres runs");
        let postgres = Self { server, folder };
        postgres.wait(&programs);
        Some(postgres)
    }

    fn wait(&self, programs: &Path) {
        for _ in 0..600 {
            let ready = Command::new(programs.join("pg_isready")).args(["-q", "-h"]).arg(self.folder.path()).status();
            if ready.expect("pg_isready runs").success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL does not answer");
    }

    /// The address of its database.
    pub fn url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://khien@localhost/postgres?host={folder}")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, with its children: it has nothing that anybody will want again.
        let id = self.server.id().to_string();
        if !Command::new("kill").args(["-QUIT", &id]).status().is_ok_and(|status| status.success()) {
            self.server.kill().ok();
        }
        self.server.wait().ok();
    }
}

/// The folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("initdb").is_file()).max()
}

/// PostgreSQL refuses to run as administrator: the account to use in place of that, if we are one.
fn unprivileged() -> Option<(u32, u32)> {
    let own = std::fs::metadata("/proc/self").ok()?;
    if own.uid() != 0 {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let account = accounts.lines().find(|line| line.starts_with("postgres:"))?;
    let mut parts = account.split(':').skip(2);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    use std::os::unix::process::CommandExt as _;

    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
