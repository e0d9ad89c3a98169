//! The fast walker against the plain reader of `json_slow` and, for validity, against `sonic-rs`.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::event::{Event, Value};
use crate::fields::{Field, Kind};
use crate::json_slow::event_from_json;

/// What the walker makes of `record`, as a comparable list; objects are left out, their text differs.
fn fast(decoder: &mut JsonDecoder, names: &Arc<Names>, record: &[u8]) -> Result<Vec<(String, Value)>, Malformed> {
    let mut fields = Fields::with_labels(names.clone());
    decoder.decode(record, &mut fields)?;
    let value = |field: &Field| {
        let bytes = fields.bytes(record, field);
        let text = || String::from_utf8(bytes.to_vec()).unwrap();
        match field.kind {
            Kind::Escaped => {
                let mut out = Vec::new();
                unescape_into(bytes, &mut out);
                Value::Text(String::from_utf8(out).unwrap())
            }
            Kind::Text => Value::Text(text()),
            Kind::Number => Value::Number(text()),
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Null => Value::Null,
            Kind::Object => Value::Object(String::new()),
            Kind::EmptyArray => Value::EmptyArray,
        }
    };
    let list = fields.list().iter().enumerate();
    Ok(list.filter(|(_, f)| f.kind != Kind::Object).map(|(i, f)| (fields.label(i).to_owned(), value(f))).collect())
}

fn slow(record: &[u8]) -> Result<Vec<(String, Value)>, Malformed> {
    let Event { fields } = event_from_json(record, Taxonomy::embedded())?;
    Ok(fields.into_iter().filter(|(_, v)| !matches!(v, Value::Object(_))).collect())
}

fn decoder() -> (JsonDecoder, Arc<Names>) {
    let mut names = Names::new();
    for name in ["Image", "a", "a.b", "b"] {
        names.add(name);
    }
    let names = Arc::new(names);
    (JsonDecoder::new(names.clone(), Taxonomy::embedded(), Emit::All), names)
}

fn same(decoder: &mut JsonDecoder, names: &Arc<Names>, record: &[u8]) {
    let text = String::from_utf8_lossy(record);
    match (fast(decoder, names, record), slow(record)) {
        (Ok(fast), Ok(slow)) => assert_eq!(fast, slow, "{text}"),
        (Err(_), Err(_)) => {}
        (fast, slow) => panic!("{text}\nfast {fast:?}\nslow {slow:?}"),
    }
    // A number beyond the range of a double is a number to us and an error to others.
    if !record.contains(&b'e') && !record.contains(&b'E') && record.len() < 100_000 {
        let sonic =
            sonic_rs::from_slice::<sonic_rs::Value>(record).is_ok_and(|v| sonic_rs::JsonValueTrait::is_object(&v));
        assert_eq!(fast(decoder, names, record).is_ok(), sonic, "{text}");
    }
}

#[test]
fn records_at_the_border_of_validity() {
    let (mut decoder, names) = decoder();
    let long = format!(r#"{{"{}":"{}"}}"#, "k".repeat(70), "v\\\\".repeat(50));
    for record in [
        "{}",
        r#" { "a" : 1 } "#,
        r#"{"a":{"b":"c"},"a.b":[1,"x",{"b":null}]}"#,
        r#"{"a":[]}"#,
        r#"{"a":[[],[1]]}"#,
        r#"{"a":"\u0041\ud83d\ude00\/\\\"\n"}"#,
        r#"{"a":"\ud83d"}"#,
        r#"{"a":"\ude00"}"#,
        r#"{"a":"\ud83dx\ude00"}"#,
        r#"{"a":"\\ud83d\ude00"}"#,
        r#"{"a":"\\\ud83d\ude00"}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":-}"#,
        r#"{"a":1.5}"#,
        r#"{"a":tru}"#,
        r#"{"a":true,}"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1}x"#,
        "[1]",
        "",
        "{",
        r#"{"a"#,
        r#"{"a":"#,
        r#"{"a":"x"#,
        r#"{"a":"x\"#,
        r#"{"a":"x\"}"#,
        r#"{"a":"x\\"}"#,
        "{\"a\":\"x\ny\"}",
        "{\"a\n\":1}",
        "{\n\"a\":\t1}",
        r#"{"a":[1,]}"#,
        r#"{"\u0061":1,"a":2}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"":{"":1}}"#,
        "{\"a\":\"\u{7f}đ\"}",
        r##"{"Event":{"EventData":{"Data":[{"@Name":"a","#text":"x"},{"#text":5,"@Name":"\u0061"},{"@Name":"b"},"y"]}}}"##,
        r##"{"Event":{"EventData":{"Data":{"#attributes":{"Name":"a"},"#text":["x",{"Name":"n"}],"#text":"z"}}}}"##,
        r#"{"Event":{"EventData":{"Data":[{"Name":[],"Value":{}},{"Name":"a","Value":{}},[{"Name":"a","Value":null}]]}}}"#,
        &long,
    ] {
        same(&mut decoder, &names, record.as_bytes());
        for end in 0..record.len() {
            same(&mut decoder, &names, &record.as_bytes()[..end]);
        }
    }
    same(&mut decoder, &names, b"{\"a\":\"\xff\"}");
    same(&mut decoder, &names, b"{\"a\":\"\xc3\"}");
}

#[test]
fn nesting_is_bounded() {
    let (mut decoder, names) = decoder();
    for depth in [10, 127, 128, 100_000] {
        let record = format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(fast(&mut decoder, &names, record.as_bytes()).is_ok(), depth < 128, "{depth}");
    }
}

#[test]
fn endless_new_keys_do_not_stay() {
    let (mut decoder, names) = decoder();
    for i in 0..70_000 {
        let record = format!(r#"{{"k{i}":{i},"a":"x"}}"#);
        assert_eq!(fast(&mut decoder, &names, record.as_bytes()).unwrap().len(), 2);
    }
}

fn json() -> impl Strategy<Value = String> {
    let key = prop_oneof![Just("a".to_owned()), Just("b".into()), Just("Image".into()), "[a-z\\\\.\"đ]{0,40}"];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i32>().prop_map(|n| n.to_string()),
        "[ -~\u{e1}\u{1F600}\n\\\\]{0,80}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        Just(r#""\u0041\/b""#.to_owned()),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let member = (key.clone(), inner.clone(), " {0,2}")
            .prop_map(|(k, v, s)| format!("{}:{s}{v}", serde_json::to_string(&k).unwrap()));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|l| format!("[{}]", l.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|l| format!("{{{}}}", l.join(", "))),
        ]
    })
}

proptest! {
    #[test]
    fn generated_records(records in prop::collection::vec(json(), 1..6), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (mut decoder, names) = decoder();
        for record in records {
            same(&mut decoder, &names, record.as_bytes());
            let mut broken = record.clone().into_bytes();
            let at = cut.index(broken.len());
            broken[at] = byte;
            same(&mut decoder, &names, &broken);
        }
    }

    #[test]
    fn any_bytes(record in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut decoder, names) = decoder();
        let _outcome = fast(&mut decoder, &names, &record);
    }
}
