use super::*;

/// A database that says of all addresses from 128.0.0.0 on: Viet Nam, autonomous system 64500.
fn database() -> Vec<u8> {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(2 << 5 | text.len() as u8);
        out.extend(text.as_bytes());
    }
    fn number(out: &mut Vec<u8>, kind: u8, number: u32) {
        let bytes = number.to_be_bytes();
        let kept = &bytes[number.leading_zeros() as usize / 8..];
        out.push(kind << 5 | kept.len() as u8);
        out.extend(kept);
    }
    // One node: no data on the left, and the first data on the right.
    let mut out = vec![0, 0, 1, 0, 0, 17];
    out.extend([0; 16]);
    out.push(7 << 5 | 2);
    text(&mut out, "country");
    out.push(7 << 5 | 1);
    text(&mut out, "iso_code");
    text(&mut out, "VN");
    text(&mut out, "autonomous_system_number");
    number(&mut out, 6, 64_500);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    out.push(7 << 5 | 9);
    for (name, kind, value) in [
        ("node_count", 6, 1),
        ("record_size", 5, 24),
        ("ip_version", 5, 4),
        ("binary_format_major_version", 5, 2),
        ("binary_format_minor_version", 5, 0),
    ] {
        text(&mut out, name);
        number(&mut out, kind, value);
    }
    text(&mut out, "build_epoch");
    out.extend([1, 2, 1]);
    text(&mut out, "database_type");
    text(&mut out, "Test");
    text(&mut out, "languages");
    out.extend([0, 4]);
    text(&mut out, "description");
    out.push(7 << 5);
    out
}

fn known(owners: &str) -> Result<Known, String> {
    let folder = tempfile::tempdir().unwrap();
    let (file, geoip) = (folder.path().join("owners.csv"), folder.path().join("geo.mmdb"));
    std::fs::write(&file, owners).unwrap();
    std::fs::write(&geoip, database()).unwrap();
    Known::read(&Knowledge { owners: Some(file), geoip: vec![geoip] }).map_err(|error| error.to_string())
}

const OWNERS: &str = "# networks and domains\n10.0.0.0/8, Bộ A\n10.1.0.0/16, Sở B\n203.0.113.7, Sở B\n\
                      2001:db8::/32, Bộ A\nbo-a.example.vn, Bộ A\n*.so-b.bo-a.example.vn, Sở B\n";

#[test]
fn the_closest_owner_counts() {
    let known = known(OWNERS).unwrap();
    for (address, owner) in [
        ("10.2.3.4", Some("Bộ A")),
        ("10.1.3.4", Some("Sở B")),
        ("203.0.113.7", Some("Sở B")),
        ("203.0.113.8", None),
        ("2001:db8::1", Some("Bộ A")),
        ("2001:db9::1", None),
    ] {
        assert_eq!(known.owner(address.parse().unwrap()), owner, "{address}");
    }
    for (name, owner) in [
        ("BO-A.example.vn", Some("Bộ A")),
        ("mail.bo-a.example.vn.", Some("Bộ A")),
        ("x.y.so-b.bo-a.example.vn", Some("Sở B")),
        ("xbo-a.example.vn", None),
        ("example.vn", None),
        ("", None),
    ] {
        assert_eq!(known.owner_of_name(name), owner, "{name}");
    }
}

#[test]
fn what_is_wrong_says_where() {
    for (owners, fault) in [
        ("10.0.0.0/8,A\n10.0.0.0/8,B\n", "line 2: `10.0.0.0/8` belongs to `A` already"),
        ("10.0.0.0/8\n", "line 1"),
        ("# x\n10.0.0.0/33,A\n", "line 2: `10.0.0.0/33` is neither"),
        ("a.example,\n", "organisation is missing"),
        ("a.example,b,c\n", "line 1"),
    ] {
        let refused = known(owners).err().unwrap();
        assert!(refused.contains(fault), "{refused}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.mmdb");
    std::fs::write(&file, "nothing").unwrap();
    let refused = Known::read(&Knowledge { owners: None, geoip: vec![file] }).err().unwrap();
    assert!(refused.to_string().contains("x.mmdb"), "{refused}");
}

#[test]
fn both_ends_of_a_connection_are_told_of() {
    let known = known(OWNERS).unwrap();
    let column = |name: &str| COLUMNS.iter().position(|column| column.name == name).unwrap();
    let text = |name: &str, text: &str| (column(name), Scalar::Text(text.to_owned()));
    let values = vec![
        text("src_endpoint_ip", "10.1.0.9"),
        text("dst_endpoint_ip", "198.51.100.1"),
        text("dst_endpoint_hostname", "www.bo-a.example.vn"),
    ];
    let mut flat = Flat { class_uid: 4001, category_uid: 4, activity_id: 1, severity_id: 1, values };
    known.add(&mut flat);
    let mut found: Vec<_> = flat.values.iter().map(|(index, value)| (COLUMNS[*index].name, value.clone())).collect();
    found.retain(|(name, _)| !name.ends_with("_ip") && !name.ends_with("hostname"));
    assert_eq!(
        found,
        [
            ("src_endpoint_owner_org_name", Scalar::Text("Sở B".into())),
            ("dst_endpoint_owner_org_name", Scalar::Text("Bộ A".into())),
            ("dst_endpoint_location_country", Scalar::Text("VN".into())),
            ("dst_endpoint_autonomous_system_number", Scalar::Number(64_500)),
        ]
    );
    assert!(flat.values.is_sorted_by_key(|(column, _)| *column));
}
