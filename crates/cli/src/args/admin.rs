//! The arguments of `khien admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::TextOrJson;

/// `khien admin`
#[derive(Args, Debug)]
pub struct Admin {
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// The commands of `khien admin`.
#[derive(Subcommand, Debug)]
pub enum AdminCommand {
    /// SOCs that send events.
    Soc(SocAdmin),
    /// Operators of the centre.
    Operator(OperatorAdmin),
    /// Packs of rules.
    Pack(PackAdmin),
    /// How long events are kept.
    Retention(RetentionAdmin),
    /// Legal holds.
    Hold(HoldAdmin),
}

/// `khien admin retention`
#[derive(Args, Debug)]
pub struct RetentionAdmin {
    /// What to do with it.
    #[command(subcommand)]
    pub command: RetentionCommand,
}

/// The commands of `khien admin retention`.
#[derive(Subcommand, Debug)]
pub enum RetentionCommand {
    /// Lists the rules.
    List(SocList),
    /// Says how long.
    Set(RetentionSet),
    /// Removes a rule.
    Remove(Numbered),
}

/// `khien admin retention set`
#[derive(Args, Debug)]
pub struct RetentionSet {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Of this SOC.
    #[arg(long)]
    pub soc: Option<String>,
    /// Of this OCSF class.
    #[arg(long)]
    pub class: Option<i32>,
    /// Days.
    #[arg(long)]
    pub days: u32,
    /// Why.
    #[arg(long)]
    pub reason: String,
}

/// `khien admin hold`
#[derive(Args, Debug)]
pub struct HoldAdmin {
    /// What to do with them.
    #[command(subcommand)]
    pub command: HoldCommand,
}

/// The commands of `khien admin hold`.
#[derive(Subcommand, Debug)]
pub enum HoldCommand {
    /// Lists them.
    List(SocList),
    /// Adds one.
    Add(HoldAdd),
    /// Lifts one.
    Lift(HoldLift),
}

/// `khien admin hold add`
#[derive(Args, Debug)]
pub struct HoldAdd {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Of this SOC.
    #[arg(long)]
    pub soc: Option<String>,
    /// First day.
    #[arg(long)]
    pub from: jiff::civil::Date,
    /// Last day.
    #[arg(long)]
    pub until: jiff::civil::Date,
    /// Why.
    #[arg(long)]
    pub reason: String,
}

/// `khien admin hold lift`
#[derive(Args, Debug)]
pub struct HoldLift {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Number.
    #[arg(long)]
    pub id: uuid::Uuid,
    /// Why.
    #[arg(long)]
    pub reason: String,
}

/// What has a number.
#[derive(Args, Debug)]
pub struct Numbered {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Number.
    #[arg(long)]
    pub id: uuid::Uuid,
}

/// `khien admin operator`
#[derive(Args, Debug)]
pub struct OperatorAdmin {
    /// What to do with them.
    #[command(subcommand)]
    pub command: OperatorCommand,
}

/// The commands of `khien admin operator`.
#[derive(Subcommand, Debug)]
pub enum OperatorCommand {
    /// Enters one.
    Add(SocName),
    /// Lists them.
    List(SocList),
    /// Revokes the token of one.
    Revoke(SocName),
}

/// `khien admin pack`
#[derive(Args, Debug)]
pub struct PackAdmin {
    /// What to do with them.
    #[command(subcommand)]
    pub command: PackCommand,
}

/// The commands of `khien admin pack`.
#[derive(Subcommand, Debug)]
pub enum PackCommand {
    /// Adds a version of one.
    Add(PackAdd),
    /// Lists them.
    List(SocList),
    /// Puts a version in force.
    Live(PackLive),
    /// Takes one out of force.
    Retire(SocName),
}

/// `khien admin pack add`
#[derive(Args, Debug)]
pub struct PackAdd {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Name.
    #[arg(long)]
    pub name: String,
    /// A zip archive, a compiled pack or a YAML file.
    pub file: PathBuf,
}

/// `khien admin pack live`
#[derive(Args, Debug)]
pub struct PackLive {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Name.
    #[arg(long)]
    pub name: String,
    /// Version.
    #[arg(long)]
    pub version: Option<i32>,
    /// For these organisations only.
    #[arg(long)]
    pub organisation: Vec<String>,
}

/// `khien admin soc`
#[derive(Args, Debug)]
pub struct SocAdmin {
    /// What to do with them.
    #[command(subcommand)]
    pub command: SocCommand,
}

/// The commands of `khien admin soc`.
#[derive(Subcommand, Debug)]
pub enum SocCommand {
    /// Enters one.
    Add(SocAdd),
    /// Lists them.
    List(SocList),
    /// Gives one a new token.
    Token(SocName),
    /// Lets one send with a client certificate.
    Certificate(SocCertificate),
    /// Says from which addresses one sends syslog.
    Network(SocNetwork),
    /// Declares sources of one.
    Source(SocSource),
    /// Revokes the tokens and certificates of one.
    Revoke(SocName),
}

/// `khien admin soc certificate`
#[derive(Args, Debug)]
pub struct SocCertificate {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Name.
    #[arg(long)]
    pub name: String,
    /// The certificate, without its key.
    pub file: PathBuf,
}

/// `khien admin soc network`
#[derive(Args, Debug)]
pub struct SocNetwork {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Name.
    #[arg(long)]
    pub name: String,
    /// The addresses are not its any more.
    #[arg(long)]
    pub remove: bool,
    /// The addresses.
    #[arg(required = true, num_args = 1..)]
    pub networks: Vec<khien_server::admin::IpNet>,
}

/// `khien admin soc source`
#[derive(Args, Debug)]
pub struct SocSource {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Name.
    #[arg(long)]
    pub name: String,
    /// Minutes that they may be silent.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=525_600), conflicts_with = "remove")]
    pub silence: Option<u32>,
    /// They are not declared any more.
    #[arg(long)]
    pub remove: bool,
    /// The sources.
    #[arg(required = true, num_args = 1..)]
    pub sources: Vec<String>,
}

/// `khien admin soc add`
#[derive(Args, Debug)]
pub struct SocAdd {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Name.
    #[arg(long)]
    pub name: String,
    /// Whose it is.
    #[arg(long, value_enum)]
    pub kind: SocKind,
    /// Most events a second.
    #[arg(long)]
    pub events_per_second: Option<u64>,
    /// Most bytes a second.
    #[arg(long)]
    pub bytes_per_second: Option<u64>,
    /// Most events on a day.
    #[arg(long)]
    pub events_per_day: Option<u64>,
}

/// `khien admin soc list`
#[derive(Args, Debug)]
pub struct SocList {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Format of the result.
    #[arg(long, short, value_enum, default_value = "text")]
    pub output: TextOrJson,
}

/// `khien admin soc token` and `revoke`
#[derive(Args, Debug)]
pub struct SocName {
    /// Data folder.
    #[arg(long, default_value = "khien-data")]
    pub data: PathBuf,
    /// Name.
    #[arg(long)]
    pub name: String,
}

/// Whose a SOC is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SocKind {
    /// See [`khien_server::admin::Kind::Ministry`].
    Ministry,
    /// See [`khien_server::admin::Kind::Province`].
    Province,
    /// See [`khien_server::admin::Kind::Infrastructure`].
    Infrastructure,
    /// See [`khien_server::admin::Kind::Foreign`].
    Foreign,
}
