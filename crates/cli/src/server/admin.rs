//! `khien admin`: what administrators do on the machine itself.

use anyhow::Context as _;
use khien_server::admin::{Credential, KeepRule, Kind, LegalHold, NewSoc, Pack, PackState, Quota, default_keeping};
use serde_json::json;

use super::{open, runtime};
use crate::args::{
    AdminCommand, HoldAdd, HoldCommand, HoldLift, Numbered, OperatorCommand, PackCommand, PackLive, RetentionCommand,
    RetentionSet, SocAdd, SocCertificate, SocCommand, SocKind, SocList, SocNetwork, SocSource, TextOrJson,
};
use crate::exit::Exit;
use crate::safe;
use crate::terminal::Console;

/// Administers a data folder.
///
/// # Errors
/// When something cannot be done.
pub fn admin(command: &AdminCommand, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    runtime()?.block_on(async {
        match command {
            AdminCommand::Soc(socs) => soc(&socs.command, console).await?,
            AdminCommand::Operator(operators) => operator(&operators.command, console).await?,
            AdminCommand::Pack(packs) => pack(&packs.command, console).await?,
            AdminCommand::Retention(rules) => retention(&rules.command, console).await?,
            AdminCommand::Hold(holds) => hold(&holds.command, console).await?,
        }
        Ok(Exit::Done)
    })
}

async fn soc(command: &SocCommand, console: &mut Console<'_>) -> anyhow::Result<()> {
    match command {
        SocCommand::Add(add) => add_soc(add, console).await?,
        SocCommand::List(list) => list_socs(list, console).await?,
        SocCommand::Token(name) => {
            let token = open(&name.data).await?.add_token(&name.name).await?;
            show_token(token.reveal(), console)?;
        }
        SocCommand::Certificate(SocCertificate { data, name, file }) => {
            let text = std::fs::read(file).with_context(|| file.display().to_string())?;
            let added = open(data).await?.add_certificate(name, &text).await?;
            let subject = safe::line(&added.certificate.unwrap_or_default()).into_owned();
            let until = jiff::Timestamp::from_millisecond(added.expires_ms.unwrap_or_default())?;
            let until = until.strftime("%Y-%m-%d").to_string();
            writeln!(console.err, "{}", console.text.certificate_added(&subject, &until))?;
        }
        SocCommand::Network(SocNetwork { data, name, remove, networks }) => {
            let admin = open(data).await?;
            for network in networks {
                if *remove {
                    admin.remove_network(name, *network).await?;
                } else {
                    admin.add_network(name, *network).await?;
                }
            }
        }
        SocCommand::Source(SocSource { data, name, silence, remove, sources }) => {
            let admin = open(data).await?;
            for source in sources {
                if *remove {
                    admin.withdraw_source(name, source).await?;
                } else {
                    admin.declare_source(name, source, silence.map(|minutes| i64::from(minutes) * 60_000)).await?;
                }
            }
        }
        SocCommand::Revoke(name) => {
            let count = open(&name.data).await?.revoke(&name.name).await?;
            writeln!(console.err, "{}", console.text.tokens_revoked(&count.to_string(), &safe::line(&name.name)))?;
        }
    }
    Ok(())
}

async fn operator(command: &OperatorCommand, console: &mut Console<'_>) -> anyhow::Result<()> {
    match command {
        OperatorCommand::Add(name) => {
            let token = open(&name.data).await?.add_operator(&name.name).await?;
            show_token(token.reveal(), console)?;
        }
        OperatorCommand::List(list) => {
            let operators = open(&list.data).await?.list_operators().await?;
            if list.output == TextOrJson::Json {
                let rows = operators.iter().map(|operator| {
                    json!({
                        "name": operator.name, "created_ms": operator.created_ms, "revoked_ms": operator.revoked_ms,
                    })
                });
                writeln!(console.out, "{}", serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?)?;
                return Ok(());
            }
            if operators.is_empty() {
                writeln!(console.err, "{}", console.text.no_operators())?;
            }
            for operator in operators {
                let state = operator.revoked_ms.map_or("", |_| console.text.revoked());
                writeln!(console.out, "{}\t{state}", safe::line(&operator.name))?;
            }
        }
        OperatorCommand::Revoke(name) => {
            open(&name.data).await?.revoke_operator(&name.name).await?;
            writeln!(console.err, "{}", console.text.tokens_revoked("1", &safe::line(&name.name)))?;
        }
    }
    Ok(())
}

async fn retention(command: &RetentionCommand, console: &mut Console<'_>) -> anyhow::Result<()> {
    match command {
        RetentionCommand::List(list) => {
            let rules = open(&list.data).await?.list_keeping().await?;
            if list.output == TextOrJson::Json {
                let all = json!({"default": default_keeping(), "rules": rules});
                writeln!(console.out, "{}", serde_json::to_string_pretty(&all)?)?;
                return Ok(());
            }
            let default = default_keeping();
            let text = console.text;
            writeln!(
                console.out,
                "{}",
                text.kept_by_default(&text.count(default.days.into()), &default.legal_reference)
            )?;
            rules.iter().try_for_each(|rule| show_rule(rule, console))?;
        }
        RetentionCommand::Set(RetentionSet { data, soc, class, days, reason }) => {
            let rule = open(data).await?.set_keeping((soc.clone(), *class), *days, reason).await?;
            show_rule(&rule, console)?;
        }
        RetentionCommand::Remove(Numbered { data, id }) => open(data).await?.remove_keeping(*id).await?,
    }
    Ok(())
}

fn show_rule(rule: &KeepRule, console: &mut Console<'_>) -> anyhow::Result<()> {
    let soc = rule.organisation.as_deref().map_or_else(|| console.text.pack_all().to_owned(), str::to_owned);
    let class = rule.class_uid.map_or_else(|| "*".to_owned(), |class| class.to_string());
    let (soc, reason) = (safe::line(&soc), safe::line(&rule.reason));
    writeln!(console.out, "{}\t{soc}\t{class}\t{}\t{reason}", rule.id, rule.days)?;
    Ok(())
}

async fn hold(command: &HoldCommand, console: &mut Console<'_>) -> anyhow::Result<()> {
    match command {
        HoldCommand::List(list) => {
            let holds = open(&list.data).await?.list_holds().await?;
            if list.output == TextOrJson::Json {
                writeln!(console.out, "{}", serde_json::to_string_pretty(&holds)?)?;
                return Ok(());
            }
            if holds.is_empty() {
                writeln!(console.err, "{}", console.text.no_holds())?;
            }
            holds.iter().try_for_each(|hold| show_hold(hold, console))?;
        }
        HoldCommand::Add(HoldAdd { data, soc, from, until, reason }) => {
            let start =
                |date: jiff::civil::Date| Ok(date.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_millisecond());
            let day = |date| start(date).map_err(|error: jiff::Error| anyhow::anyhow!(error));
            let period_ms = (day(*from)?, day(*until)?);
            let hold = open(data).await?.add_hold(soc.clone(), period_ms, reason).await?;
            show_hold(&hold, console)?;
        }
        HoldCommand::Lift(HoldLift { data, id, reason }) => open(data).await?.lift_hold(*id, reason).await?,
    }
    Ok(())
}

fn show_hold(hold: &LegalHold, console: &mut Console<'_>) -> anyhow::Result<()> {
    let soc = hold.organisation.as_deref().map_or_else(|| console.text.pack_all().to_owned(), str::to_owned);
    let date = |ms| jiff::Timestamp::from_millisecond(ms).map(|time| time.strftime("%Y-%m-%d").to_string());
    let (from, until) = (date(hold.from_ms)?, date(hold.to_ms)?);
    let state = hold.lifted_ms.map_or("", |_| console.text.lifted());
    let (soc, reason) = (safe::line(&soc), safe::line(&hold.reason));
    writeln!(console.out, "{}\t{soc}\t{from}\t{until}\t{reason}\t{state}", hold.id)?;
    Ok(())
}

async fn pack(command: &PackCommand, console: &mut Console<'_>) -> anyhow::Result<()> {
    let pack = match command {
        PackCommand::Add(add) => {
            let content = std::fs::read(&add.file).with_context(|| add.file.display().to_string())?;
            open(&add.data).await?.add_pack(&add.name, &content).await?
        }
        PackCommand::Live(PackLive { data, name, version, organisation }) => {
            let only = (!organisation.is_empty()).then_some(organisation.as_slice());
            open(data).await?.pack_live(name, *version, only).await?
        }
        PackCommand::Retire(name) => open(&name.data).await?.retire_pack(&name.name).await?,
        PackCommand::List(list) => {
            let packs = open(&list.data).await?.list_packs().await?;
            if list.output == TextOrJson::Json {
                writeln!(console.out, "{}", serde_json::to_string_pretty(&packs)?)?;
                return Ok(());
            }
            if packs.is_empty() {
                writeln!(console.err, "{}", console.text.no_packs())?;
            }
            return packs.iter().try_for_each(|pack| show_pack(pack, console));
        }
    };
    show_pack(&pack, console)
}

fn show_pack(pack: &Pack, console: &mut Console<'_>) -> anyhow::Result<()> {
    let text = console.text;
    let state = match pack.state {
        PackState::Draft => text.pack_draft(),
        PackState::Live => text.pack_live(),
        PackState::Retired => text.pack_retired(),
    };
    let whom = pack.organisations.as_ref().map_or_else(|| text.pack_all().to_owned(), |names| names.join(", "));
    let count = |number: i32| text.count(u64::try_from(number).unwrap_or(0));
    let rules = text.serve_rules(&count(pack.rules + pack.correlations), &count(pack.unusable));
    writeln!(console.out, "{}@{}\t{state}\t{}\t{rules}", safe::line(&pack.name), pack.version, safe::line(&whom))?;
    Ok(())
}

async fn add_soc(add: &SocAdd, console: &mut Console<'_>) -> anyhow::Result<()> {
    let kind = match add.kind {
        SocKind::Ministry => Kind::Ministry,
        SocKind::Province => Kind::Province,
        SocKind::Infrastructure => Kind::Infrastructure,
        SocKind::Foreign => Kind::Foreign,
    };
    let quota = Quota {
        events_per_second: add.events_per_second,
        bytes_per_second: add.bytes_per_second,
        events_per_day: add.events_per_day,
    };
    let new = NewSoc { name: add.name.clone(), kind, quota };
    let (_, token) = open(&add.data).await?.add_soc(new).await?;
    show_token(token.reveal(), console)
}

/// The token alone goes to standard output, so that a script can take it.
fn show_token(token: &str, console: &mut Console<'_>) -> anyhow::Result<()> {
    writeln!(console.err, "{}", console.text.token_once())?;
    writeln!(console.out, "{token}")?;
    Ok(())
}

async fn list_socs(list: &SocList, console: &mut Console<'_>) -> anyhow::Result<()> {
    let admin = open(&list.data).await?;
    let (socs, networks, sources) = (admin.list_socs().await?, admin.networks().await?, admin.sources().await?);
    let sources_of = |soc: &khien_server::admin::Soc| {
        let own = sources.iter().filter(|source| source.soc.id == soc.id);
        own.map(|source| json!({"name": source.name, "silence_ms": source.silence_ms})).collect::<Vec<_>>()
    };
    let networks_of = |soc: &khien_server::admin::Soc| {
        let own = networks.iter().filter(|network| network.soc.id == soc.id);
        own.map(|network| network.network.to_string()).collect::<Vec<_>>()
    };
    let live = |credentials: &[Credential], certificate: bool| {
        let own = credentials.iter().filter(|one| one.revoked_ms.is_none() && one.certificate.is_some() == certificate);
        own.count()
    };
    if list.output == TextOrJson::Json {
        let socs: Vec<_> = (socs.iter())
            .map(|(soc, credentials)| {
                let (tokens, certificates) = (live(credentials, false), live(credentials, true));
                json!({
                    "name": soc.name, "kind": soc.kind.name(), "quota": soc.quota, "created_ms": soc.created_ms,
                    "tokens": tokens, "certificates": certificates, "networks": networks_of(soc),
                    "sources": sources_of(soc),
                    "revoked": credentials.len() - tokens - certificates,
                })
            })
            .collect();
        writeln!(console.out, "{}", serde_json::to_string_pretty(&socs)?)?;
        return Ok(());
    }
    for (soc, credentials) in &socs {
        let (tokens, certificates) = (live(credentials, false), live(credentials, true));
        writeln!(
            console.out,
            "{}\t{}\t{}\t{}\t{}",
            safe::line(&soc.name),
            soc.kind.name(),
            console.text.tokens(&tokens.to_string()),
            console.text.certificates(&certificates.to_string()),
            networks_of(soc).join(" ")
        )?;
    }
    if socs.is_empty() {
        writeln!(console.err, "{}", console.text.no_socs())?;
    }
    Ok(())
}
