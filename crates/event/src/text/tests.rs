use std::sync::Arc;

use proptest::prelude::{prop_assert, proptest};

use super::*;
use crate::fields::Kind;
use crate::names::Names;
use crate::time;

/// 2026-11-21T12:00:00Z
const REFERENCE: i64 = 1_795_262_400_000_000_000;

/// Names and values of a line, and its time.
type Seen = (Vec<(String, String)>, Option<i64>);

fn seen(fields: &Fields, record: &[u8]) -> Seen {
    let list = fields.list().iter().enumerate();
    let pairs = list.map(|(at, field)| {
        let value = String::from_utf8(fields.bytes(record, field).to_vec()).unwrap();
        (fields.label(at).to_owned(), value)
    });
    (pairs.collect(), fields.time_ns)
}

fn decode_as(format: LineFormat, line: &[u8]) -> Result<Seen, Malformed> {
    let mut fields = Fields::with_labels(Arc::new(Names::new()));
    let mut decoder = TextDecoder::new(format, REFERENCE);
    decoder.decode(line, &mut fields)?;
    Ok(seen(&fields, line))
}

/// The fields of a line that is recognised by itself.
struct Line {
    fields: Vec<(String, String)>,
    time_ns: Option<i64>,
}

impl Line {
    fn of(line: &str) -> Self {
        let (fields, time_ns) = decode_as(LineFormat::Any, line.as_bytes()).unwrap();
        Self { fields, time_ns }
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(n, _)| n == name);
        named.map(|(_, v)| v.as_str()).collect()
    }

    #[track_caller]
    fn has(&self, expected: &[(&str, &str)]) -> &Self {
        for (name, value) in expected {
            assert!(self.all(name).contains(value), "{name}={value} in {:?}", self.fields);
        }
        self
    }

    #[track_caller]
    fn has_not(&self, names: &[&str]) -> &Self {
        for name in names {
            assert!(self.all(name).is_empty(), "{name} in {:?}", self.fields);
        }
        self
    }

    #[track_caller]
    fn at(&self, text: &str) -> &Self {
        assert_eq!(self.time_ns, time::parse(text), "{text}");
        self
    }
}

#[test]
fn auditd_values_are_unquoted_and_decoded() {
    Line::of(concat!(
        "node=web1 type=SYSCALL msg=audit(1600000000.123:456): arch=c000003e syscall=59 a0=55af comm=\"ls\" ",
        "exe=2F746D702F6120622F78 key=(null)\u{1d}ARCH=x86_64 SYSCALL=execve AUID=\"root\""
    ))
    .has(&[
        ("node", "web1"),
        ("type", "SYSCALL"),
        ("audit_id", "1600000000.123:456"),
        ("a0", "55af"),
        ("comm", "ls"),
        ("exe", "/tmp/a b/x"),
        ("key", "(null)"),
        ("SYSCALL", "execve"),
        ("AUID", "root"),
    ])
    .has_not(&["message"])
    .at("2020-09-13T12:26:40.123Z");
    Line::of("type=EXECVE msg=audit(1600000000.1:4): argc=3 a0=\"sh\" a1=2D63 a2[0]=6563686f a2[1]=2068").has(&[
        ("a0", "sh"),
        ("a1", "-c"),
        ("a2", "echo"),
        ("a2", " h"),
    ]);
    Line::of("type=PROCTITLE msg=audit(1600000000.1:4): proctitle=6C73002D6C61").has(&[("proctitle", "ls -la")]);
    Line::of("type=USER_AUTH msg=audit(1600000000.1:4): pid=7 msg='op=login acct=\"root\" addr=10.0.0.1 res=failed'")
        .has(&[("pid", "7"), ("op", "login"), ("acct", "root"), ("addr", "10.0.0.1"), ("res", "failed")]);
    Line::of("type=SOCKADDR msg=audit(1600000000.1:4): saddr=02000050C0A80101").has(&[
        ("saddr_fam", "inet"),
        ("laddr", "192.168.1.1"),
        ("lport", "80"),
    ]);
    Line::of("type=AVC msg=audit(1600000000.1:4): avc:  denied  { read } for  pid=1 comm=\"a\" name=\"DEAD\"").has(&[
        ("message", "avc:  denied  { read } for"),
        ("comm", "a"),
        ("name", "DEAD"),
    ]);
}

#[test]
fn what_is_not_auditd_is_refused() {
    for line in ["type=SYSCALL msg=audit(x:y): a=1", "SYSCALL audit(1600000000.1:4): a=1", "type=SYSCALL", ""] {
        let mut fields = Fields::new(Arc::new(Names::new()));
        assert!(!auditd::decode(line, &mut Out::new(line.as_bytes(), &mut fields)), "{line}");
    }
}

#[test]
fn syslog_of_rfc_3164() {
    Line::of("<34>Nov  1 22:14:15 mymachine su[12]: 'su root' failed on /dev/pts/8")
        .has(&[
            ("priority", "34"),
            ("facility", "auth"),
            ("severity", "crit"),
            ("hostname", "mymachine"),
            ("program", "su"),
            ("pid", "12"),
            ("message", "'su root' failed on /dev/pts/8"),
        ])
        .at("2026-11-01T22:14:15Z");
    Line::of("Dec 21 10:00:00 host sshd: x").has(&[("program", "sshd"), ("message", "x")]).at("2025-12-21T10:00:00Z");
    Line::of("2026-10-05T11:47:20.799042+02:00 leto kernel: [869507.505196] a[1]: segfault")
        .has(&[("hostname", "leto"), ("program", "kernel"), ("message", "[869507.505196] a[1]: segfault")])
        .at("2026-10-05T09:47:20.799042Z");
    Line::of("<165>Nov  1 2026 10:00:00.5 UTC: %ASA-4-402119: IPSEC: Received")
        .has(&[("program", "%ASA-4-402119"), ("message", "IPSEC: Received")])
        .has_not(&["hostname"])
        .at("2026-11-01T10:00:00.5Z");
    Line::of("<189>29: sw1: *Nov  1 10:00:00.123: %SYS-5-CONFIG_I: Configured")
        .has(&[("hostname", "sw1"), ("program", "%SYS-5-CONFIG_I"), ("message", "Configured")])
        .at("2026-11-01T10:00:00.123Z");
    Line::of("<13>no header at all").has(&[("facility", "user"), ("severity", "notice")]);
    Line::of("<13>Nov 1 10:00:00 fe80::1 app: hi").has(&[("hostname", "fe80::1"), ("program", "app")]);
}

#[test]
fn syslog_of_rfc_5424() {
    Line::of(concat!(
        "<165>1 2026-10-11T22:14:15.003Z mymachine.example.com evntslog 8 ID47 ",
        "[ex@32473 iut=\"3\" text=\"a \\\"b\\\" \\\\ [c\\]\"][other x=\"1\"] \u{feff}An application"
    ))
    .has(&[
        ("hostname", "mymachine.example.com"),
        ("appname", "evntslog"),
        ("procid", "8"),
        ("msgid", "ID47"),
        ("ex@32473.iut", "3"),
        ("iut", "3"),
        ("text", "a \"b\" \\ [c]"),
        ("other.x", "1"),
        ("message", "An application"),
    ])
    .at("2026-10-11T22:14:15.003Z");
    Line::of("<34>1 - - - - - -").has(&[("severity", "crit"), ("message", "")]).has_not(&["hostname", "program"]);
    // An open element makes it a message of the old kind.
    Line::of("<34>1 2026-10-11T22:14:15Z host app - - [open x=\"1").has(&[("hostname", "host")]);
}

#[test]
fn what_syslog_carries_is_decoded() {
    Line::of("<134>Nov 21 10:00:00 fw CEF:0|V|P|1|100|n|5|src=10.0.0.1 rt=1600000000123")
        .has(&[("deviceVendor", "V"), ("src", "10.0.0.1"), ("syslog.hostname", "fw"), ("syslog.severity", "info")])
        .has_not(&["message"])
        .at("2020-09-13T12:26:40.123Z");
    Line::of("Nov 21 10:00:00 fw-1: CEF: 0|V|P|1|100|n|High|act=x").has(&[("severity", "High"), ("act", "x")]);
    Line::of("<134>1 2026-11-21T10:00:00.000Z fw LEEF:1.0|V|P|1|E|src=1.1.1.1\tdst=2.2.2.2")
        .has(&[("src", "1.1.1.1"), ("dst", "2.2.2.2"), ("syslog.hostname", "fw")])
        .at("2026-11-21T10:00:00Z");
    Line::of("<134>Nov 21 10:00:00 h app: {\"a\":{\"b\":[1,\"x\\ny\"]},\"c\":null,\"d\":true,\"e\":[]}").has(&[
        ("a.b", "1"),
        ("a.b", "x\ny"),
        ("c", "null"),
        ("d", "true"),
        ("e", ""),
        ("syslog.program", "app"),
    ]);
    Line::of("2026-11-21T10:00:00Z 10.0.0.1  { \"a\": 1 }").has(&[("a", "1"), ("syslog.hostname", "10.0.0.1")]);
    Line::of("2026-11-21T10:00:00.5Z stdout F {\"a\":1}")
        .has(&[("a", "1"), ("stream", "stdout")])
        .at("2026-11-21T10:00:00.5Z");
    Line::of("2026-11-21T10:00:00.5Z stderr P a b").has(&[("message", "a b")]);
    Line::of("2026-11-21T10:00:00Z ACCEPT a=1 b=2 c=3").has(&[("message", "2026-11-21T10:00:00Z ACCEPT a=1 b=2 c=3")]);
    Line::of("<134>Nov 21 10:00:00 h app: {\"a\":").has(&[("message", "{\"a\":")]);
    Line::of("<86>Nov 21 10:00:00 h audispd: type=CWD msg=audit(1600000000.123:456): cwd=\"/root\"")
        .has(&[("type", "CWD"), ("cwd", "/root")])
        .at("2020-09-13T12:26:40.123Z");
    Line::of("Jun  8 14:34:33 h kernel: [50028442.088484] IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 DF PROTO=TCP").has(&[
        ("IN", "eth0"),
        ("OUT", ""),
        ("PROTO", "TCP"),
        ("syslog.program", "kernel"),
    ]);
}

#[test]
fn cef_escapes_blanks_and_labels() {
    Line::of(concat!(
        r"CEF:0|Ven\|dor|Pro\\duct|1.0|100|Some name|10|src=10.0.0.1 msg=a b\=c \n d  request=/x?a=1&b=2 ",
        r"cs1Label=Rule Name cs1=block all cs2= filePath=C:\\x"
    ))
    .has(&[
        ("cefVersion", "0"),
        ("deviceVendor", "Ven|dor"),
        ("deviceProduct", "Pro\\duct"),
        ("deviceEventClassId", "100"),
        ("signatureId", "100"),
        ("name", "Some name"),
        ("severity", "10"),
        ("msg", "a b=c \n d"),
        ("request", "/x?a=1&b=2"),
        ("cs1", "block all"),
        ("Rule Name", "block all"),
        ("cs2", ""),
        ("filePath", "C:\\x"),
    ]);
    Line::of("CEF:0|V|P|1|2|n|3").has(&[("severity", "3")]);
    Line::of("CEF:0|V|P|1|2|n").has(&[("message", "CEF:0|V|P|1|2|n")]);
    Line::of("CEF:0|V|P|1|2|n|3|rt=Mon Aug 10 09:26:47 2020 src=1.1.1.1").at("2020-08-10T09:26:47Z");
}

#[test]
fn leef_delimiters() {
    for line in [
        "LEEF:1.0|V|P|1|E|src=1.1.1.1\tmsg=a b",
        "LEEF:1.0|V|P|1|E|src=1.1.1.1|msg=a b",
        "LEEF:2.0|V|P|1|E|^|src=1.1.1.1^msg=a b",
        "LEEF:2.0|V|P|1|E|x5E|src=1.1.1.1^msg=a b",
        "LEEF:2.0|V|P|1|E|0x09|src=1.1.1.1\tmsg=a b",
        "LEEF:2.0|V|P|1|E||src=1.1.1.1\tmsg=a b",
        "LEEF:2.0|V|P|1|E|src=1.1.1.1\tmsg=a b",
    ] {
        Line::of(line).has(&[("deviceVendor", "V"), ("EventID", "E"), ("src", "1.1.1.1"), ("msg", "a b")]);
    }
    Line::of("LEEF:1.0|V|P|1").has(&[("message", "LEEF:1.0|V|P|1")]);
}

#[test]
fn firewalls_of_pairs() {
    Line::of(concat!(
        "date=2022-04-25 time=15:27:08 devname=\"FG 1\" type=\"traffic\" tz=\"+0200\" ",
        "msg=\"User \\\"joe\\\" in\" srcip=10.0.0.1 user=''"
    ))
    .has(&[("devname", "FG 1"), ("msg", "User \"joe\" in"), ("srcip", "10.0.0.1"), ("user", "")])
    .at("2022-04-25T13:27:08Z");
    Line::of("date=2022-04-25 time=15:27:08 eventtime=1650893228123456789 type=x").at("2022-04-25T13:27:08.123456789Z");
    Line::of("time=\"2024-01-15T18:43:09Z\" level=debug msg=\"a b\"").at("2024-01-15T18:43:09Z");
    Line::of("a=1 b=2").has(&[("message", "a=1 b=2")]);
}

#[test]
fn access_logs() {
    Line::of(concat!(
        r#"10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.php?q=1 HTTP/1.0" 200 2326 "#,
        r#""http://e.com/" "Mozilla/4.08 \"x\"""#
    ))
    .has(&[
        ("c-ip", "10.0.0.1"),
        ("cs-username", "frank"),
        ("cs-method", "GET"),
        ("cs-uri", "/a.php?q=1"),
        ("cs-uri-stem", "/a.php"),
        ("cs-uri-query", "q=1"),
        ("sc-status", "200"),
        ("sc-bytes", "2326"),
        ("cs-referer", "http://e.com/"),
        ("cs-user-agent", "Mozilla/4.08 \"x\""),
    ])
    .at("2000-10-10T20:55:36Z");
    Line::of(r#"www.e.com 2001:db8::1 - - [10/Oct/2000:13:55:36 +0000] "\x16\x03" 400 - "-" "-""#)
        .has(&[("cs-host", "www.e.com"), ("c-ip", "2001:db8::1"), ("sc-status", "400"), ("cs-uri", "\u{16}\u{3}")])
        .has_not(&["cs-method", "cs-referer", "sc-bytes", "cs-username"]);
    Line::of("<14>Nov 21 10:00:00 h nginx: 10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.1\" 200 1")
        .has(&[("cs-uri-stem", "/"), ("syslog.program", "nginx")]);
}

/// Decodes the lines of a file; the fields of the last.
fn last_of(lines: &str) -> Line {
    let mut fields = Fields::with_labels(Arc::new(Names::new()));
    let mut decoder = TextDecoder::new(LineFormat::Any, REFERENCE);
    let mut last = None;
    for line in lines.lines() {
        fields.clear();
        if decoder.decode(line.as_bytes(), &mut fields).unwrap() == Decoded::Event {
            last = Some(seen(&fields, line.as_bytes()));
        }
    }
    let (fields, time_ns) = last.unwrap();
    Line { fields, time_ns }
}

const ZEEK: &str = concat!(
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n",
    "#fields\tts\tuid\tid.orig_p\tquery\tanswers\tTTLs\ttags\n",
    "#types\ttime\tstring\tport\tstring\tvector[string]\tvector[interval]\tset[string]\n",
);

#[test]
fn zeek_tables() {
    let line = last_of(&format!("{ZEEK}1600000000.123456\tC1\t-\ta\\x09b\tx,y\t1.0,2.0\t(empty)\n#close\tx"));
    line.has(&[
        ("_path", "dns"),
        ("uid", "C1"),
        ("query", "a\tb"),
        ("answers", "x"),
        ("answers", "y"),
        ("TTLs", "2.0"),
        ("tags", ""),
    ]);
    line.has_not(&["id.orig_p"]).at("2020-09-13T12:26:40.123456Z");
    last_of(&format!("{ZEEK}too\tfew")).has(&[("message", "too\tfew")]);
}

#[test]
fn headers_may_come_from_the_block_before() {
    let mut fields = Fields::with_labels(Arc::new(Names::new()));
    let mut decoder = TextDecoder::new(LineFormat::Any, REFERENCE);
    decoder.headers(&Arc::from(ZEEK.as_bytes()));
    let line = b"1600000000\tC1\t53\tq\t-\t-\t-";
    decoder.decode(line, &mut fields).unwrap();
    assert!(seen(&fields, line).0.contains(&("query".into(), "q".into())));
    assert_eq!(fields.list()[2].kind, Kind::Text);
    assert_eq!(fields.list()[3].kind, Kind::Number);
    fields.clear();
    decoder.headers(&Arc::from(b"".as_slice()));
    decoder.decode(line, &mut fields).unwrap();
    assert_eq!(seen(&fields, line).0[0].0, "message");
}

#[test]
fn w3c_tables() {
    last_of(concat!(
        "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-01-02 03:04:05\n",
        "#Fields: date time c-ip cs-username cs-method cs-uri-stem cs-uri-query sc-status cs(User-Agent)\n",
        "2026-01-02 03:04:06 10.0.0.1 - GET /a q=1+2 200 Mozilla/5.0+(X)\n"
    ))
    .has(&[
        ("c-ip", "10.0.0.1"),
        ("cs-uri-stem", "/a"),
        ("cs-uri-query", "q=1+2"),
        ("cs-uri", "/a?q=1+2"),
        ("cs(User-Agent)", "Mozilla/5.0 (X)"),
        ("cs-user-agent", "Mozilla/5.0 (X)"),
    ])
    .has_not(&["cs-username"])
    .at("2026-01-02T03:04:06Z");
    last_of("#Fields: date-time,session-id,data\n2026-01-02T03:04:06.000Z,1,\"a,b\"\n")
        .has(&[("session-id", "1"), ("data", "a,b")])
        .at("2026-01-02T03:04:06Z");
}

#[test]
fn any_other_line_is_a_message() {
    Line::of("2023/02/21 08:05:56.233208 [error] POST")
        .has(&[("message", "2023/02/21 08:05:56.233208 [error] POST")])
        .at("2023-02-21T08:05:56.233208Z");
    Line::of("[2022-02-03 16:10:11.219][x] y").at("2022-02-03T16:10:11.219Z");
    Line::of("# a comment").has(&[("message", "# a comment")]);
    Line::of("việt nam").has(&[("message", "việt nam")]);
    let (fields, _) = decode_as(LineFormat::Any, b"broken \xff utf-8").unwrap();
    assert_eq!(fields, [("message".to_owned(), "broken \u{fffd} utf-8".to_owned())]);
    assert_eq!(decode_as(LineFormat::Any, b"  \r\n").unwrap().0, []);
}

#[test]
fn a_declared_format_refuses_other_lines() {
    use LineFormat::{Access, Auditd, Cef, KeyValue, Leef, Syslog, W3c, Zeek};
    for format in [Auditd, Syslog, Cef, Leef, KeyValue, Zeek, W3c, Access] {
        assert!(decode_as(format, b"nothing of the kind").is_err(), "{format:?}");
    }
    let cef = b"<134>Nov 21 10:00:00 fw CEF:0|V|P|1|100|n|5|src=10.0.0.1";
    assert!(decode_as(Cef, cef).unwrap().0.contains(&("src".into(), "10.0.0.1".into())));
}

#[test]
fn json_lines_go_to_their_own_decoder() {
    struct Json;
    impl Decode for Json {
        fn decode(&mut self, _: &[u8], fields: &mut Fields) -> Result<Decoded, Malformed> {
            fields.push("fast", Kind::True, b"true");
            Ok(Decoded::Event)
        }
    }
    let mut fields = Fields::with_labels(Arc::new(Names::new()));
    let mut decoder = TextDecoder::new(LineFormat::Any, REFERENCE).with_json(Box::new(Json));
    decoder.decode(b" {}", &mut fields).unwrap();
    assert_eq!(fields.label(0), "fast");
    Line::of("{\"a\":\"x\\u0041\"}").has(&[("a", "xA")]);
}

/// Beginnings that lead a line into each decoder.
const STARTS: &[&str] = &[
    "",
    "<134>",
    "<134>1 ",
    "<34>1 2026-10-11T22:14:15Z h a p m ",
    "Nov 21 10:00:00 ",
    "CEF:0|",
    "CEF:0|a|b|c|d|e|f|",
    "LEEF:2.0|a|b|c|d|",
    "type=EXECVE msg=audit(1600000000.1:2): ",
    "a=1 b=2 c=3 ",
    "{",
    "10.0.0.1 - - [",
    "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"",
    "#Fields: ",
    "#separator ",
    "2026-11-21T10:00:00Z ",
];

#[test]
fn hostile_lines_cost_no_more_than_their_length() {
    // If a part were searched again for every pair, each of these lines would take minutes.
    let parts = [
        "a='x ",
        "a={ x ",
        "a=\"x ",
        "a=\"x\" ",
        "a=\"x\" \"",
        "[a b=\"c\"]",
        "CEF:0|",
        "|",
        "\\",
        "audit(",
        "= ",
        "a=",
        "Nov 21 ",
    ];
    let starts = [
        "",
        "<34>1 2026-10-11T22:14:15Z h a p m ",
        "CEF:0|a|b|c|d|e|f|",
        "type=EXECVE msg=audit(1600000000.1:2): ",
        "a=1 b=2 c=3 ",
    ];
    for part in parts {
        for start in starts {
            let line = [start, part.repeat((256 << 10) / part.len()).as_str()].concat();
            let decoded = decode_as(LineFormat::Any, line.as_bytes());
            // Only more fields than an event may have are refused.
            assert!(decoded.is_ok() || part.contains('='), "{start}{part}");
        }
    }
}

proptest! {
    #[test]
    fn no_line_fails_and_every_span_is_in_it(
        start in proptest::sample::select(STARTS),
        rest in "([a-c =|:\\[\\]{}\"'\\\\<>0-9\t,.-]|é|\u{1d}){0,60}",
    ) {
        let line = format!("{start}{rest}");
        let mut fields = Fields::with_labels(Arc::new(Names::new()));
        let mut decoder = TextDecoder::new(LineFormat::Any, REFERENCE);
        decoder.headers(&Arc::from(ZEEK.as_bytes()));
        let decoded = decoder.decode(line.as_bytes(), &mut fields);
        prop_assert!(decoded.is_ok());
        let (seen, _) = seen(&fields, line.as_bytes());
        prop_assert!(decoded == Ok(Decoded::Nothing) || !seen.is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0..=u8::MAX, 0..200), format in 0usize..10) {
        use LineFormat::{Access, Any, Auditd, Cef, KeyValue, Leef, Syslog, Text, W3c, Zeek};
        let format = [Any, Auditd, Syslog, Cef, Leef, KeyValue, Zeek, W3c, Access, Text][format];
        drop(decode_as(format, &bytes));
    }
}
