//! The agent on a SOC's site, and the server it sends to.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use khien_testkit::server::{Server, add_soc};
use serde_json::json;

const KHIEN: &str = env!("CARGO_BIN_EXE_khien");

/// An agent that runs as a process of its own.
struct Agent(Child);

impl Agent {
    fn start(folder: &Path, port: u16) -> Self {
        let logs = folder.join("logs");
        let arguments = ["forward", "--lang", "en", "--source", "files", "--to"];
        let mut command = Command::new(KHIEN);
        command.args(arguments).arg(format!("http://127.0.0.1:{port}"));
        command.arg("--data").arg(folder.join("agent")).arg("--token-file").arg(folder.join("token"));
        Self(
            command
                .arg("--follow")
                .arg(logs)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the binary runs"),
        )
    }

    fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ended");
    }

    fn stop(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(asked.expect("kill is there").success());
        assert!(self.0.wait().expect("it ended").success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn append(path: &Path, lines: std::ops::Range<u32>) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("a file can be made");
    for line in lines {
        writeln!(file, "{} line {line}", path.display()).expect("it can be written");
    }
}

/// A port that is free, for a server that comes and goes.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it has an address").port()
}

#[test]
fn what_stands_in_files_arrives_once_whoever_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, logs) = (folder.path().join("data"), folder.path().join("logs"));
    std::fs::create_dir(&logs).unwrap();
    let token = add_soc(KHIEN, &data, "soc-a", &[]);
    std::fs::write(folder.path().join("token"), format!("{token}\n")).unwrap();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    append(&logs.join("a.log"), 0..1_000);
    // Nobody is there to take it; it is kept.
    let agent = Agent::start(folder.path(), port);
    std::thread::sleep(Duration::from_millis(1_500));
    agent.kill();
    append(&logs.join("a.log"), 1_000..1_500);
    let agent = Agent::start(folder.path(), port);
    let server = Server::start_at(KHIEN, &data, &listen, &[]);
    let count = "SELECT count(*) AS n, count(DISTINCT raw) AS d FROM events WHERE source = 'files'";
    let wanted = |n: u32| json!([{"n": n, "d": n}]);
    assert_eq!(server.wait_for(&token, count, &wanted(1_500)), wanted(1_500));
    agent.kill();
    // It goes on in a file that was renamed, and in a new one.
    append(&logs.join("a.log"), 1_500..1_600);
    std::fs::rename(logs.join("a.log"), logs.join("b.log")).unwrap();
    append(&logs.join("a.log"), 5_000..5_001);
    let agent = Agent::start(folder.path(), port);
    append(&logs.join("b.log"), 0..100);
    assert_eq!(server.wait_for(&token, count, &wanted(1_701)), wanted(1_701));
    server.kill();
    append(&logs.join("b.log"), 100..200);
    std::thread::sleep(Duration::from_millis(700));
    let server = Server::start_at(KHIEN, &data, &listen, &[]);
    assert_eq!(server.wait_for(&token, count, &wanted(1_801)), wanted(1_801));
    agent.stop();
    server.stop();
}
