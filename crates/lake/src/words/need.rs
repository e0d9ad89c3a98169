//! What a condition needs of the words of a row.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Like, Operator};

use super::{each_sure_word, fold, value_hash, word_hash};
use crate::search::{HAS_WORD, MAY_HAVE_WORDS};

/// What must be among the words and values of rows for which a condition is true. It may be too little, never too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing that is known.
    Nothing,
    /// What has this hash.
    Hash(u64),
    /// All of these.
    All(Vec<Need>),
    /// One of these, of which there is at least one.
    Any(Vec<Need>),
}

/// Most words of one condition that are looked up: a few rare ones do what all of them would.
const MOST: usize = 24;

/// Most alternatives that are looked up; with more of them nearly every stretch has one.
const ALTERNATIVES: usize = 256;

impl Need {
    /// All of `list`.
    pub(crate) fn all(list: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for need in list {
            match need {
                Self::Nothing => {}
                Self::All(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        kept.dedup();
        match kept.len() {
            0 => Self::Nothing,
            1 => kept.swap_remove(0),
            _ => Self::All(kept),
        }
    }

    /// One of `list`; nothing can be said of none.
    pub(crate) fn any(list: impl IntoIterator<Item = Self>) -> Self {
        let list: Vec<Self> = list.into_iter().take(ALTERNATIVES + 1).collect();
        if list.is_empty() || list.len() > ALTERNATIVES || list.contains(&Self::Nothing) {
            return Self::Nothing;
        }
        Self::Any(list)
    }

    /// The words that a text has in which `literal` stands, not necessarily at its beginning or end where it is `open`.
    pub(crate) fn words(literal: &str, open: (bool, bool)) -> Self {
        let folded = fold(literal);
        let mut hashes = Vec::new();
        each_sure_word(&folded, open, &mut |word| hashes.push((word.len(), word_hash(word))));
        // Long ones are rare ones.
        hashes.sort_unstable_by(|a, b| b.cmp(a));
        hashes.dedup();
        Self::all(hashes.into_iter().take(MOST).map(|(_, hash)| Self::Hash(hash)))
    }

    /// A column that is `value`.
    fn value(value: &str) -> Self {
        Self::Hash(value_hash(&fold(value)))
    }

    /// Calls `found` with every hash.
    pub(crate) fn each(&self, found: &mut impl FnMut(u64)) {
        match self {
            Self::Nothing => {}
            Self::Hash(hash) => found(*hash),
            Self::All(list) | Self::Any(list) => list.iter().for_each(|need| need.each(found)),
        }
    }

    /// Whether it is met, if `has` says which hashes are there.
    pub(crate) fn is_met(&self, has: &impl Fn(u64) -> bool) -> bool {
        match self {
            Self::Nothing => true,
            Self::Hash(hash) => has(*hash),
            Self::All(list) => list.iter().all(|need| need.is_met(has)),
            Self::Any(list) => list.iter().any(|need| need.is_met(has)),
        }
    }
}

/// Columns with text that is not in the filters.
const NOT_INDEXED: [&str; 5] = ["organisation", "source", "protocol", "kind", "envelope"];

/// What rows need for which `condition` is true.
pub(crate) fn needs(condition: &Expr) -> Need {
    match condition {
        Expr::Alias(alias) => needs(&alias.expr),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => Need::all([needs(left), needs(right)]),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => Need::any([needs(left), needs(right)]),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            equal(left, right).or_else(|| equal(right, left)).unwrap_or(Need::Nothing)
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            Need::any(list.iter().map(|value| equal(expr, value).unwrap_or(Need::Nothing)))
        }
        Expr::Like(Like { negated: false, expr, pattern, escape_char: None, .. }) => like(expr, pattern),
        Expr::IsTrue(inner) => needs(inner),
        Expr::ScalarFunction(call) if call.name() == HAS_WORD => match call.args.as_slice() {
            [column, word] if name(column).is_some() => {
                text(word).map_or(Need::Nothing, |word| Need::words(word, (false, false)))
            }
            _ => Need::Nothing,
        },
        Expr::ScalarFunction(call) if call.name() == MAY_HAVE_WORDS => match call.args.as_slice() {
            [_, words, from, to] => match (text(words), truth(from), truth(to)) {
                (Some(words), Some(from), Some(to)) => Need::words(words, (from, to)),
                _ => Need::Nothing,
            },
            _ => Need::Nothing,
        },
        _ => Need::Nothing,
    }
}

fn truth(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Literal(ScalarValue::Boolean(truth), _) => *truth,
        _ => None,
    }
}

/// The column that an expression is, if its words are in the filters.
fn name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) if !NOT_INDEXED.contains(&column.name.as_str()) => Some(&column.name),
        Expr::Cast(cast) if is_text(cast.field.data_type()) => name(&cast.expr),
        _ => None,
    }
}

fn is_text(kind: &arrow::datatypes::DataType) -> bool {
    use arrow::datatypes::DataType::{LargeUtf8, Utf8, Utf8View};
    matches!(kind, Utf8 | LargeUtf8 | Utf8View)
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text), _) => {
            text.as_deref()
        }
        _ => None,
    }
}

fn equal(column: &Expr, value: &Expr) -> Option<Need> {
    let (name, value) = (name(column)?, text(value)?);
    // The record as it came is in the filters by its words only.
    Some(if name == "raw" { Need::words(value, (false, false)) } else { Need::value(value) })
}

fn like(column: &Expr, pattern: &Expr) -> Need {
    let (Some(name), Some(pattern)) = (name(column), text(pattern)) else { return Need::Nothing };
    let pieces = pieces(pattern);
    if let [whole] = pieces.as_slice()
        && name != "raw"
    {
        return Need::value(whole);
    }
    let last = pieces.len() - 1;
    Need::all(pieces.iter().enumerate().map(|(at, piece)| Need::words(piece, (at > 0, at < last))))
}

/// What stands between the wildcards of a pattern of `LIKE`; at least one text.
fn pieces(pattern: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        let kept = match letter {
            '%' | '_' => {
                pieces.push(String::new());
                continue;
            }
            // Whatever stands behind a backslash stands for itself, and so does a backslash with nothing behind it.
            '\\' => letters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(piece) = pieces.last_mut() {
            piece.push(kept);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn word(text: &str) -> Need {
        Need::Hash(word_hash(text.as_bytes()))
    }

    fn value(text: &str) -> Need {
        Need::Hash(value_hash(text.as_bytes()))
    }

    #[test]
    fn conditions_need_words() {
        for (condition, wanted) in [
            (col("user_name").eq(lit("Admin")), value("admin")),
            (lit("Admin").eq(col("user_name")), value("admin")),
            (col("src_endpoint_ip").eq(lit("10.1.2.3")), value("10.1.2.3")),
            (col("raw").ilike(lit("%x mimikatz%")), Need::Nothing),
            (col("raw").ilike(lit("%x mimikatz y%")), word("mimikatz")),
            (col("file_path").like(lit("%\\\\whoami.exe")), Need::all([word("whoami"), word("exe")])),
            (col("file_path").like(lit("C:\\\\Users\\\\%")), word("users")),
            (col("file_path").like(lit("evil\\_x.dll")), value("evil_x.dll")),
            (col("file_path").not_like(lit("evil")), Need::Nothing),
            (col("organisation").eq(lit("a")), Need::Nothing),
            (col("user_name").not_eq(lit("a")), Need::Nothing),
            (
                col("user_name").eq(lit("aa")).or(col("actor_user_name").eq(lit("bb"))),
                Need::Any(vec![value("aa"), value("bb")]),
            ),
            (col("user_name").eq(lit("aa")).or(col("process_pid").eq(lit(1))), Need::Nothing),
            (col("user_name").eq(lit("aa")).and(col("process_pid").eq(lit(1))), value("aa")),
            (col("user_name").in_list(vec![lit("aa"), lit("bb")], false), Need::Any(vec![value("aa"), value("bb")])),
            (col("user_name").in_list(vec![lit("aa")], true), Need::Nothing),
        ] {
            assert_eq!(needs(&condition), wanted, "{condition}");
        }
    }
}
