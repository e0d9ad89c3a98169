//! TLS with client certificates, and syslog by certificate and by address.

#![expect(clippy::unwrap_used, reason = "everything here is a test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use khien_testkit::server::{Server, add_operator, add_soc, administer};
use serde_json::json;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

const KHIEN: &str = env!("CARGO_BIN_EXE_khien");

/// A certificate that signed itself and its key, as files in a folder.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn new(folder: &Path, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key }
    }

    fn paths(&self) -> [&str; 2] {
        [self.certificate.to_str().unwrap(), self.key.to_str().unwrap()]
    }
}

/// For a client that shows `own` or nothing to a server that shows `server`.
fn configured(server: &Pair, own: Option<&Pair>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&server.certificate).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match own {
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_file(&own.certificate).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&own.key).unwrap()).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

fn connect(address: SocketAddr, server: &Pair, own: Option<&Pair>) -> StreamOwned<ClientConnection, TcpStream> {
    let config = configured(server, own);
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(connection, TcpStream::connect(address).unwrap())
}

/// The status of a request that sends one event.
fn send(address: SocketAddr, server: &Pair, own: Option<&Pair>, token: Option<&str>, event: &str) -> u16 {
    let mut stream = connect(address, server, own);
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /v1/ingest?source=tls HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{token}content-length: {}\r\n\r\n",
        event.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(event.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // Whether the end is said in order does not matter here.
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0)
}

#[test]
fn events_come_over_https_with_token_or_certificate() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    add_soc(KHIEN, data.path(), "soc-b", &[]);
    let operator = add_operator(KHIEN, data.path(), "officer");
    let (own, known, unknown) =
        (Pair::new(folder.path(), "localhost"), Pair::new(folder.path(), "known"), Pair::new(folder.path(), "unknown"));
    let certificate = known.paths()[0];
    administer(KHIEN, data.path(), &["admin", "soc", "certificate", "--name", "soc-b", certificate]);
    let [chain, key] = own.paths();
    let server = Server::start(KHIEN, data.path(), &["--https", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", key]);
    let https = server.https.unwrap();
    assert_eq!(send(https, &own, None, Some(&token), "{\"n\":1}"), 200);
    assert_eq!(send(https, &own, Some(&known), None, "{\"n\":2}"), 200);
    // A token says more than a certificate.
    assert_eq!(send(https, &own, Some(&known), Some(&token), "{\"n\":3}"), 200);
    assert_eq!(send(https, &own, Some(&known), Some("wrong"), "{\"n\":4}"), 401);
    assert_eq!(send(https, &own, Some(&unknown), None, "{\"n\":5}"), 401);
    assert_eq!(send(https, &own, None, None, "{\"n\":6}"), 401);
    let sql = "SELECT organisation AS o, raw AS r FROM events ORDER BY raw";
    let wanted = json!([
        {"o": "soc-a", "r": "{\"n\":1}"}, {"o": "soc-b", "r": "{\"n\":2}"}, {"o": "soc-a", "r": "{\"n\":3}"},
    ]);
    assert_eq!(server.wait_for(&operator, sql, &wanted), wanted);
    administer(KHIEN, data.path(), &["admin", "soc", "revoke", "--name", "soc-b"]);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(send(https, &own, Some(&known), None, "{\"n\":7}"), 401);
    server.stop();
}

/// A field of a protobuf message that holds bytes.
fn field(number: u8, inner: &[u8]) -> Vec<u8> {
    let length = u8::try_from(inner.len()).unwrap();
    assert!(length < 128);
    [&[number << 3 | 2, length][..], inner].concat()
}

/// An export of one log record with this body, as gRPC frames it.
fn export(text: &str) -> Vec<u8> {
    // resource_logs, scope_logs, log_records, body, string_value
    let message = [1, 5, 2, 2, 1].iter().fold(text.as_bytes().to_vec(), |inner, number| field(*number, &inner));
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat()
}

/// The gRPC status of an export.
async fn export_to(address: SocketAddr, server: &Pair, own: Option<&Pair>, token: Option<&str>, text: &str) -> String {
    let mut config = configured(server, own);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async { connection.await.ok() });
    let mut request = http::Request::post(format!(
        "https://localhost:{}/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        address.port()
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let (response, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(export(text).into(), true).unwrap();
    let response = response.await.unwrap();
    let status = |headers: &http::HeaderMap| Some(headers.get("grpc-status")?.to_str().unwrap().to_owned());
    if let Some(status) = status(response.headers()) {
        return status; // Without a message there is nothing but headers.
    }
    let mut stream = response.into_body();
    while let Some(data) = stream.data().await {
        let data: bytes::Bytes = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
    }
    status(&stream.trailers().await.unwrap().unwrap()).unwrap()
}

#[test]
fn opentelemetry_exports_over_grpc_with_token_or_certificate() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    add_soc(KHIEN, data.path(), "soc-b", &[]);
    let operator = add_operator(KHIEN, data.path(), "officer");
    let (own, known) = (Pair::new(folder.path(), "localhost"), Pair::new(folder.path(), "known"));
    administer(KHIEN, data.path(), &["admin", "soc", "certificate", "--name", "soc-b", known.paths()[0]]);
    let [chain, key] = own.paths();
    let server = Server::start(KHIEN, data.path(), &["--https", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", key]);
    let https = server.https.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(export_to(https, &own, None, Some(&token), "one").await, "0");
        assert_eq!(export_to(https, &own, Some(&known), None, "two").await, "0");
        // UNAUTHENTICATED
        assert_eq!(export_to(https, &own, None, None, "three").await, "16");
        assert_eq!(export_to(https, &own, Some(&known), Some("wrong"), "four").await, "16");
    });
    let sql = "SELECT organisation AS o, raw AS r, protocol AS p FROM events ORDER BY organisation";
    let wanted = json!([{"o": "soc-a", "r": "one", "p": "otlp"}, {"o": "soc-b", "r": "two", "p": "otlp"}]);
    assert_eq!(server.wait_for(&operator, sql, &wanted), wanted);
    // The client is still connected and does not answer any more: the server ends all the same.
    server.stop();
}

#[test]
fn a_certificate_that_is_renewed_is_shown_without_a_restart() {
    let (data, folder, other) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    let (first, second) = (Pair::new(folder.path(), "localhost"), Pair::new(other.path(), "localhost"));
    let [chain, key] = first.paths();
    let server = Server::start(KHIEN, data.path(), &["--https", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", key]);
    let https = server.https.unwrap();
    // What only the second one has signed is not believed by a client that knows the first, and the other way round.
    let shows = |pair: &Pair| {
        let mut stream = connect(https, pair, None);
        let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut answer = Vec::new();
        asked.is_ok() && stream.read_to_end(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 200")
    };
    let known = Pair { certificate: folder.path().join("known.pem"), key: folder.path().join("known.key") };
    std::fs::copy(&first.certificate, &known.certificate).unwrap();
    assert!(shows(&known) && !shows(&second));
    // A key that does not belong to the certificate changes nothing.
    std::fs::copy(&second.key, &first.key).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(4_500));
    assert!(shows(&known));
    std::fs::copy(&second.certificate, &first.certificate).unwrap();
    let renewed = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        shows(&second)
    });
    assert!(renewed && !shows(&known));
    assert_eq!(send(https, &second, None, Some(&token), "{\"n\":1}"), 200);
    server.stop();
}

#[test]
fn syslog_belongs_to_whom_certificate_or_address_say() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["by-certificate", "by-address"] {
        add_soc(KHIEN, data.path(), name, &[]);
    }
    let operator = add_operator(KHIEN, data.path(), "officer");
    let (own, known, unknown) =
        (Pair::new(folder.path(), "localhost"), Pair::new(folder.path(), "known"), Pair::new(folder.path(), "unknown"));
    administer(KHIEN, data.path(), &["admin", "soc", "certificate", "--name", "by-certificate", known.paths()[0]]);
    let [chain, key] = own.paths();
    let server = Server::start(
        KHIEN,
        data.path(),
        &["--syslog-tls", "127.0.0.1:0", "--syslog-tcp", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", key],
    );
    let at = |protocol: &str| server.syslog.iter().find(|(name, _)| name == protocol).unwrap().1;
    let over_tls = |pair: Option<&Pair>, text: &str| {
        let mut stream = connect(at("tls"), &own, pair);
        stream.write_all(format!("<13>1 - host app - - - {text}\n").as_bytes()).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    };
    let over_tcp = |text: &str| {
        let mut stream = TcpStream::connect(at("tcp")).unwrap();
        stream.write_all(format!("<13>1 - host app - - - {text}\n").as_bytes()).unwrap();
    };
    over_tls(Some(&known), "one");
    over_tls(Some(&unknown), "two");
    over_tls(None, "three");
    over_tcp("four");
    let sql = "SELECT organisation AS o, right(raw, 4) AS r FROM events ORDER BY raw";
    let wanted = json!([{"o": "by-certificate", "r": " one"}]);
    assert_eq!(server.wait_for(&operator, sql, &wanted), wanted);
    let metrics = server.request("GET", "/metrics", &[], b"").body;
    assert!(metrics.contains("\nkhien_syslog_refused_total 3\n"), "{metrics}");
    administer(KHIEN, data.path(), &["admin", "soc", "network", "--name", "by-address", "127.0.0.0/8"]);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    over_tcp("five");
    over_tls(Some(&unknown), "six!");
    let wanted = json!([{"o": "by-address", "r": "five"}, {"o": "by-certificate", "r": " one"}]);
    assert_eq!(server.wait_for(&operator, sql, &wanted), wanted);
    server.stop();
}
