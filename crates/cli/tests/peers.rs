//! Real shippers deliver unmodified: the official Elasticsearch client, OpenTelemetry's exporters, rsyslog.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use khien_testkit::server::{Server, add_operator, add_soc};
use serde_json::json;

const KHIEN: &str = env!("CARGO_BIN_EXE_khien");

const COUNT: u64 = 300;

#[test]
fn elasticsearch_and_opentelemetry_deliver() {
    let Some(python) = std::env::var_os("KHIEN_PEERS") else {
        eprintln!("skipped: KHIEN_PEERS is not set");
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    let server = Server::start(KHIEN, data.path(), &[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers.py");
    let mut sender = Command::new(python);
    sender.arg(script).args([&server.address.to_string(), &token, &COUNT.to_string()]);
    let sent = sender.output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let wanted = json!([{"protocol": "bulk", "n": 2 * COUNT, "d": 2 * COUNT}, {"protocol": "otlp", "n": 3 * COUNT, "d": 3 * COUNT}]);
    let sql = "SELECT protocol, count(*) AS n, count(DISTINCT raw) AS d FROM events GROUP BY 1 ORDER BY 1";
    assert_eq!(server.wait_for(&token, sql, &wanted), wanted);
    server.stop();
}

/// Schemathesis sends whatever the document of the interface allows and forbids.
#[test]
fn the_interface_keeps_what_its_document_says() {
    let Some(python) = std::env::var_os("KHIEN_PEERS") else {
        eprintln!("skipped: KHIEN_PEERS is not set");
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    let operator = add_operator(KHIEN, data.path(), "watch");
    let server = Server::start(KHIEN, data.path(), &[]);
    server.post("/v1/ingest", &token, b"{\"a\":1}\nplain line\n");
    let checks = "not_a_server_error,response_schema_conformance,status_code_conformance,content_type_conformance";
    for token in [operator, token] {
        let mut tester = Command::new(Path::new(&python).with_file_name("schemathesis"));
        tester.arg("run").arg(format!("http://{}/v1/openapi.json", server.address));
        tester.args(["-H", &format!("Authorization: Bearer {token}"), "--checks", checks]);
        tester.args(["-n", "5", "--generation-deterministic", "--no-color"]).current_dir(data.path());
        let told = tester.output().unwrap();
        let text = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success(), "{text}{}", String::from_utf8_lossy(&told.stderr));
        assert!(text.contains("Tested: "), "{text}");
    }
    server.stop();
}

/// rsyslog, ended with the test.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn rsyslog_delivers_over_tcp_and_udp() {
    let program = Path::new("/usr/sbin/rsyslogd");
    if !program.is_file() {
        eprintln!("skipped: rsyslog is not installed (Debian's package rsyslog)");
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    let server = Server::start(
        KHIEN,
        data.path(),
        &["--syslog-udp", "127.0.0.1:0", "--syslog-tcp", "127.0.0.1:0", "--syslog-source", "soc-a"],
    );
    let port = |protocol: &str| server.syslog.iter().find(|(name, _)| name == protocol).unwrap().1.port();
    let folder = data.path().join("rsyslog");
    std::fs::create_dir(&folder).unwrap();
    let input = folder.join("input.log");
    let lines = (0..COUNT).map(|n| format!("message number {n}\n")).collect::<Vec<_>>().concat();
    std::fs::write(&input, lines).unwrap();
    let target = |protocol: &str, more: &str| {
        format!(
            "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" protocol=\"{protocol}\" {more})\n",
            port(protocol)
        )
    };
    let configuration = format!(
        "global(workDirectory=\"{0}\")\nmodule(load=\"imfile\")\n\
         input(type=\"imfile\" File=\"{1}\" Tag=\"peer:\" freshStartTail=\"off\")\n{2}{3}{4}",
        folder.display(),
        input.display(),
        target("udp", ""),
        target("tcp", "TCP_Framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\""),
        target("tcp", "TCP_Framing=\"traditional\" template=\"RSYSLOG_ForwardFormat\""),
    );
    let file = folder.join("rsyslog.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut rsyslog = Command::new(program);
    rsyslog.args(["-n", "-i"]).arg(folder.join("pid")).arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let rsyslog = Rsyslog(rsyslog.spawn().unwrap());
    // Datagrams may get lost on a busy machine, streams may not.
    let wanted = json!([{"counted": COUNT, "lines": COUNT, "datagrams": true}]);
    let sql = r"SELECT count(*) FILTER (WHERE regexp_like(raw, '^<\d+>1 ')) AS counted,
                       count(*) FILTER (WHERE regexp_like(raw, '^<\d+>20')) AS lines,
                       count(*) FILTER (WHERE NOT regexp_like(raw, '^<\d+>(1 |20)')) > 0 AS datagrams
                FROM events WHERE protocol = 'syslog' AND raw LIKE '%message number%'";
    assert_eq!(server.wait_for(&token, sql, &wanted), wanted);
    drop(rsyslog);
    server.stop();
}
