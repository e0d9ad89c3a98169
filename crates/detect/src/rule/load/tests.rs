//! Rules written for these tests: one per modifier, valid and at the border of being invalid.

use super::*;
use crate::rule::{Case, Compare, Expr, Item, Link, Part, Test, TextOp, TimePart};

fn load(text: &str) -> RuleSet {
    let mut table = Placeholders::default();
    table.add("hosts", ["srv1".to_owned(), "dc*".to_owned()]);
    let mut loader = Loader::new(table);
    loader.add_file("test.yml", text);
    loader.finish()
}

fn rule_text(detection: &str, condition: &str) -> String {
    format!(
        "title: t\nid: 00000000-0000-4000-8000-000000000001\nlogsource:\n  product: windows\ndetection:\n  sel:\n{detection}\n  condition: {condition}\n"
    )
}

/// The expression of `sel` holding these lines.
fn sel(lines: &str) -> Expr {
    let set = load(&rule_text(&indent(lines), "sel"));
    assert_eq!(set.problems, [], "{lines}");
    match &set.rules[0].condition {
        Expr::Named(name, inner) if name == "sel" => (**inner).clone(),
        other => panic!("{other:?}"),
    }
}

fn indent(lines: &str) -> String {
    lines.lines().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

fn tests_of(lines: &str) -> Vec<Test> {
    match sel(lines) {
        Expr::Item(item) => item.tests,
        other => panic!("{other:?}"),
    }
}

fn refused(lines: &str) -> Problem {
    let set = load(&rule_text(&indent(lines), "sel"));
    assert!(set.rules.is_empty(), "{lines} was accepted");
    assert_eq!(set.problems.len(), 1, "{:?}", set.problems);
    set.problems[0].clone()
}

fn lit(text: &str) -> Part {
    Part::Literal(text.into())
}

fn text(parts: &[Part]) -> Test {
    Test::Text(parts.to_vec(), Case::Fold)
}

/// The plain texts of all tests.
fn literals(lines: &str) -> Vec<String> {
    tests_of(lines)
        .into_iter()
        .map(|t| match t {
            Test::Text(parts, _) => parts
                .into_iter()
                .map(|p| match p {
                    Part::Literal(l) => l,
                    Part::One => "?".into(),
                    Part::Any => "*".into(),
                })
                .collect(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn text_operators_put_wildcards() {
    assert_eq!(tests_of("F: a"), [text(&[lit("a")])]);
    assert_eq!(tests_of("F|contains: a"), [text(&[Part::Any, lit("a"), Part::Any])]);
    assert_eq!(tests_of("F|contains: '*a*'"), [text(&[Part::Any, lit("a"), Part::Any])]);
    assert_eq!(tests_of("F|startswith: a"), [text(&[lit("a"), Part::Any])]);
    assert_eq!(tests_of("F|endswith: a"), [text(&[Part::Any, lit("a")])]);
    assert_eq!(tests_of("F|endswith|cased: A"), [Test::Text(vec![Part::Any, lit("A")], Case::Exact)]);
    assert_eq!(tests_of("F: ''"), [text(&[])]);
    assert_eq!(literals("F|contains: 445"), ["*445*"]);
    assert!(refused("F|startswith|endswith: a").reason.to_string().contains("cannot follow"));
    assert!(refused("F|contains: null").reason.to_string().contains("null"));
}

#[test]
fn plain_values_keep_their_type() {
    assert_eq!(tests_of("F: 4688"), [Test::Number(Compare::Eq, 4688.0)]);
    assert_eq!(tests_of("F: -1.5"), [Test::Number(Compare::Eq, -1.5)]);
    assert_eq!(tests_of("F: 9007199254740993"), [text(&[lit("9007199254740993")])]);
    assert_eq!(tests_of("F: true"), [Test::Bool(true)]);
    assert_eq!(tests_of("F: null"), [Test::Null]);
    assert_eq!(tests_of("F: []"), [Test::Null]);
    assert_eq!(tests_of("F: '4688'"), [text(&[lit("4688")])]);
    assert!(refused("F: [[a]]").reason.to_string().contains("a list"));
    assert!(refused("F: {a: b}").reason.to_string().contains("a list"));
    assert!(refused("12: a").reason.to_string().contains("key"));
}

#[test]
fn all_links_with_and() {
    let Expr::Item(Item { link, tests, field }) = sel("F|contains|all: [a, b]") else { panic!() };
    assert_eq!((link, tests.len(), field.as_deref()), (Link::All, 2, Some("F")));
    let Expr::And(list) = sel("F|windash|contains|all: [-a, b]") else { panic!() };
    assert!(matches!(&list[0], Expr::Item(i) if i.link == Link::Any && i.tests.len() == 5));
}

#[test]
fn regular_expressions_take_flags() {
    assert_eq!(tests_of("F|re: 'a\\\\b'"), [Test::Regex(r"a\\b".into())]);
    assert_eq!(tests_of("F|re|i|s: a.b"), [Test::Regex("(?is)a.b".into())]);
    assert_eq!(tests_of("F|re|m: ^a"), [Test::Regex("(?m)^a".into())]);
    for wrong in ["F|re|contains: a", "F|contains|re: a", "F|i: a", "F|re|windash: a", "F|re|base64: a", "F|re: null"] {
        refused(wrong);
    }
    let problem = refused("F|re: '(?=a)b'");
    assert_eq!((problem.line, problem.severity), (7, Severity::Error));
    assert!(problem.reason.to_string().contains("look-ahead"), "{}", problem.reason);
}

#[test]
fn encodings_apply_in_order() {
    assert_eq!(literals("F|base64|contains: foobar"), ["*Zm9vYmFy*"]);
    assert_eq!(literals("F|base64offset|contains: foobar"), ["*Zm9vYmFy*", "*Zvb2Jhc*", "*mb29iYX*"]);
    assert_eq!(literals("F|wide|base64: ab"), ["YQBiAA=="]);
    assert_eq!(literals("F|utf16le|base64: ab"), ["YQBiAA=="]);
    assert_eq!(literals("F|utf16be|base64: ab"), ["AGEAYg=="]);
    assert_eq!(literals("F|utf16|base64: ab"), ["//5hAGIA"]);
    assert_eq!(literals("F|wide|contains: ab"), ["*a\0b\0*"]);
    assert_eq!(literals("F|utf16: a"), ["\u{feff}a\0"]);
    for wrong in [
        "F|contains|base64: a",
        "F|base64: a*",
        "F|base64offset: a",
        "F|base64|base64offset: abc",
        "F|base64|wide: abc",
        "F|wide|utf16be: abc",
        "F|wide: \u{1ea1}\u{d1}",
    ] {
        refused(wrong);
    }
}

#[test]
fn windash_takes_all_five_dashes_for_each_other() {
    assert_eq!(literals("F|windash: -a"), ["-a", "/a", "\u{2013}a", "\u{2014}a", "\u{2015}a"]);
    assert_eq!(literals("F|contains|windash: /a").len(), 5);
    assert_eq!(literals("F|windash: '-a \u{2015}b'").len(), 25);
    assert_eq!(literals("F|windash: a*"), ["a*"]);
    assert_eq!(literals("F|windash: -----").len(), 3125);
    assert!(refused("F|windash: ------").reason.to_string().contains("expands"));
}

#[test]
fn networks_of_both_kinds_and_addresses() {
    for good in ["10.0.0.0/8", "2001:db8::/32", "10.1.2.3/8", "192.0.2.1", "::1"] {
        assert!(matches!(tests_of(&format!("F|cidr: '{good}'"))[..], [Test::Cidr(_)]), "{good}");
    }
    for wrong in ["10.0.0.0/33", "10.0.0", "host", "10.*"] {
        assert!(refused(&format!("F|cidr: '{wrong}'")).reason.to_string().contains("not a network"));
    }
    refused("F|cidr|contains: 10.0.0.0/8");
    refused("F|cidr|cased: 10.0.0.0/8");
}

#[test]
fn placeholders_need_values() {
    assert_eq!(literals("F|expand: '%hosts%'"), ["srv1", "dc*"]);
    assert_eq!(literals("F|contains|expand: 'x%hosts%y'"), ["*xsrv1y*", "*xdc*y*"]);
    assert_eq!(literals(r"F|expand: '\%plain%hosts%'"), ["%plainsrv1", "%plaindc*"]);
    assert_eq!(literals("F: '%hosts%'"), ["%hosts%"]);
    let problem = refused("F|expand: '%nobody%'");
    assert!(problem.reason.to_string().contains("%nobody%") && problem.hint.is_some());
}

#[test]
fn exists_needs_a_truth_value() {
    assert_eq!(tests_of("F|exists: true"), [Test::Exists(true)]);
    assert_eq!(tests_of("F|exists: false"), [Test::Exists(false)]);
    for wrong in ["F|exists: 'true'", "F|exists: 1", "F|exists|all: true", "F|contains|exists: true", "'|exists': true"]
    {
        refused(wrong);
    }
}

#[test]
fn fields_refer_to_fields() {
    let reference = |op| [Test::FieldRef("G".into(), op, Case::Fold)];
    assert_eq!(tests_of("F|fieldref: G"), reference(TextOp::Equals));
    assert_eq!(tests_of("F|fieldref|contains: G"), reference(TextOp::Contains));
    assert_eq!(tests_of("F|fieldref|startswith: G"), reference(TextOp::StartsWith));
    assert_eq!(tests_of("F|fieldref|endswith: G"), reference(TextOp::EndsWith));
    assert!(matches!(sel("F|fieldref|neq: G"), Expr::Not(_)));
    for wrong in ["F|contains|fieldref: G", "F|fieldref: 'G*'", "F|fieldref: 1", "F|fieldref|re: G"] {
        refused(wrong);
    }
}

#[test]
fn numbers_compare() {
    for (name, compare) in [("gt", Compare::Gt), ("gte", Compare::Gte), ("lt", Compare::Lt), ("lte", Compare::Lte)] {
        assert_eq!(tests_of(&format!("F|{name}: 5")), [Test::Number(compare, 5.0)]);
    }
    assert_eq!(tests_of("F|gt: '5.5'"), [Test::Number(Compare::Gt, 5.5)]);
    for wrong in ["F|gt: five", "F|gt|lt: 5", "F|gt|contains: 5", "F|gt: true"] {
        refused(wrong);
    }
}

#[test]
fn neq_negates_the_item() {
    let Expr::Not(inner) = sel("F|neq: [a, b]") else { panic!() };
    assert!(matches!(*inner, Expr::Item(Item { link: Link::Any, .. })));
    assert!(matches!(sel("F|contains|neq: a"), Expr::Not(_)));
    refused("F|exists|neq: true");
}

#[test]
fn times_have_parts() {
    for (name, part, n) in [
        ("minute", TimePart::Minute, 59),
        ("hour", TimePart::Hour, 0),
        ("day", TimePart::Day, 31),
        ("week", TimePart::Week, 53),
        ("month", TimePart::Month, 12),
        ("year", TimePart::Year, 2026),
    ] {
        assert_eq!(tests_of(&format!("F|{name}: {n}")), [Test::TimePart(part, n)]);
    }
    for wrong in ["F|hour: 24", "F|minute: -1", "F|day: 0", "F|hour: noon", "F|hour|gte: 3"] {
        refused(wrong);
    }
}

#[test]
fn keywords_look_anywhere() {
    let any = |t: &str| text(&[Part::Any, lit(t), Part::Any]);
    assert_eq!(tests_of("- one\n- 2"), [any("one"), any("2")]);
    assert_eq!(tests_of("'|contains': one"), [any("one")]);
    let Expr::Item(item) = sel("'|all':\n  - one\n  - t?o") else { panic!() };
    assert_eq!((item.link, item.field, item.tests.len()), (Link::All, None, 2));
    assert!(matches!(sel("- one\n- F: two"), Expr::Or(_)));
    assert_eq!(tests_of("'|re': a.b"), [Test::Regex("a.b".into())]);
    refused("- null");
    refused("'|gt': 5");
    let set = load(&rule_text("    only words", "sel"));
    assert_eq!(set.rules.len(), 1);
}

#[test]
fn maps_are_and_and_lists_of_maps_are_or() {
    assert!(matches!(sel("F: a\nG: b"), Expr::And(l) if l.len() == 2));
    assert!(matches!(sel("- F: a\n- G: b\n  H: c"), Expr::Or(l) if matches!(l[1], Expr::And(_))));
    assert!(refused("{}").reason.to_string().contains("empty"));
    assert!(refused("[]").reason.to_string().contains("empty"));
    assert!(refused("F|foo: a").reason.to_string().contains("foo"));
}

const THREE: &str =
    "title: t\nid: x\nlogsource: {product: p}\ndetection:\n  a1: {F: 1}\n  a2: {F: 2}\n  b: {F: 3}\n  _c: {F: 4}\n";

fn condition(condition: &str) -> Result<Expr, String> {
    let set = load(&format!("{THREE}  condition: {condition}\n"));
    let errors = set.problems.into_iter().find(|p| p.severity == Severity::Error);
    match errors {
        Some(problem) => Err(problem.reason.to_string()),
        None => Ok(set.rules[0].condition.clone()),
    }
}

#[test]
fn selectors_choose_detections() {
    assert!(matches!(condition("1 of them").unwrap(), Expr::Or(l) if l.len() == 3));
    assert!(matches!(condition("all of a*").unwrap(), Expr::And(l) if l.len() == 2));
    assert!(matches!(condition("2 of them").unwrap(), Expr::AtLeast(2, l) if l.len() == 3));
    assert!(matches!(condition("any of *1").unwrap(), Expr::Named(..)));
    assert!(
        matches!(condition("a1 or a2 and not b").unwrap(), Expr::Or(l) if matches!(&l[1], Expr::And(r) if matches!(r[1], Expr::Not(_))))
    );
    assert!(matches!(condition("[a1, b]").unwrap(), Expr::Or(l) if l.len() == 2));
    assert!(matches!(condition("_c").unwrap(), Expr::Named(n, _) if n == "_c"));
    for wrong in ["1 of z*", "4 of them", "0 of them", "nobody", "a1 and", "a1 a2", "(a1", "1 of _*"] {
        assert!(condition(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn conditions_are_bounded() {
    assert!(condition(&format!("{}a1", "not ".repeat(60))).is_ok());
    assert!(condition(&format!("{}a1", "not ".repeat(9_000))).unwrap_err().contains("nests"));
    assert!(condition(&format!("{}a1{}", "(".repeat(20_000), ")".repeat(20_000))).is_err());
    assert!(condition(&format!("\"{}a1\"", "(\\n".repeat(9_000))).is_err());
}

#[test]
fn one_bad_rule_stops_no_other() {
    let good = rule_text("    F: 1", "sel");
    let text = format!(
        "{good}---\ntitle: broken\ndetection: [\n---\n{}---\njust words\n---\n{}",
        good.replace("0001", "0002"),
        good.replace("0001", "0003").replace("F: 1", "F|nope: 1")
    );
    let set = load(&text);
    assert_eq!(set.rules.len(), 2);
    let lines: Vec<u32> = set.problems.iter().map(|p| p.line).collect();
    assert_eq!(set.problems.len(), 3, "{:?}", set.problems);
    assert_eq!(lines, [11, 22, 30], "{:?}", set.problems);
    assert_eq!(set.rules[1].origin.line, 13);
}

#[test]
fn faults_name_their_line() {
    let set = load(
        "# words\ntitle: t\nlogsource: {product: p}\ndetection:\n  sel:\n    F: 1\n    G|re: '('\n  condition: sel\n",
    );
    assert_eq!(set.problems[0].line, 7, "{:?}", set.problems);
    let set = load("title: t\nlogsource: {product: p}\ndetection:\n  sel:\n    F: 1\n  condition: sel and gone\n");
    assert_eq!(set.problems[0].line, 6);
    let set =
        load("title: t\nlogsource: {product: p}\ndetection:\n  sel:\n    F: 1\n  other:\n    F: 2\n  condition: sel\n");
    assert_eq!((set.rules.len(), set.problems[0].line, set.problems[0].severity), (1, 6, Severity::Warning));
}

#[test]
fn ids_are_unique_or_the_second_is_left_out() {
    let one = rule_text("    F: 1", "sel");
    let set = load(&format!("{one}---\n{one}"));
    assert_eq!((set.rules.len(), set.problems[0].severity), (1, Severity::Warning));
    let set = load(&format!("{one}---\n{}", one.replace("F: 1", "F: 2")));
    assert_eq!((set.rules.len(), set.problems[0].severity), (1, Severity::Error));
    let nameless = one.replace("id: 00000000-0000-4000-8000-000000000001\n", "");
    let set = load(&format!("{nameless}---\n{}", nameless.replace("F: 1", "F: 2")));
    assert_eq!(set.rules.len(), 2);
    assert!(set.rules[0].id.starts_with("rule-"));
}

#[test]
fn filters_join_rules() {
    let rule = rule_text("    F: 1", "sel");
    let filter = |rules: &str, product: &str| {
        format!(
            "{rule}---\ntitle: f\nlogsource: {{product: {product}}}\nfilter:\n  rules: {rules}\n  sel: {{U: adm}}\n  condition: not sel\n"
        )
    };
    for (rules, product, joined) in [
        ("any", "windows", true),
        ("any", "linux", false),
        ("[00000000-0000-4000-8000-000000000001]", "windows", true),
        ("[other]", "windows", false),
    ] {
        let set = load(&filter(rules, product));
        assert_eq!(matches!(set.rules[0].condition, Expr::And(_)), joined, "{rules} {product}");
        assert_eq!(set.problems.is_empty(), joined, "{:?}", set.problems);
    }
}

#[test]
fn correlations_refer_to_rules_and_silence_them() {
    let rule = rule_text("    F: 1", "sel").replace("title: t\n", "title: t\nname: base\n");
    let correlation = |refers: &str, more: &str| {
        format!(
            "{rule}---\ntitle: c\nid: c1\ncorrelation:\n  type: event_count\n  rules: [{refers}]\n  group-by: [H]\n  timespan: 5m\n  condition: {{gte: 2}}\n{more}"
        )
    };
    let set = load(&correlation("base", ""));
    assert_eq!((set.correlations.len(), set.rules[0].reports), (1, false), "{:?}", set.problems);
    let set = load(&correlation("base", "generate: true\n"));
    assert!(set.rules[0].reports);
    let set = load(&correlation("gone", ""));
    assert_eq!((set.correlations.len(), set.rules[0].reports), (0, true));
    assert!(set.problems[0].reason.to_string().contains("gone"));
    let set = load(&correlation("c1", ""));
    assert_eq!(set.correlations.len(), 0, "a circle");
}

#[test]
fn old_aggregations_become_correlations() {
    let rule = rule_text("    F: 1\n  timeframe: 5m", "sel | count() by H > 3");
    let set = load(&rule);
    assert_eq!((set.rules.len(), set.correlations.len()), (1, 1), "{:?}", set.problems);
    assert!(!set.rules[0].reports);
    assert_eq!(set.correlations[0].id, "00000000-0000-4000-8000-000000000001");
    let set = load(&rule.replace("  timeframe: 5m\n", ""));
    assert!(set.rules.is_empty() && set.problems[0].reason.to_string().contains("timeframe"), "{:?}", set.problems);
    assert_eq!(set.problems[0].line, 8);
}

#[test]
fn collection_actions_work() {
    let text = "action: global\ntitle: g\nlogsource: {product: windows}\ndetection: {condition: sel}\n---\nid: a\ndetection: {sel: {F: 1}}\n---\nid: b\ndetection: {sel: {F: 2}}\n---\naction: reset\n---\nid: c\n";
    let set = load(text);
    assert_eq!(set.rules.len(), 2, "{:?}", set.problems);
    assert_eq!(set.rules[1].title, "g");
    assert_eq!((set.problems.len(), set.problems[0].line), (1, 14));
}

#[test]
fn metadata_survives() {
    let set = load(
        "title: t\nid: x\nname: n\nstatus: test\nlevel: high\ntags: [attack.t1059]\nauthor: a\nreferences: [r]\nrelated: [{id: y, type: derived}]\nlogsource: {product: Windows, service: ''}\ndetection: {sel: {F: 1}, condition: sel}\n",
    );
    let rule = &set.rules[0];
    assert_eq!((rule.level, rule.status.as_deref()), (Level::High, Some("test")));
    assert_eq!(rule.related, [("derived".to_owned(), "y".to_owned())]);
    assert_eq!(rule.logsource.product.as_deref(), Some("windows"));
    assert_eq!(rule.logsource.service, None);
    let set = load("title: t\nlevel: urgent\nlogsource: {product: p}\ndetection: {sel: {F: 1}, condition: sel}\n");
    assert_eq!((set.rules.len(), set.problems[0].line), (1, 2));
    let set = load("title: t\nsigma-version: 3\nlogsource: {product: p}\ndetection: {sel: {F: 1}, condition: sel}\n");
    assert_eq!((set.rules.len(), set.problems[0].line), (0, 2));
}
