//! From terms to a condition over the columns.

use std::net::IpAddr;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion::logical_expr::Expr;
use datafusion::prelude::{col, lit};
use datafusion::scalar::ScalarValue;
use khien_base::message::Message;

use super::SearchFault;
use super::network::{Network, in_network};
use super::parse::{Comparison, Node, Piece, Term, Test};
use super::reasons;
use super::word::has_word;
use crate::columns::EVENTS;

/// Short names and the columns they look in.
const SHORT: &[(&str, &[&str])] = &[
    ("ip", &["src_endpoint_ip", "dst_endpoint_ip"]),
    ("port", &["src_endpoint_port", "dst_endpoint_port"]),
    ("host", &["device_hostname", "src_endpoint_hostname", "dst_endpoint_hostname"]),
    ("user", &["user_name", "actor_user_name"]),
    ("process", &["process_file_path", "actor_process_file_path"]),
    ("cmd", &["process_cmd_line", "actor_process_cmd_line"]),
    ("domain", &["query_hostname", "dst_endpoint_hostname"]),
    ("file", &["file_path", "module_file_path"]),
    ("url", &["http_request_url_url_string"]),
    ("severity", &["severity_id"]),
];

/// Levels, by which `severity` may ask instead of numbers.
const LEVELS: [&str; 6] = ["informational", "low", "medium", "high", "critical", "fatal"];

/// Columns in which the case of letters matters, so that their statistics help.
const EXACT: [&str; 2] = ["organisation", "source"];

/// The column with this name or OCSF path.
pub(crate) fn column(name: &str) -> Option<&'static str> {
    let name = name.replace('.', "_").to_ascii_lowercase();
    EVENTS.fields().iter().map(|field| field.name().as_str()).find(|column| *column == name)
}

fn columns(term: &Term, name: &str) -> Result<Vec<&'static str>, SearchFault> {
    if let Some((_, columns)) = SHORT.iter().find(|(short, _)| *short == name) {
        return Ok(columns.to_vec());
    }
    let known = column(name).map(|column| vec![column]);
    known.ok_or_else(|| fault(term, reasons::unknown_field(name)))
}

fn fault(term: &Term, what: Message) -> SearchFault {
    SearchFault { at: term.at, what }
}

/// The condition that a search puts.
pub(crate) fn filter(node: &Node) -> Result<Expr, SearchFault> {
    let all = |list: &[Node], join: fn(Expr, Expr) -> Expr| {
        let mut all: Option<Expr> = None;
        for node in list {
            let one = filter(node)?;
            all = Some(match all {
                Some(before) => join(before, one),
                None => one,
            });
        }
        Ok(all.unwrap_or_else(|| lit(true)))
    };
    match node {
        Node::And(list) => all(list, Expr::and),
        Node::Or(list) => all(list, Expr::or),
        // What is not known is not so: a missing value is not the value.
        Node::Not(inner) => Ok(filter(inner)?.is_not_true()),
        Node::Term(term) => self::term(term),
    }
}

fn term(term: &Term) -> Result<Expr, SearchFault> {
    let Some(name) = &term.field else {
        let Test::Like(pieces) = &term.test else { return Err(fault(term, reasons::no_field())) };
        return Ok(match pieces.as_slice() {
            [Piece::Text(word)] if !word.is_empty() => has_word().call(vec![col("raw"), lit(word.clone())]),
            pieces => col("raw").ilike(lit(format!("%{}%", pattern(pieces)))),
        });
    };
    let mut any: Option<Expr> = None;
    for column in columns(term, name)? {
        let one = test(term, column)?;
        any = Some(match any {
            Some(before) => before.or(one),
            None => one,
        });
    }
    Ok(any.unwrap_or_else(|| lit(false)))
}

/// What the database is told to look for: `%` and `_` are its wildcards.
fn pattern(pieces: &[Piece]) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"),
        Piece::Any => "%".to_owned(),
        Piece::One => "_".to_owned(),
    };
    pieces.iter().map(piece).collect()
}

fn test(term: &Term, column: &'static str) -> Result<Expr, SearchFault> {
    let field = EVENTS.field_with_name(column).map_err(|error| fault(term, reasons::unknown_field(error)))?;
    if matches!(&term.test, Test::Like(pieces) if *pieces == [Piece::Any]) {
        return Ok(col(column).is_not_null());
    }
    match (&term.test, field.data_type()) {
        (Test::Like(pieces), DataType::Utf8) => Ok(text(column, pieces)),
        (Test::Like(pieces), _) => match pieces.as_slice() {
            [Piece::Text(text)] if column == "time" || column == "received" || column == "day" => {
                moment(term, column, text)
            }
            [Piece::Text(text)] => Ok(col(column).eq(value(term, column, field.data_type(), text)?)),
            _ => Err(fault(term, reasons::no_wildcards(column))),
        },
        (Test::Compare(comparison, text), kind) => {
            let value = value(term, column, kind, text)?;
            Ok(match comparison {
                Comparison::Less => col(column).lt(value),
                Comparison::AtMost => col(column).lt_eq(value),
                Comparison::More => col(column).gt(value),
                Comparison::AtLeast => col(column).gt_eq(value),
            })
        }
        (Test::Range(low, high), kind) => {
            let mut all = lit(true);
            if let Some((text, with)) = low {
                let value = value(term, column, kind, text)?;
                all = if *with { col(column).gt_eq(value) } else { col(column).gt(value) };
            }
            if let Some((text, with)) = high {
                let value = value(term, column, kind, text)?;
                all = all.and(if *with { col(column).lt_eq(value) } else { col(column).lt(value) });
            }
            Ok(all)
        }
    }
}

fn text(column: &'static str, pieces: &[Piece]) -> Expr {
    match pieces {
        [Piece::Text(text)] if EXACT.contains(&column) => col(column).eq(lit(text.clone())),
        [Piece::Text(text)] if column.ends_with("_ip") && Network::parse(text).is_some() => {
            in_network().call(vec![col(column), lit(text.clone())])
        }
        [Piece::Text(text)] if column.ends_with("_ip") && text.parse::<IpAddr>().is_ok() => {
            // As addresses are written in the columns.
            let address = text.parse::<IpAddr>().map_or_else(|_| text.clone(), |ip| ip.to_canonical().to_string());
            col(column).eq(lit(address))
        }
        pieces if EXACT.contains(&column) => col(column).like(lit(pattern(pieces))),
        pieces => col(column).ilike(lit(pattern(pieces))),
    }
}

/// A value of a column.
fn value(term: &Term, column: &str, kind: &DataType, text: &str) -> Result<Expr, SearchFault> {
    let number = || text.parse::<i64>().ok();
    let level = || LEVELS.iter().position(|level| level.eq_ignore_ascii_case(text)).map(|level| level as i64 + 1);
    let wrong = |what: Message| fault(term, what);
    match kind {
        DataType::Utf8 => Ok(lit(text)),
        DataType::Int32 if column == "severity_id" => {
            let level = number().or_else(level).ok_or_else(|| wrong(reasons::not_a_level(text, column)))?;
            Ok(lit(level))
        }
        DataType::Int32 | DataType::Int64 => {
            Ok(lit(number().ok_or_else(|| wrong(reasons::not_a_number(text, column)))?))
        }
        DataType::Boolean => match text {
            "true" => Ok(lit(true)),
            "false" => Ok(lit(false)),
            _ => Err(wrong(reasons::not_a_truth(text, column))),
        },
        DataType::Timestamp(..) => {
            let (us, _) = time(text).ok_or_else(|| wrong(reasons::not_a_time(text, column)))?;
            Ok(timestamp(us))
        }
        DataType::Date32 => {
            let date = text.parse::<NaiveDate>().map_err(|_| wrong(reasons::not_a_time(text, column)))?;
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            Ok(lit(ScalarValue::Date32(Some(days as i32))))
        }
        _ => Err(fault(term, reasons::not_searchable(column))),
    }
}

fn timestamp(us: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into())))
}

/// A moment in microseconds since 1970, and how long what was written lasts: a day, or a second.
fn time(text: &str) -> Option<(i64, i64)> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some((moment.timestamp_micros(), 1_000_000));
    }
    if let Ok(moment) = text.parse::<NaiveDateTime>() {
        return Some((moment.and_utc().timestamp_micros(), 1_000_000));
    }
    let date = text.parse::<NaiveDate>().ok()?;
    Some((date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros(), 86_400_000_000))
}

/// Whether a time is the day or the second that is written.
fn moment(term: &Term, column: &'static str, text: &str) -> Result<Expr, SearchFault> {
    let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    if column == "day" {
        return Ok(col(column).eq(value(term, column, &DataType::Date32, text)?));
    }
    value(term, column, &kind, text)?;
    let (from, lasts) = time(text).unwrap_or_default();
    Ok(col(column).gt_eq(timestamp(from)).and(col(column).lt(timestamp(from.saturating_add(lasts)))))
}
