//! The arguments of every command.
//!
//! The documentation comments here are for readers of the code; people see the texts of [`help`], in their language.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use khien_detect::rule::Level;
use khien_event::taxonomy::LogSource;

use crate::text::Text;

mod admin;
pub mod help;
pub mod refused;

pub use admin::{
    Admin, AdminCommand, HoldAdd, HoldAdmin, HoldCommand, HoldLift, Numbered, OperatorAdmin, OperatorCommand, PackAdd,
    PackAdmin, PackCommand, PackLive, RetentionAdmin, RetentionCommand, RetentionSet, SocAdd, SocAdmin, SocCertificate,
    SocCommand, SocKind, SocList, SocName, SocNetwork, SocSource,
};
pub use refused::Refused;

/// `khien`
#[derive(Parser, Debug)]
#[command(name = "khien", version, disable_help_flag = true, disable_version_flag = true)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Language of messages; read before by [`crate::locale::choose`].
    #[arg(long, global = true, value_enum)]
    pub lang: Option<LangArg>,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: Color,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs rules over logs.
    Detect(Box<Detect>),
    /// Works on rules without logs.
    Rules(Rules),
    /// Runs the server.
    Serve(Box<Serve>),
    /// Runs a server with simulated SOCs.
    Demo(Demo),
    /// Sends events as many SOCs do.
    Simulate(Simulate),
    /// Asks the lake.
    Query(Query),
    /// Reads files and syslog and sends them to a server.
    Forward(Forward),
    /// Searches the lake.
    Search(SearchArgs),
    /// Administers a data folder.
    Admin(Admin),
}

/// `khien detect`
#[derive(Args, Debug)]
pub struct Detect {
    /// Rule files, folders, archives, packs; none are needed with indicators.
    #[arg(long, short, required_unless_present = "indicators", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Format of the input.
    #[arg(long, value_enum, default_value = "auto")]
    pub format: Format,
    /// Format of the findings; by default a table on a terminal and NDJSON elsewhere.
    #[arg(long, short, value_enum)]
    pub output: Option<Output>,
    /// Files of indicators.
    #[arg(long, num_args = 1..)]
    pub indicators: Vec<PathBuf>,
    /// Values for `|expand`.
    #[arg(long)]
    pub placeholders: Option<PathBuf>,
    /// Worker threads; 0 for one per processor.
    #[arg(long, short, default_value_t = 0)]
    pub threads: usize,
    /// Least level of findings.
    #[arg(long, value_enum, default_value = "informational")]
    pub level: LevelArg,
    /// Level from which findings make the exit code 1.
    #[arg(long, value_enum)]
    pub fail_on: Option<LevelArg>,
    /// Anything unreadable or malformed makes the exit code 3.
    #[arg(long)]
    pub strict: bool,
    /// Rule to explain instead of looking for findings.
    #[arg(long)]
    pub explain: Option<String>,
    /// Event to explain it on.
    #[arg(long, requires = "explain", value_parser = clap::value_parser!(u64).range(1..))]
    pub position: Option<u64>,
    /// How many malformed records to describe.
    #[arg(long, default_value_t = 5)]
    pub max_malformed_reported: usize,
    /// Log source of all events.
    #[arg(long, value_parser = log_source)]
    pub logsource: Option<LogSource>,
    /// Where to write the summary as JSON.
    #[arg(long)]
    pub summary_json: Option<PathBuf>,
    /// No progress bar.
    #[arg(long)]
    pub no_progress: bool,
    /// Files, folders, patterns, `-`. Required, which [`parse`] checks after `give_back`.
    pub input: Vec<OsString>,
}

/// `khien rules`
#[derive(Args, Debug)]
pub struct Rules {
    /// What to do with them.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// The commands of `khien rules`.
#[derive(Subcommand, Debug)]
pub enum RulesCommand {
    /// Checks rules.
    Check(Check),
    /// Lists rules.
    List(List),
    /// Makes a pack.
    Import(Import),
    /// Shows one rule.
    Explain(Explain),
}

/// `khien rules check`
#[derive(Args, Debug)]
pub struct Check {
    /// Rules.
    #[arg(required = true)]
    pub path: Vec<PathBuf>,
    /// Warnings count as errors.
    #[arg(long)]
    pub strict: bool,
    /// Format of the result.
    #[arg(long, short, value_enum, default_value = "text")]
    pub output: TextOrJson,
    /// Values for `|expand`.
    #[arg(long)]
    pub placeholders: Option<PathBuf>,
}

/// `khien rules list`
#[derive(Args, Debug)]
pub struct List {
    /// Rules.
    #[arg(required = true)]
    pub path: Vec<PathBuf>,
    /// Format of the result.
    #[arg(long, short, value_enum, default_value = "text")]
    pub output: TextOrJson,
    /// Least level.
    #[arg(long, value_enum)]
    pub level: Option<LevelArg>,
    /// Only rules for this log source.
    #[arg(long, value_parser = log_source)]
    pub logsource: Option<LogSource>,
    /// Only rules with this tag, or a tag below it.
    #[arg(long)]
    pub tag: Option<String>,
    /// Only rules with this status.
    #[arg(long)]
    pub status: Option<String>,
    /// Only rules with these words in id or title.
    #[arg(long)]
    pub search: Option<String>,
}

/// `khien rules import`
#[derive(Args, Debug)]
pub struct Import {
    /// Rules.
    #[arg(required = true)]
    pub path: Vec<PathBuf>,
    /// Where to write the pack.
    #[arg(long, short)]
    pub output: PathBuf,
    /// Refuses to make a pack when a rule cannot be used.
    #[arg(long)]
    pub strict: bool,
    /// Values for `|expand`.
    #[arg(long)]
    pub placeholders: Option<PathBuf>,
}

/// `khien rules explain`
#[derive(Args, Debug)]
pub struct Explain {
    /// Id of the rule.
    pub rule: String,
    /// Rules.
    #[arg(long, short, required = true, num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Event to explain it on.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub position: Option<u64>,
    /// Format of the input.
    #[arg(long, value_enum, default_value = "auto")]
    pub format: Format,
    /// Log source of all events.
    #[arg(long, value_parser = log_source)]
    pub logsource: Option<LogSource>,
    /// Format of the result.
    #[arg(long, short, value_enum, default_value = "text")]
    pub output: TextOrJson,
    /// Events.
    pub input: Vec<OsString>,
}

/// `khien serve`
#[derive(Args, Debug)]
pub struct Serve {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Where HTTP is spoken.
    #[arg(long, default_value = "127.0.0.1:8514")]
    pub listen: SocketAddr,
    /// Where HTTP is spoken over TLS.
    #[arg(long, requires_all = ["tls_cert", "tls_key"])]
    pub https: Option<SocketAddr>,
    /// Rules for all events.
    #[arg(long, short, num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Values for `|expand`.
    #[arg(long)]
    pub placeholders: Option<PathBuf>,
    /// Files of indicators.
    #[arg(long, num_args = 1..)]
    pub indicators: Vec<PathBuf>,
    /// Owners of networks and domains.
    #[arg(long)]
    pub owners: Option<PathBuf>,
    /// Databases of countries and autonomous systems.
    #[arg(long, num_args = 1..)]
    pub geoip: Vec<PathBuf>,
    /// Memory that one query may take.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub query_memory: u32,
    /// Syslog over UDP.
    #[arg(long)]
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP.
    #[arg(long)]
    pub syslog_tcp: Option<SocketAddr>,
    /// Syslog over TLS.
    #[arg(long, requires_all = ["tls_cert", "tls_key"])]
    pub syslog_tls: Option<SocketAddr>,
    /// Certificate chain.
    #[arg(long)]
    pub tls_cert: Option<PathBuf>,
    /// Private key.
    #[arg(long)]
    pub tls_key: Option<PathBuf>,
    /// SOC whose syslog comes in.
    #[arg(long)]
    pub syslog_source: Option<String>,
    /// Worker threads; 0 for one per processor.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

/// `khien forward`
#[derive(Args, Debug)]
pub struct Forward {
    /// Data folder.
    #[arg(long, default_value = "khien-forward")]
    pub data: PathBuf,
    /// Address of the server.
    #[arg(long)]
    pub to: String,
    /// File with the token of the SOC.
    #[arg(long)]
    pub token_file: PathBuf,
    /// Files and folders that are followed.
    #[arg(long, num_args = 1..)]
    pub follow: Vec<PathBuf>,
    /// Source of the events of files.
    #[arg(long)]
    pub source: Option<String>,
    /// Syslog over UDP.
    #[arg(long)]
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP.
    #[arg(long)]
    pub syslog_tcp: Option<SocketAddr>,
    /// A certificate authority to trust besides the usual ones.
    #[arg(long)]
    pub ca: Option<PathBuf>,
}

/// `khien search`
#[derive(Args, Debug)]
pub struct SearchArgs {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// At most so many hits.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Fields whose frequent values are shown.
    #[arg(long)]
    pub facet: Vec<String>,
    /// Format of the result.
    #[arg(long, short, value_enum, default_value = "text")]
    pub output: TextOrJson,
    /// What is looked for.
    #[arg(allow_hyphen_values = true)]
    pub query: String,
}

/// `khien demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// SOCs.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=999))]
    pub socs: u16,
    /// Events a second, of all SOCs together.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// Seconds until it ends.
    #[arg(long = "for", default_value_t = 20)]
    pub seconds: u64,
    /// Where HTTP is spoken.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Data folder; a temporary one by default.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Rules for all events.
    #[arg(long, short, num_args = 1.., required = true)]
    pub rules: Vec<PathBuf>,
    /// Events to send.
    #[arg(long, num_args = 1.., required = true)]
    pub events: Vec<PathBuf>,
}

/// `khien simulate`
#[derive(Args, Debug)]
pub struct Simulate {
    /// Address of the server.
    #[arg(long)]
    pub to: String,
    /// SOCs.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..=999))]
    pub socs: u16,
    /// Events a second, of all SOCs together.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// Seconds until it ends; for ever by default.
    #[arg(long = "for")]
    pub seconds: Option<u64>,
    /// Data folder of the server, to enter the SOCs in.
    #[arg(long, required_unless_present = "tokens")]
    pub data: Option<PathBuf>,
    /// Tokens of SOCs, one a line.
    #[arg(long, conflicts_with = "data")]
    pub tokens: Option<PathBuf>,
    /// Events to send.
    #[arg(required = true)]
    pub events: Vec<PathBuf>,
}

/// `khien query`
#[derive(Args, Debug)]
pub struct Query {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Format of the answer.
    #[arg(long, short, value_enum)]
    pub output: Option<QueryOutput>,
    /// Most seconds it may take.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Question.
    pub sql: String,
}

/// Formats of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueryOutput {
    /// A JSON array.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// For spreadsheets.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// Languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LangArg {
    /// Tiếng Việt
    Vi,
    /// English
    En,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Formats of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Recognised for each file.
    #[default]
    Auto,
    /// Windows event log files.
    Evtx,
    /// One JSON object a line.
    Jsonl,
    /// One JSON document, or several after each other.
    Json,
    /// Suricata EVE.
    Eve,
    /// Zeek, JSON or TSV.
    Zeek,
    /// Syslog of RFC 3164 or RFC 5424.
    Syslog,
    /// Linux audit.
    Auditd,
    /// Common Event Format.
    Cef,
    /// Log Event Extended Format.
    Leef,
    /// `key=value` lines.
    Kv,
    /// Access logs of web servers.
    Webserver,
    /// W3C extended logs (IIS).
    W3c,
}

/// Formats of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One JSON object a line.
    Ndjson,
    /// OCSF 1.8, one JSON object a line.
    Ocsf,
    /// For people.
    Table,
    /// For spreadsheets.
    Csv,
}

/// Formats of what the `rules` commands say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// Levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    /// See [`Level::Informational`].
    Informational,
    /// See [`Level::Low`].
    Low,
    /// See [`Level::Medium`].
    Medium,
    /// See [`Level::High`].
    High,
    /// See [`Level::Critical`].
    Critical,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Informational => Self::Informational,
            LevelArg::Low => Self::Low,
            LevelArg::Medium => Self::Medium,
            LevelArg::High => Self::High,
            LevelArg::Critical => Self::Critical,
        }
    }
}

/// Parses `argv`, the program's name first, with help and complaints in the language of `text`.
///
/// # Errors
/// What to tell the person: a complaint, or the help that was asked for.
pub fn parse(argv: &[OsString], text: Text) -> Result<Cli, Refused> {
    let command = help::localise(Cli::command(), text);
    command.try_get_matches_from(argv).and_then(|matches| from_matches(&matches, text)).map_err(Refused)
}

fn from_matches(matches: &ArgMatches, text: Text) -> Result<Cli, clap::Error> {
    let mut cli = Cli::from_arg_matches(matches)?;
    match (&mut cli.command, matches.subcommand()) {
        (Command::Detect(detect), Some((_, below))) => {
            let last = last_list(below, &["rules", "indicators"]);
            let swallower = match last {
                Some(("indicators", _)) => &mut detect.indicators,
                _ => &mut detect.rules,
            };
            give_back(&mut detect.input, swallower, last.map_or(0, |(_, length)| length));
            if detect.input.is_empty() {
                return Err(missing(text.0.pick("<ĐẦU_VÀO>", "<INPUT>")));
            }
        }
        (Command::Rules(Rules { command: RulesCommand::Explain(explain) }), Some((_, rules))) => {
            let last = rules.subcommand().and_then(|(_, below)| last_list(below, &["rules"]));
            give_back(&mut explain.input, &mut explain.rules, last.map_or(0, |(_, length)| length));
        }
        _ => {}
    }
    Ok(cli)
}

/// The option among `ids` that was given last, and how many values it was given there.
fn last_list<'a>(matches: &ArgMatches, ids: &[&'a str]) -> Option<(&'a str, usize)> {
    let last = ids.iter().filter_map(|id| Some((matches.indices_of(id)?.max()?, *id))).max()?.1;
    let values = matches.get_occurrences::<PathBuf>(last)?.next_back()?;
    Some((last, values.count()))
}

/// Turns `--rules RULES LOGS` into what was meant.
///
/// An option that takes several paths swallows everything up to the next option. When no input is left, the paths after
/// the first of the option given last, `length` in number, were the input.
fn give_back(input: &mut Vec<OsString>, list: &mut Vec<PathBuf>, length: usize) {
    if input.is_empty() && length > 1 && list.len() >= length {
        let swallowed = list.split_off(list.len() - length + 1);
        input.extend(swallowed.into_iter().map(PathBuf::into_os_string));
    }
}

fn missing(argument: &str) -> clap::Error {
    let mut error = clap::Error::new(ErrorKind::MissingRequiredArgument);
    error.insert(ContextKind::InvalidArg, ContextValue::Strings(vec![argument.to_owned()]));
    error
}

/// Parses `product=windows,category=process_creation,service=sysmon`; each part at most once, none required.
fn log_source(text: &str) -> Result<LogSource, String> {
    let mut source = LogSource::default();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("{part}: ?="))?;
        let place = match key.trim() {
            "product" => &mut source.product,
            "category" => &mut source.category,
            "service" => &mut source.service,
            other => return Err(other.to_owned()),
        };
        let value = value.trim().to_ascii_lowercase();
        if value.is_empty() || place.replace(value).is_some() {
            return Err(part.to_owned());
        }
    }
    if source == LogSource::default() {
        return Err(text.to_owned());
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use khien_base::lang::Lang;

    use super::*;

    #[test]
    fn a_log_source_is_named_by_its_parts() {
        let source = log_source("product=Windows, service=sysmon").unwrap();
        assert_eq!(source.product.as_deref(), Some("windows"));
        assert_eq!(source.category, None);
        assert_eq!(source.service.as_deref(), Some("sysmon"));
        for bad in ["", "product", "product=", "product=a,product=b", "host=x"] {
            assert!(log_source(bad).is_err(), "{bad}");
        }
    }

    fn detect(argv: &[&str]) -> Result<Box<Detect>, Refused> {
        let argv: Vec<OsString> = ["khien", "detect"].iter().chain(argv).map(OsString::from).collect();
        match parse(&argv, Text(Lang::En))?.command {
            Command::Detect(detect) => Ok(detect),
            _ => panic!("not detect"),
        }
    }

    fn rules_and_input(argv: &[&str]) -> String {
        let detect = detect(argv).unwrap();
        format!("{:?} {:?} {:?}", detect.rules, detect.indicators, detect.input)
    }

    #[test]
    fn paths_go_where_they_were_meant() {
        let all = [
            rules_and_input(&["--rules", "r", "logs"]),
            rules_and_input(&["--rules", "r", "a", "b", "--output", "csv"]),
            rules_and_input(&["--rules", "r", "s", "--output", "csv", "logs"]),
            rules_and_input(&["--rules", "r", "s", "--", "logs"]),
            rules_and_input(&["logs", "--rules", "r", "s"]),
            rules_and_input(&["--rules", "r", "s", "--indicators", "i", "logs"]),
            rules_and_input(&["--indicators", "i", "--rules", "r", "--rules", "s", "-"]),
            rules_and_input(&["--indicators", "i", "logs"]),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        ["r"] [] ["logs"]
        ["r"] [] ["a", "b"]
        ["r", "s"] [] ["logs"]
        ["r", "s"] [] ["logs"]
        ["r", "s"] [] ["logs"]
        ["r", "s"] ["i"] ["logs"]
        ["r", "s"] ["i"] ["-"]
        [] ["i"] ["logs"]
        "#);
        assert!(detect(&["--indicators", "i"]).is_err());
        assert!(detect(&["--rules", "r"]).is_err());
        assert!(detect(&["--rules", "r", "--rules", "s"]).is_err());
        assert!(detect(&["logs"]).is_err());
    }
}
