//! The server on a machine in trouble: a disk that is full, takes nothing or may only be read, and a clock that jumps.
//! Whatever was acknowledged is there once when the trouble is over, and its findings are.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "everything here is a test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use khien_testkit::server::{Server, add_operator, add_soc, administer_by};
use serde_json::json;

const KHIEN: &str = env!("CARGO_BIN_EXE_khien");

fn content(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content").join(path)
}

/// A sender that keeps count.
struct Sender {
    token: String,
    /// An event that a rule finds.
    suspicious: String,
    next: u64,
    lines: u64,
    batches: u64,
    random: u64,
}

impl Sender {
    fn new(token: String) -> Self {
        let events = std::fs::read_to_string(content("events/workstation-evtx.jsonl")).unwrap();
        let suspicious = events.lines().nth(1).unwrap().to_owned();
        Self { token, suspicious, next: 0, lines: 0, batches: 0, random: 7 }
    }

    /// What cannot be made much smaller.
    fn noise(&mut self) -> String {
        let mut word = || {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:x}", self.random >> 8)
        };
        (0..16).map(|_| word()).collect()
    }

    /// A batch of some lines and one event that a rule finds.
    fn batch(&mut self, lines: u64) -> String {
        self.next += 1;
        let number = self.next;
        let mut body = format!("{{\"n\":{number},{}", self.suspicious.get(1..).unwrap());
        for line in 0..lines {
            let noise = self.noise();
            write!(body, "\nline {number}-{line} {noise}").unwrap();
        }
        body
    }

    /// Sends a batch; the status.
    fn send(&mut self, server: &Server, lines: u64) -> u16 {
        let body = self.batch(lines);
        let status = server.post("/v1/ingest", &self.token, body.as_bytes()).status;
        if status == 200 {
            (self.lines, self.batches) = (self.lines + lines + 1, self.batches + 1);
        }
        status
    }

    /// Sends a batch until it is taken.
    fn send_at_last(&mut self, server: &Server, lines: u64) {
        let body = self.batch(lines);
        for _ in 0..600 {
            if server.post("/v1/ingest", &self.token, body.as_bytes()).status == 200 {
                (self.lines, self.batches) = (self.lines + lines + 1, self.batches + 1);
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server takes nothing any more");
    }

    /// Asserts that everything acknowledged is there once, and its findings.
    fn assert_whole(&self, server: &Server) {
        let sql = "SELECT count(*) AS n, count(DISTINCT raw) AS d, count(DISTINCT event_id) AS i FROM events";
        let wanted = json!([{"n": self.lines, "d": self.lines, "i": self.lines}]);
        assert_eq!(server.wait_for(&self.token, sql, &wanted), wanted);
        let sql = "SELECT count(*) AS n, count(DISTINCT f.event_id) AS e FROM findings f JOIN events e USING (event_id) \
                   WHERE f.rule_title = 'Office program starts a script host' AND e.raw LIKE '{\"n\":%'";
        let wanted = json!([{"n": self.batches, "e": self.batches}]);
        assert_eq!(server.wait_for(&self.token, sql, &wanted), wanted);
    }
}

/// A small file system of its own, in a namespace that ends with it.
struct SmallDisk {
    holder: Child,
    folder: PathBuf,
}

impl SmallDisk {
    /// One of so many MiB at `folder`; nothing, and a word about it, where the system does not let us.
    fn new(folder: &Path, mib: u32) -> Option<Self> {
        let script = "mount -t tmpfs -o size=\"$0\"m tmpfs \"$1\" && echo ready && exec cat";
        let holder = Command::new("unshare")
            .args(["-Urm", "sh", "-c", script, &mib.to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut line = String::new();
        let holder = holder.ok().and_then(|mut holder| {
            BufReader::new(holder.stdout.as_mut()?).read_line(&mut line).ok()?;
            (line == "ready\n").then_some(holder)
        });
        if holder.is_none() {
            eprintln!("skipped: no file system can be mounted in a namespace of our own here");
        }
        Some(Self { holder: holder?, folder: folder.to_owned() })
    }

    /// Runs `program` where the file system is.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "-U", "-m", "-t", &self.holder.id().to_string(), "--", program]);
        command
    }

    fn remount(&self, options: &str) {
        let done = self.command("mount").args(["-o", &format!("remount,{options}")]).arg(&self.folder).status();
        assert!(done.unwrap().success());
    }

    fn start(&self) -> Server {
        let rules = content("rules").display().to_string();
        Server::start_by(self.command(KHIEN), &self.folder, &["--rules", &rules])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}

#[test]
fn a_full_disk_takes_nothing_and_answers_still() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(folder.path(), 48) else { return };
    let add = ["admin", "soc", "add", "--name", "soc-a", "--kind", "ministry"];
    let mut sender = Sender::new(administer_by(disk.command(KHIEN), folder.path(), &add));
    let mut server = disk.start();
    // Until nothing has been taken for some seconds: rows that are put together free some space again.
    let mut refused = 0;
    while refused < 30 {
        let status = sender.send(&server, 500);
        assert!(matches!(status, 200 | 429 | 503), "{status}");
        refused = if status == 200 { 0 } else { refused + 1 };
        if status != 200 {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(sender.lines < 1_000_000, "the disk is never full");
    }
    let count = format!("SELECT count(*) <= {} AS few FROM events", sender.lines);
    for _ in 0..2 {
        assert_eq!(server.query(&sender.token, &count), json!([{"few": true}]));
        assert_eq!(server.request("GET", "/healthz", &[], b"").status, 200);
        // It starts on the full disk as well.
        server.kill();
        server = disk.start();
    }
    disk.remount("size=512m");
    for lines in 0..5 {
        sender.send_at_last(&server, lines * 100);
    }
    sender.assert_whole(&server);
    server.stop();
}

#[test]
fn a_disk_that_is_only_read_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(folder.path(), 256) else { return };
    let add = ["admin", "soc", "add", "--name", "soc-a", "--kind", "ministry"];
    let mut sender = Sender::new(administer_by(disk.command(KHIEN), folder.path(), &add));
    let server = disk.start();
    for lines in 0..20 {
        sender.send_at_last(&server, lines);
    }
    server.kill();
    disk.remount("ro");
    let arguments = ["serve", "--lang", "en", "--listen", "127.0.0.1:0", "--data"];
    let refused = disk.command(KHIEN).args(arguments).arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    // What is in the lake can be asked all the same.
    let sql = "SELECT count(*) >= 0 AS yes FROM events";
    let asked = disk.command(KHIEN).args(["query", "--output", "json", "--data"]).arg(folder.path()).arg(sql).output();
    let asked = asked.unwrap();
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(String::from_utf8_lossy(&asked.stdout).contains("{\"yes\":true}"), "{said}");
    disk.remount("rw");
    let server = disk.start();
    sender.send_at_last(&server, 3);
    sender.assert_whole(&server);
    server.stop();
}

/// Lets a process write so many bytes of any file, `unlimited` for all.
fn limit_files(process: u32, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    assert!(Command::new("prlimit").args(["--pid", &process.to_string(), &limit]).status().unwrap().success());
}

#[test]
fn a_disk_that_fails_every_write_is_survived_without_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut sender = Sender::new(add_soc(KHIEN, data.path(), "soc-a", &[]));
    let mut command = Command::new("sh");
    // The kernel kills who exceeds the limit, unless it is told not to; then writing fails.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", KHIEN]);
    let rules = content("rules").display().to_string();
    let server = Server::start_by(command, data.path(), &["--rules", &rules]);
    for round in 0..3 {
        for lines in 0..10 {
            sender.send_at_last(&server, lines);
        }
        limit_files(server.id(), "0");
        for lines in 0..5 {
            let status = sender.send(&server, lines);
            assert_eq!(status, 503, "in round {round}");
        }
        assert_eq!(server.query(&sender.token, "SELECT count(*) >= 0 AS yes FROM events"), json!([{"yes": true}]));
        std::thread::sleep(Duration::from_millis(700));
        limit_files(server.id(), "unlimited");
    }
    sender.send_at_last(&server, 1);
    sender.assert_whole(&server);
    server.stop();
}

/// What stands between the program and the clock: it adds the seconds in a file.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    static volatile long long *ahead;
    int done = syscall(SYS_clock_gettime, id, now);
    if (id != CLOCK_REALTIME || done != 0) return done;
    if (!ahead) {
        int file = open(getenv("AHEAD"), O_RDONLY);
        ahead = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        close(file);
    }
    now->tv_sec += *ahead;
    return 0;
}
"#;

/// A clock that can be set for one program.
struct Clock {
    library: PathBuf,
    ahead: PathBuf,
}

impl Clock {
    /// Nothing, and a word about it, where there is no C compiler.
    fn new(folder: &Path) -> Option<Self> {
        let (source, library, ahead) = (folder.join("clock.c"), folder.join("clock.so"), folder.join("ahead"));
        std::fs::write(&source, CLOCK).unwrap();
        let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no C compiler");
            return None;
        }
        let clock = Self { library, ahead };
        clock.set(0);
        Some(clock)
    }

    /// Puts the clock ahead by so many days.
    fn set(&self, days: i64) {
        // In place: the program has the file mapped.
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&self.ahead).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &(days * 86_400).to_ne_bytes(), 0).unwrap();
    }

    fn start(&self, data: &Path) -> Server {
        let mut command = Command::new(KHIEN);
        command.env("LD_PRELOAD", &self.library).env("AHEAD", &self.ahead);
        let rules = content("rules").display().to_string();
        Server::start_by(command, data, &["--rules", &rules])
    }
}

#[test]
fn a_clock_that_jumps_loses_and_doubles_nothing() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(clock) = Clock::new(folder.path()) else { return };
    let mut sender = Sender::new(add_soc(KHIEN, data.path(), "soc-a", &["--events-per-second", "5000"]));
    let officer = add_operator(KHIEN, data.path(), "officer");
    let mut server = clock.start(data.path());
    let first = sender.batch(3);
    for days in [0, 3, -10, 500, -500, 36_500, 0] {
        clock.set(days);
        // Once it jumps while the server runs. Rows that are too old are removed when it starts, behind the first commit:
        // none may be that because the clock is wrong.
        if days != 3 {
            server.kill();
            server = clock.start(data.path());
        }
        for lines in 0..10 {
            sender.send_at_last(&server, lines);
        }
        // What was sent before is known whatever the clock says.
        assert_eq!(server.post("/v1/ingest", &sender.token, first.as_bytes()).status, 200);
        let wanted = json!([{"n": sender.lines + 4}]);
        assert_eq!(server.wait_for(&sender.token, "SELECT count(*) AS n FROM events", &wanted), wanted);
        std::thread::sleep(Duration::from_millis(300));
    }
    (sender.lines, sender.batches) = (sender.lines + 4, sender.batches + 1);
    sender.assert_whole(&server);
    // Every alert is in the queue once.
    let (mut seen, mut after) = (BTreeSet::new(), String::new());
    loop {
        let (status, page) = server.ask("GET", &format!("/v1/alerts?limit=2{after}"), &officer, &json!(null));
        assert_eq!(status, 200, "{page}");
        for alert in page["alerts"].as_array().unwrap() {
            assert!(seen.insert(alert["id"].as_str().unwrap().to_owned()), "{alert}");
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert!(!seen.is_empty());
    server.stop();
}
