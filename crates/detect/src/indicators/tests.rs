//! Lists as people publish them, values as events have them.

use super::*;

fn set(list: &str) -> (IndicatorSet, Report) {
    let mut set = IndicatorSet::new();
    let report = set.load("list", list.as_bytes()).unwrap();
    (set, report)
}

fn hits(set: &IndicatorSet, value: &str) -> Vec<String> {
    let mut found = Vec::new();
    set.matches(value.as_bytes(), &mut found);
    found.into_iter().map(|id| set.get(id).value).collect()
}

const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
const EMPTY_SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn reads_a_plain_list() {
    let list = format!(
        "# made up\n192[.]0[.]2[.]1\n198.51.100.0/24 ; a network\n2001:db8::/32\nhxxps://evil[.]example[.]com/a?b=c # text\n\
         bad.example.net\n*.wild.example.org\n{EMPTY_SHA256}\n{}\nmallory[@]example.com\n0.0.0.0 hosts.example.com\n\
         203.0.113.7:8080\nnot an indicator\n0.0.0.0/0\nbad.example.net\n||abp.example.com^\n",
        EMPTY_MD5.to_uppercase()
    );
    let (set, report) = set(&list);
    assert_eq!((report.added, report.duplicates, report.unusable), (12, 1, 2));
    let lines: Vec<u32> = report.problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [13, 14]);
    let all = (0..set.len()).map(|_| ()).count();
    assert_eq!(all, 12);
    for (value, indicator) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("198.51.100.77", "198.51.100.0/24"),
        ("2001:DB8:1::5", "2001:db8::/32"),
        ("[2001:db8::1]:443", "2001:db8::/32"),
        ("2001:db8::1%eth0", "2001:db8::/32"),
        ("https://EVIL.example.com/a?b=c", "//evil.example.com/a?b=c"),
        ("http://evil.example.com:80/a?b=c#top", "//evil.example.com/a?b=c"),
        ("Bad.Example.NET.", "bad.example.net"),
        ("a.b.bad.example.net", "bad.example.net"),
        ("https://u:p@bad.example.net:8443/x", "bad.example.net"),
        ("http://198.51.100.9/x", "198.51.100.0/24"),
        ("bad.example.net:443", "bad.example.net"),
        ("x@bad.example.net", "bad.example.net"),
        ("wild.example.org", "wild.example.org"),
        ("hosts.example.com", "hosts.example.com"),
        ("203.0.113.7", "203.0.113.7"),
        ("abp.example.com", "abp.example.com"),
        (EMPTY_SHA256, EMPTY_SHA256),
        (EMPTY_MD5, EMPTY_MD5),
        ("Mallory@Example.com", "mallory@example.com"),
        ("Mallory <mallory@example.com>", "mallory@example.com"),
        ("192.0.2.99,192.0.2.1", "192.0.2.1"),
        ("type:  5 x.example.org;::ffff:192.0.2.1;", "192.0.2.1"),
        ("::ffff:192.0.2.1;", "192.0.2.1"),
    ] {
        assert_eq!(hits(&set, value), [indicator], "{value}");
    }
    let sysmon = format!("SHA1={EMPTY_SHA1},MD5={EMPTY_MD5},SHA256={EMPTY_SHA256},IMPHASH={EMPTY_MD5}");
    assert_eq!(hits(&set, &sysmon), [EMPTY_MD5, EMPTY_SHA256]);
    for value in [
        "",
        "192.0.2.2",
        "192.0.2.1.5",
        "notbad.example.net",
        "example.net",
        "https://evil.example.com/a",
        "C:\\Windows\\System32\\cmd.exe",
        "{00000000-0000-0000-0000-000000000000}",
        "cmd.exe /c ping 192.0.2.1",
        "12:34:56",
        EMPTY_SHA1,
        "2001:db9::1",
    ] {
        assert_eq!(hits(&set, value), Vec::<String>::new(), "{value}");
    }
}

#[test]
fn the_narrowest_wins_and_queries_are_optional() {
    let (set, _) =
        set("198.51.100.0/24\n198.51.100.128/25\nexample.com\na.example.com\nhttp://example.org/x\nexample.net/y\n");
    assert_eq!(hits(&set, "198.51.100.200"), ["198.51.100.128/25"]);
    assert_eq!(hits(&set, "198.51.100.2"), ["198.51.100.0/24"]);
    assert_eq!(hits(&set, "b.a.example.com"), ["a.example.com"]);
    assert_eq!(hits(&set, "https://example.org/x?id=1"), ["//example.org/x"]);
    assert_eq!(hits(&set, "http://example.net/y"), ["//example.net/y"]);
    assert_eq!(hits(&set, "example.net/y"), ["//example.net/y"]);
}

#[test]
fn reads_csv_with_and_without_header() {
    let (set, report) = set(&format!(
        "uuid,category,type,value,comment\n1,net,ip-dst|port,192.0.2.1|80,\"first, quoted\"\n2,file,filename|sha256,a.exe|{EMPTY_SHA256},\n\
         3,file,filename,evil.exe,\n4,net,domain,evil.example.com,c2\n5,net,domain,192.0.2,bad\n"
    ));
    assert_eq!((report.added, report.unusable), (3, 2));
    let mut found = Vec::new();
    set.matches(b"192.0.2.1", &mut found);
    let hit = set.get(found[0]);
    assert_eq!((hit.id, hit.name, hit.line), (Some("1"), Some("first, quoted"), 2));
    assert_eq!(hit.head().title, "first, quoted: 192.0.2.1");

    let (tabs, _) = self::set("\"first_seen\";\"dst_ip\";\"malware\"\n2024-01-01;192.0.2.5;X\n");
    assert_eq!(hits(&tabs, "192.0.2.5"), ["192.0.2.5"]);
    let (bare, report) = self::set(
        "# id,date,url\n\"1\",\"2024-01-01\",\"http://example.com/x\",\"online\"\n\"2\",\"2024-01-01\",\"http://example.com/z\",\"online\"\n",
    );
    assert_eq!(report.added, 2);
    assert_eq!(hits(&bare, "http://example.com/z"), ["//example.com/z"]);
    let (lone, report) = self::set("domain\nevil.example.com\n");
    assert_eq!((lone.len(), report.unusable), (1, 0));
}

const BUNDLE: &str = r#"{
  "type": "bundle", "id": "bundle--1",
  "objects": [
    {"type": "identity", "name": "someone"},
    {"type": "indicator", "id": "indicator--1", "name": "C2", "labels": ["malicious"], "valid_from": "2024-01-01T00:00:00Z",
     "valid_until": "2024-02-01T00:00:00Z", "object_marking_refs": ["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"],
     "pattern_type": "stix", "pattern": "[ipv4-addr:value = '192.0.2.1' OR domain-name:value = 'evil.example.com']"},
    {"type": "indicator", "id": "indicator--2", "pattern": "[file:hashes.'SHA-256' = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'] OR [url:value = 'http://example.com/it\\'s']"},
    {"type": "indicator", "id": "indicator--3", "pattern": "[file:name = 'a' AND file:size = 3]"},
    {"type": "indicator", "id": "indicator--4", "pattern": "[file:name = 'a.exe' OR ipv4-addr:value ISSUBSET '198.51.100.0/24']"},
    {"type": "indicator", "id": "indicator--5", "pattern": "([email-addr:value IN ('a@example.com', 'b@example.com')])"},
    {"type": "indicator", "id": "indicator--6", "pattern": "rule x {}", "pattern_type": "yara"},
    {"type": "indicator", "name": 7, "pattern": 8},
    {"type": "url", "id": "url--1", "value": "https://example.org/y"},
    {"type": "file", "hashes": {"MD5": "d41d8cd98f00b204e9800998ecf8427e", "SSDEEP": "3::"}}
  ]
}"#;

#[test]
fn reads_stix() {
    let (set, report) = set(BUNDLE);
    assert_eq!((report.added, report.unusable), (9, 4), "{report:?}");
    let mut found = Vec::new();
    set.matches(b"192.0.2.1", &mut found);
    let hit = set.get(found[0]);
    assert_eq!((hit.id, hit.name), (Some("indicator--1"), Some("C2")));
    assert_eq!(hit.labels, ["malicious", "tlp:amber"]);
    let january = 1_705_000_000_000_000_000;
    assert!(hit.is_valid_at(Some(january)) && hit.is_valid_at(None));
    assert!(!hit.is_valid_at(Some(january * 2)) && !hit.is_valid_at(Some(0)));
    let line = hit.line;
    assert!((6..=8).contains(&line), "{line}");
    assert_eq!(hits(&set, "http://example.com/it's"), ["//example.com/it's"]);
    assert_eq!(hits(&set, "198.51.100.3"), ["198.51.100.0/24"]);
    assert_eq!(hits(&set, "b@example.com"), ["b@example.com"]);
    assert_eq!(hits(&set, EMPTY_MD5), [EMPTY_MD5]);
    assert!(report.problems[0].reason.to_string().contains("`AND`"), "{report:?}");
}

#[test]
fn broken_input_keeps_what_came_before() {
    let (cut, _) = BUNDLE.split_once("indicator--4").unwrap();
    let (set, report) = set(cut);
    assert_eq!(set.len(), 4);
    assert!(report.problems.iter().any(|p| p.reason.to_string().contains("not readable")));
    let mut deep = IndicatorSet::new();
    let report = deep.load("deep", "[".repeat(100_000).as_bytes()).unwrap();
    assert_eq!((report.added, report.unusable), (0, 1));
    let long = format!("{}\nevil.example.com\n\u{0}\n", "x".repeat(200_000));
    let (long, report) = self::set(&long);
    assert_eq!((long.len(), report.unusable), (1, 2));
    let mut bytes = IndicatorSet::new();
    let report = bytes.load("bytes", &b"\xff\xfe\nevil.example.com"[..]).unwrap();
    assert_eq!((report.added, report.unusable), (1, 1));
}

/// A number that looks random but is the same in every run.
fn scrambled(i: u64) -> u64 {
    let x = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 31
}

fn synthetic(i: u64) -> String {
    let r = scrambled(i);
    match i % 5 {
        0 => format!("{}", std::net::Ipv4Addr::from_bits(r as u32 | 0x0100_0000)),
        1 => format!("host{}.sub{}.example.com", r % 1_000_000, r >> 40),
        2 => format!("http://d{}.example.net/path/{r:x}?x=1", r % 99_991),
        3 => format!("{r:016x}{:016x}{i:016x}{r:016x}", scrambled(r)),
        _ => format!("{r:016x}{:016x}", scrambled(r)),
    }
}

#[test]
fn prints_memory_and_cost() {
    // 5 million when asked for (`KHIEN_INDICATORS=5000000`).
    let count: u64 = std::env::var("KHIEN_INDICATORS").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000);
    let reader = Lines { next: 0, count, buffer: Vec::new() };
    let mut set = IndicatorSet::new();
    let start = std::time::Instant::now();
    let report = set.load("synthetic", reader).unwrap();
    eprintln!(
        "indicators: {} in {:?}, {} MiB, {} bytes each, {} unusable, {}",
        set.len(),
        start.elapsed(),
        set.bytes() >> 20,
        set.bytes() / set.len(),
        report.unusable,
        peak()
    );
    for i in (0..count).step_by(997) {
        let text = synthetic(i);
        assert!(!hits(&set, &text).is_empty(), "{text}");
    }
    let values = [
        "C:\\Windows\\System32\\svchost.exe",
        "{b3c2f1a0-0000-0000-0000-000000000000}",
        "b3c2f1a0-0000-0000-0000-000000000000",
        "4688",
        "\"C:\\Program Files\\App\\app.exe\" --type=renderer --field=1234,5678",
        "2024-01-02 03:04:05.678",
        "NT AUTHORITY\\SYSTEM",
        "powershell.exe",
        "10.0.0.5",
        "fe80::1234:5678:9abc:def0",
        "SHA1=0000000000000000000000000000000000000001,MD5=00000000000000000000000000000001,SHA256=0000000000000000000000000000000000000000000000000000000000000001,IMPHASH=00000000000000000000000000000002",
        "workstation7.corp.example.org",
        "https://intranet.example.org/a/b/c?d=e",
    ];
    let rounds = 100_000_u32;
    for value in values {
        let mut found = Vec::new();
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            set.matches(std::hint::black_box(value.as_bytes()), &mut found);
        }
        eprintln!("{:6.1} ns  {value}", start.elapsed().as_nanos() as f64 / f64::from(rounds));
    }
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("").to_owned()
}

/// Yields the synthetic list without holding it.
struct Lines {
    next: u64,
    count: u64,
    buffer: Vec<u8>,
}

impl std::io::Read for Lines {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.buffer.len() < out.len().min(4096) && self.next < self.count {
            self.buffer.extend_from_slice(synthetic(self.next).as_bytes());
            self.buffer.push(b'\n');
            self.next += 1;
        }
        let size = out.len().min(self.buffer.len());
        out[..size].copy_from_slice(&self.buffer[..size]);
        self.buffer.drain(..size);
        Ok(size)
    }
}

/// Values that fulfil some indicator of [`all_kinds`], and some that nearly do.
const VALUES: [&str; 20] = [
    "192.0.2.1",
    "192.0.2.1:443",
    "[2001:db8::7]:443",
    "::ffff:192.0.2.1",
    "2001:db8::7",
    "a.bad.example.net",
    "BAD.example.NET.",
    "http://bad.example.net/x",
    "https://evil.example.com/a?b=c",
    "evil.example.com/a",
    "http://192.0.2.1:80/",
    "mallory@example.com",
    "Mal <mallory@example.com>",
    "mal+x@bad.example.net",
    "SHA1=da39a3ee5e6b4b0d3255bfef95601890afd80709,MD5=D41D8CD98F00B204E9800998ECF8427E",
    "d41d8cd98f00b204e9800998ecf8427e",
    "type:  5 bad.example.net;::ffff:192.0.2.1;",
    "192.0.2.1;192.0.2.2",
    "bad.example.net,other.example.net",
    "bad.example.net#x",
];

fn all_kinds() -> IndicatorSet {
    set(&format!(
        "192.0.2.1\n2001:db8::/32\nbad.example.net\nhttps://evil.example.com/a\n{EMPTY_MD5}\n{EMPTY_SHA1}\n\
         mallory@example.com\n"
    ))
    .0
}

proptest::proptest! {
    #[test]
    fn what_matches_may_match(
        at in 0..VALUES.len(),
        changes in proptest::collection::vec((0..80_usize, "[a-f0-9.:/@=,;<>\\[\\]% ?#\\\\\"A-Z]"), 0..3),
        slash: bool,
        wide in 0..80_usize,
    ) {
        let mut value: Vec<char> = VALUES[at].chars().collect();
        for (place, c) in changes {
            let place = place % value.len();
            value[place] = c.chars().next().unwrap();
        }
        let plain: String = value.iter().collect();
        let found = hits(&all_kinds(), &plain);
        let json = serde_json::to_string(&plain).unwrap();
        let mut json = json.strip_prefix('"').and_then(|j| j.strip_suffix('"')).unwrap().to_owned();
        if slash {
            json = json.replace('/', "\\/");
        }
        let wide = value[wide % value.len()];
        let odd = plain.replacen(wide, &format!("\\u{:04x}", wide as u32), 1);
        if !found.is_empty() {
            proptest::prop_assert!(IndicatorSet::may_match(plain.as_bytes()), "{}", plain);
            proptest::prop_assert!(IndicatorSet::may_match(json.as_bytes()), "{}", json);
            proptest::prop_assert!(plain.contains(['\\', '"']) || IndicatorSet::may_match(odd.as_bytes()), "{}", odd);
        }
    }

    #[test]
    fn never_panics(list in "(?s).{0,200}", value in "[a-f0-9.:/@=,;<>\\[\\]% ?#A-Z]{0,60}", bytes: Vec<u8>) {
        let mut set = IndicatorSet::new();
        set.load("a", list.as_bytes()).unwrap();
        set.load("b", value.as_bytes()).unwrap();
        set.load("c", bytes.as_slice()).unwrap();
        set.load("d", "192.0.2.1\nexample.com\n2001:db8::/32".as_bytes()).unwrap();
        let mut found = Vec::new();
        set.matches(value.as_bytes(), &mut found);
        set.matches(&bytes, &mut found);
        set.matches(list.as_bytes(), &mut found);
    }

    #[test]
    fn networks_equal_plain_arithmetic(
        nets in proptest::collection::vec((proptest::num::u32::ANY, 8..33_u8), 1..20),
        picks in proptest::collection::vec((0..20_usize, proptest::num::u32::ANY), 1..20),
    ) {
        let list: Vec<String> = nets.iter().map(|(a, n)| format!("{}/{n}", std::net::Ipv4Addr::from_bits(*a))).collect();
        let (set, _) = set(&list.join("\n"));
        for (pick, noise) in picks {
            let (base, length) = nets[pick % nets.len()];
            let ip = base ^ noise.checked_shr(u32::from(length)).unwrap_or(0);
            let inside = |(a, n): &&(u32, u8)| (a ^ ip) >> (32 - u32::from(*n)).min(31) == 0 || *n == 32 && *a == ip;
            let narrowest = nets.iter().filter(inside).map(|(_, n)| *n).max();
            let mut found = Vec::new();
            set.matches(std::net::Ipv4Addr::from_bits(ip).to_string().as_bytes(), &mut found);
            let got = found.first().map(|id| {
                let value = set.get(*id).value;
                value.split_once('/').map_or(32, |(_, n)| n.parse::<u8>().unwrap())
            });
            proptest::prop_assert_eq!(got, narrowest);
        }
    }
}
