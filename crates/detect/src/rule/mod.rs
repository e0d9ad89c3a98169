//! A Sigma rule after parsing: one plain tree of tests on fields, every modifier already applied.
//!
//! Everything else — the fast engine, the reference evaluator, packs, explanations — starts from these types.

mod literals;
pub mod load;
pub mod pcre;
pub mod time;

use ipnet::IpNet;
use khien_event::taxonomy::LogSource;
use serde::{Deserialize, Serialize};

/// Severity of a rule (Sigma rules specification, "Level").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For enrichment only; also what a rule without a level gets.
    #[default]
    Informational,
    /// A hint.
    Low,
    /// To be looked at regularly.
    Medium,
    /// To be looked at soon.
    High,
    /// To be looked at now.
    Critical,
}

impl Level {
    /// What rules and findings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Where a rule stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct Origin {
    /// File the rule came from, as the user named it.
    pub file: String,
    /// 1-based line on which the rule's document starts.
    pub line: u32,
}

/// A rule that looks at one event at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// `id`; when a rule has none, `name`, else a hash of its text, so that findings can always name it.
    pub id: String,
    /// `name`, by which correlations may refer to it.
    pub name: Option<String>,
    /// `title`
    pub title: String,
    /// `level`
    pub level: Level,
    /// `status` as written
    pub status: Option<String>,
    /// `tags`
    pub tags: Vec<String>,
    /// `description`
    pub description: Option<String>,
    /// `author`
    pub author: Option<String>,
    /// `references`
    pub references: Vec<String>,
    /// `falsepositives`
    pub falsepositives: Vec<String>,
    /// `fields`
    pub fields: Vec<String>,
    /// `related`: relation and rule id
    pub related: Vec<(String, String)>,
    /// `logsource`
    pub logsource: LogSource,
    /// Where it stands.
    pub origin: Origin,
    /// The detection with its condition, filters applied.
    pub condition: Expr,
    /// False for a rule that only feeds correlations (a correlation with `generate: false` refers to it).
    pub reports: bool,
}

/// A condition: a tree of tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// All hold; an empty list holds.
    And(Vec<Expr>),
    /// At least one holds; an empty list does not.
    Or(Vec<Expr>),
    /// Does not hold.
    Not(Box<Expr>),
    /// At least so many hold (`2 of selection*`).
    AtLeast(u32, Vec<Expr>),
    /// A named detection (`selection`), kept for explanations; means its inner expression.
    Named(String, Box<Expr>),
    /// One detection item.
    Item(Item),
}

/// A field, or the whole event for a keyword, and the tests on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Field as the rule names it; `None` for keywords, which look at every value of the event.
    pub field: Option<String>,
    /// How `tests` are linked.
    pub link: Link,
    /// The tests. A test holds when any value of the field fulfils it.
    pub tests: Vec<Test>,
}

/// How the tests of one item are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// One is enough (a list).
    Any,
    /// All must hold (`|all`).
    All,
}

/// Whether upper and lower case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Case {
    /// The same, by [`crate::text::fold`]; Sigma's default.
    Fold,
    /// Different (`|cased`).
    Exact,
}

/// A piece of a text pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Part {
    /// These characters.
    Literal(String),
    /// `?`: exactly one character.
    One,
    /// `*`: any number of characters, none too.
    Any,
}

/// One test on one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Test {
    /// The whole text matches the pattern. `contains: x` is `[Any, Literal(x), Any]`; neighbouring literals are joined,
    /// neighbouring `Any` are one.
    Text(Vec<Part>, Case),
    /// The regular expression matches somewhere in the text.
    Regex(RegexPattern),
    /// The text is an IP address inside the network.
    Cidr(IpNet),
    /// The value is a number, or text that is one (`4688`, `-1.5e3`), and compares so. A plain number in a rule is
    /// `Number(Eq, _)`.
    Number(Compare, f64),
    /// The value is this truth value, or the text of it.
    Bool(bool),
    /// The field is absent or a value is null.
    Null,
    /// The field is present (true) or absent (false), whatever its value.
    Exists(bool),
    /// The text relates so to the text of another field of the same event.
    FieldRef(String, TextOp, Case),
    /// The value is a time whose part (UTC) compares so (`|hour: 3`).
    TimePart(TimePart, i64),
}

/// Comparison of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compare {
    /// `gt`
    Gt,
    /// `gte`
    Gte,
    /// `lt`
    Lt,
    /// `lte`
    Lte,
    /// equal
    Eq,
}

/// How two texts relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TextOp {
    /// The same.
    Equals,
    /// Contains it.
    Contains,
    /// Begins with it.
    StartsWith,
    /// Ends with it.
    EndsWith,
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TimePart {
    /// 0-59
    Minute,
    /// 0-23
    Hour,
    /// day of the month, 1-31
    Day,
    /// ISO week, 1-53
    Week,
    /// 1-12
    Month,
    /// the year
    Year,
}

/// A regular expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegexPattern {
    /// In the syntax of crate `regex`, flags written inline as `(?i)`.
    pub text: String,
    /// Lists of folded literals: of each list at least one stands in the folded form of every text that matches. The
    /// most telling list is the first.
    pub required: Vec<Vec<String>>,
    /// Fewest bytes of a text that matches.
    pub least: usize,
}

impl From<String> for RegexPattern {
    fn from(text: String) -> Self {
        let hir = pcre::parse(&text).ok();
        let required = hir.as_ref().map(literals::required).unwrap_or_default();
        let least = hir.and_then(|hir| hir.properties().minimum_len()).unwrap_or(0);
        Self { text, required, least }
    }
}

impl From<&str> for RegexPattern {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}
