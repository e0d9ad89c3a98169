//! The program as a server, started and ended by tests, and just enough HTTP to talk to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server that runs as a process of its own.
pub struct Server {
    child: Child,
    /// Where HTTP is spoken.
    pub address: SocketAddr,
    /// Where HTTP is spoken over TLS.
    pub https: Option<SocketAddr>,
    /// Where syslog is: protocol and address.
    pub syslog: Vec<(String, SocketAddr)>,
}

/// Arguments that each ask for one more listener.
const LISTENERS: [&str; 4] = ["--https", "--syslog-udp", "--syslog-tcp", "--syslog-tls"];

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, in lower case.
    pub headers: String,
    /// Body.
    pub body: String,
}

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Server {
    /// Starts `binary` on the data folder `data`, listening wherever the system likes, and waits until it answers.
    pub fn start(binary: &str, data: &Path, arguments: &[&str]) -> Self {
        Self::start_at(binary, data, "127.0.0.1:0", arguments)
    }

    /// The same at an address.
    pub fn start_at(binary: &str, data: &Path, listen: &str, arguments: &[&str]) -> Self {
        Self::run(Command::new(binary), data, listen, arguments)
    }

    /// The same with the state in another database.
    pub fn start_with_state(binary: &str, data: &Path, state: &str) -> Self {
        let mut command = Command::new(binary);
        command.env("KHIEN_STATE", state);
        Self::run(command, data, "127.0.0.1:0", &[])
    }

    /// The same by a command that runs the binary with the arguments behind its own.
    pub fn start_by(command: Command, data: &Path, arguments: &[&str]) -> Self {
        Self::run(command, data, "127.0.0.1:0", arguments)
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn run(mut command: Command, data: &Path, listen: &str, arguments: &[&str]) -> Self {
        command.args(["serve", "--lang", "en", "--listen", listen, "--data"]).arg(data).args(arguments);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("standard error is a pipe")).lines();
        let wanted = 1 + arguments.iter().filter(|a| LISTENERS.contains(a)).count();
        let (mut address, mut https, mut syslog) = (None, None, Vec::new());
        while usize::from(address.is_some()) + usize::from(https.is_some()) + syslog.len() < wanted {
            let Some(Ok(line)) = lines.next() else {
                panic!("the server ended before it was ready: {:?}", child.wait());
            };
            if let Some((_, found)) = line.split_once("ready at http://") {
                address = found.parse().ok();
            } else if let Some((_, found)) = line.split_once("ready at https://") {
                https = found.parse().ok();
            } else if let Some((protocol, at)) = line.strip_prefix("takes syslog (").and_then(|l| l.split_once(") at "))
            {
                syslog.push((protocol.to_owned(), at.parse().expect("an address")));
            }
        }
        // Nobody reads what it logs, but it must not wait for that.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.expect("it was ready"), https, syslog }
    }

    /// Ends it at once, wherever it is.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().expect("kill is there");
        assert!(asked.success());
        assert!(self.child.wait().expect("it ended").success());
    }

    /// Sends a request and reads the answer.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        try_request(self.address, method, path, headers, body).expect("the server answers")
    }

    /// Sends a request with the token of a SOC.
    pub fn post(&self, path: &str, token: &str, body: &[u8]) -> Response {
        let token = format!("Bearer {token}");
        self.request("POST", path, &[("authorization", &token), ("content-type", "application/json")], body)
    }

    /// Sends a request with a token, and JSON if there is any; the status and the JSON of the answer.
    pub fn ask(&self, method: &str, path: &str, token: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let token = format!("Bearer {token}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let response = self.request(method, path, &headers, body.as_bytes());
        let json = if response.body.is_empty() { serde_json::Value::Null } else { response.json() };
        (response.status, json)
    }

    /// Asks the lake as the SOC with this token.
    pub fn query(&self, token: &str, sql: &str) -> serde_json::Value {
        let question = serde_json::json!({"sql": sql}).to_string();
        let response = self.post("/v1/query", token, question.as_bytes());
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }

    /// Asks until the answer is the one that is wanted, for a while; the last answer.
    pub fn wait_for(&self, token: &str, sql: &str, wanted: &serde_json::Value) -> serde_json::Value {
        let mut answer = self.query(token, sql);
        for _ in 0..300 {
            if answer == *wanted {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            answer = self.query(token, sql);
        }
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends a request and reads the answer.
///
/// # Errors
/// When nobody answers.
pub fn try_request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Response> {
    use std::fmt::Write as _;

    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("a string can be written to");
    }
    write!(head, "content-length: {}\r\n\r\n", body.len()).expect("a string can be written to");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    let headers = head.to_ascii_lowercase();
    let is_chunked = headers.contains("transfer-encoding: chunked");
    let body = if is_chunked { chunks(body).ok_or_else(broken)? } else { body.to_owned() };
    Ok(Response { status, headers, body })
}

/// A body that comes in chunks; `None` when it was cut off.
fn chunks(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, behind) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(behind.get(..size)?);
        rest = behind.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// Enters a SOC in the data folder; its token.
pub fn add_soc(binary: &str, data: &Path, name: &str, more: &[&str]) -> String {
    let arguments = ["admin", "soc", "add", "--name", name, "--kind", "ministry"];
    administer(binary, data, &[&arguments, more].concat())
}

/// Enters an operator in the data folder; its token.
pub fn add_operator(binary: &str, data: &Path, name: &str) -> String {
    administer(binary, data, &["admin", "operator", "add", "--name", name])
}

/// Runs `khien admin`; what it prints.
pub fn administer(binary: &str, data: &Path, arguments: &[&str]) -> String {
    administer_with(Command::new(binary), data, arguments)
}

/// The same by a command that runs the binary with the arguments behind its own.
pub fn administer_by(command: Command, data: &Path, arguments: &[&str]) -> String {
    administer_with(command, data, arguments)
}

/// The same with the state in another database.
pub fn administer_state(binary: &str, data: &Path, state: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(binary);
    command.env("KHIEN_STATE", state);
    administer_with(command, data, arguments)
}

fn administer_with(mut command: Command, data: &Path, arguments: &[&str]) -> String {
    command.args(arguments).arg("--data").arg(data);
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text").trim().to_owned()
}
