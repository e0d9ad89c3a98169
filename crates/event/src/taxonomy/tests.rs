//! Tests of the embedded table. Names and channels are facts; the events are made up.

use super::*;

fn table() -> &'static Taxonomy {
    Taxonomy::embedded()
}

fn source(product: &str, category: &str, service: &str) -> LogSource {
    let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    LogSource { product: some(product), category: some(category), service: some(service) }
}

fn kind(shape: &str, values: &[(&str, &str)]) -> KindId {
    let shape = table().shape(shape);
    assert_ne!(shape.0, 0, "the shape is in the table");
    let values: Vec<_> =
        table().discriminators(shape).iter().map(|d| values.iter().find(|(n, _)| n == d).map(|(_, v)| *v)).collect();
    table().kind(shape, &values)
}

#[test]
fn the_embedded_files_load() {
    let table = Taxonomy::parse(FILES).expect("the embedded files are right");
    assert!(table.kind_count() > 100);
    assert!(table.shape_count() > 1);
}

#[test]
fn a_wrong_file_is_refused_by_name() {
    let error = Taxonomy::parse(&[("mine.toml", "shapes = 1")]).unwrap_err();
    assert!(error.to_string().contains("mine.toml"), "{error}");
    let unknown = "[[shape]]\nname = \"x\"\nkinds = \"nobody\"\n";
    let error = Taxonomy::parse(&[("mine.toml", unknown)]).unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[test]
fn all_spellings_of_windows_have_one_name() {
    let cases: &[(&[&str], &str)] = &[
        (&["Event", "EventData", "Image"], "Image"),
        (&["winlog", "event_data", "Image"], "Image"),
        (&["winlog.event_data.Image"], "Image"),
        (&["winlog.event_data", "Image"], "Image"),
        (&["Image"], "Image"),
        (&["Event", "System", "Channel"], "Channel"),
        (&["winlog", "channel"], "Channel"),
        (&["channel"], "Channel"),
        (&["Event", "System", "EventID"], "EventID"),
        (&["Event", "System", "EventID", "#text"], "EventID"),
        (&["Event", "System", "EventID", "#attributes", "Qualifiers"], "EventID_Qualifiers"),
        (&["Event", "System", "EventID_attributes", "Qualifiers"], "EventID_Qualifiers"),
        (&["Event", "System", "Provider", "#attributes", "Name"], "Provider_Name"),
        (&["Event", "System", "Provider_attributes", "Name"], "Provider_Name"),
        (&["Event", "System", "Provider", "@Name"], "Provider_Name"),
        (&["winlog", "provider_name"], "Provider_Name"),
        (&["Event", "System", "Security", "#attributes", "UserID"], "Security_UserID"),
        (&["Event", "UserData", "LogFileCleared", "SubjectUserName"], "SubjectUserName"),
        (&["Event", "UserData", "LogFileCleared", "Channel"], "UserData.Channel"),
        (&["Event", "EventData", "EventID"], "EventData.EventID"),
        (&["Event", "EventData", "Threat Name"], "ThreatName"),
        (&["Threat Name"], "ThreatName"),
        (&["Event", "EventData", "Data"], "Data"),
        (&["Event", "EventData", "Data", "#text"], "Data"),
        (&["Event", "EventData", "#attributes", "Name"], "EventData_Name"),
        (&["data", "win", "eventdata", "parentImage"], "ParentImage"),
    ];
    for (path, want) in cases {
        assert_eq!(table().canonical(path), *want, "{path:?}");
        assert_eq!(table().canonical_name(&path.join(".")), *want, "{path:?}");
    }
}

#[test]
fn canonical_names_are_not_changed_again() {
    for name in ["Image", "Channel", "UserData.Channel", "Provider_Name"] {
        assert_eq!(table().canonical_name(name), name);
    }
}

#[test]
fn shapes_are_recognised_by_names() {
    let shape = |names: &[&str]| {
        let marks = names.iter().fold(0, |m, n| m | table().mark(&[n]));
        table().shape_name(table().shape_of(marks)).to_owned()
    };
    assert_eq!(shape(&["Event.System"]), "windows");
    assert_eq!(shape(&["channel", "event_id"]), "windows");
    assert_eq!(shape(&["winlog.channel", "winlog.event_id"]), "windows");
    assert_eq!(shape(&["winlog.channel", "winlog.event_id", "ecs.version"]), "windows_ecs");
    assert_eq!(table().shape_of(0), ShapeId(0));
    assert_eq!(table().shape_of(table().mark(&["EventID"])), ShapeId(0));
}

#[test]
fn sysmon_and_security_processes_are_process_creation() {
    let rule = source("windows", "process_creation", "");
    let sysmon = kind("windows", &[("Channel", "microsoft-windows-sysmon/operational"), ("EventID", "1")]);
    let security = kind("windows", &[("Channel", "security"), ("EventID", "4688")]);
    for kind in [sysmon, security] {
        assert!(table().applies(kind, &rule));
        assert!(table().applies(kind, &source("", "process_creation", "")));
        assert!(table().applies(kind, &source("windows", "", "")));
        assert!(!table().applies(kind, &source("linux", "process_creation", "")));
        assert!(!table().applies(kind, &source("windows", "image_load", "")));
    }
    assert!(table().applies(sysmon, &source("windows", "", "sysmon")));
    assert!(!table().applies(sysmon, &source("windows", "", "security")));
    assert_eq!(table().sources(security, "Image"), ["NewProcessName"]);
    assert_eq!(table().sources(sysmon, "Image"), ["Image"]);
}

#[test]
fn a_provider_stands_in_for_a_missing_channel() {
    let by_provider = kind("windows", &[("Provider_Name", "Microsoft-Windows-Sysmon"), ("EventID", "7")]);
    assert_eq!(table().kind_name(by_provider), "sysmon.image_load");
    let nxlog = kind("windows", &[("SourceName", "Microsoft-Windows-Sysmon"), ("EventID", "7")]);
    assert_eq!(nxlog, by_provider);
}

#[test]
fn registry_events_are_told_apart_by_their_type() {
    let at = |id: &str, kind_of: Option<&str>| {
        let mut values = vec![("Channel", "Microsoft-Windows-Sysmon/Operational"), ("EventID", id)];
        values.extend(kind_of.map(|t| ("EventType", t)));
        kind("windows", &values)
    };
    let is = |k, c| table().applies(k, &source("windows", c, ""));
    for k in [at("12", Some("CreateKey")), at("12", None), at("13", None)] {
        assert!(is(k, "registry_event"));
    }
    assert!(is(at("12", Some("CreateKey")), "registry_add"));
    assert!(!is(at("12", Some("CreateKey")), "registry_delete"));
    assert!(is(at("12", Some("DeleteValue")), "registry_delete"));
    assert!(!is(at("12", Some("DeleteValue")), "registry_add"));
    assert!(is(at("12", None), "registry_delete") && is(at("12", None), "registry_add"));
}

#[test]
fn an_unknown_channel_gets_the_rules_of_the_product_alone() {
    let other = kind("windows", &[("Channel", "Acme/Log"), ("EventID", "1")]);
    assert!(table().applies(other, &source("windows", "", "")));
    assert!(!table().applies(other, &source("windows", "", "system")));
    assert!(!table().applies(other, &source("windows", "process_creation", "")));
}

#[test]
fn every_rule_applies_to_the_unknown() {
    let unknown = table().kind(ShapeId(0), &[]);
    assert_eq!(unknown, KindId(0));
    assert!(table().applies(unknown, &source("aws", "", "cloudtrail")));
    // An id from elsewhere is unknown too, and nothing panics.
    assert!(table().applies(KindId(u16::MAX), &source("aws", "", "")));
    assert_eq!(table().kind(ShapeId(u16::MAX), &[Some("x")]), KindId(0));
}

#[test]
fn ecs_names_are_asked_beside_the_event_s_own() {
    let access = kind("windows_ecs", &[("Channel", "Microsoft-Windows-Sysmon/Operational"), ("EventID", "10")]);
    assert_eq!(table().sources(access, "SourceImage"), ["SourceImage", "process.executable"]);
    assert_eq!(table().sources(access, "GrantedAccess"), ["GrantedAccess"]);
}

#[test]
fn other_shapes_and_kinds() {
    // Names in the record, discriminators, shape, kind.
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        (&["event_type", "flow_id"], &[("event_type", "dns")], "suricata", "suricata.dns"),
        (&["ts", "uid", "id.orig_h"], &[("_path", "smb_files")], "zeek", "zeek.smb_files"),
        (&["ts", "id_orig_h"], &[("rejected", "false")], "zeek", "zeek.dns.unnamed"),
        (&["eventName", "eventSource", "awsRegion"], &[], "cloudtrail", "aws.cloudtrail"),
        (&["operationName", "category", "properties"], &[("category", "SignInLogs")], "azure", "azure.signinlogs"),
        (
            &["OperationNameValue", "CategoryValue"],
            &[("CategoryValue", "Administrative")],
            "azure",
            "azure.activitylogs",
        ),
        (&["MESSAGE", "__CURSOR"], &[("SYSLOG_IDENTIFIER", "sudo")], "journald", "linux.sudo"),
        (&["auditID", "verb"], &[], "kubernetes", "kubernetes.audit"),
        (
            &["event.category", "host.os.type"],
            &[("event.category", "process"), ("event.action", "start"), ("host.os.type", "macos")],
            "ecs",
            "macos.ecs.process_creation",
        ),
        (
            &["Channel", "EventID"],
            &[("Channel", "Linux-Sysmon/Operational"), ("EventID", "11")],
            "windows",
            "linux.sysmon.file_event",
        ),
    ];
    for (names, values, shape, want) in cases {
        let marks = names.iter().fold(0, |m, n| m | table().mark(&[n]));
        assert_eq!(table().shape_name(table().shape_of(marks)), *shape);
        assert_eq!(table().kind_name(kind(shape, values)), *want);
    }
}

#[test]
fn programs_are_services() {
    let program =
        |p: &str, facility: &str| table().kind_name(kind("syslog", &[("program", p), ("facility", facility)]));
    assert_eq!(program("sshd-session", "auth"), "linux.sshd");
    assert_eq!(program("CRON", "cron"), "linux.cron");
    assert_eq!(program("unheard-of", "authpriv"), "linux.auth.facility");
    assert_eq!(program("unheard-of", "daemon"), "linux.syslog");
    assert_eq!(program("%BGP-5-ADJCHANGE", "local7"), "cisco.bgp");
}

#[test]
fn lines_of_text_are_unknown() {
    assert_eq!(kind("text", &[]), KindId(0));
}

#[test]
fn every_source_of_a_field_is_among_all_sources() {
    let table = table();
    let fields = table.kinds.iter().flat_map(|kind| kind.fields.keys().chain(kind.shared.keys()));
    for field in fields {
        let all = table.all_sources(field);
        for kind in 0..table.kind_count() {
            let sources = table.sources(KindId(kind as u16), field);
            assert!(sources.iter().all(|source| all.contains(source)), "{field}: {sources:?} in {all:?}");
        }
    }
}
