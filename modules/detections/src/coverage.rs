//! The coverage ledger: what was looked at, and what was not.
//!
//! For each organisation, source, pack and hour of event time it counts what came, what of it came late, and what could
//! not be read. Where a source was known and nothing came it was silent; where something came and no pack was in force,
//! no rule was run. A source is known from when it was declared, or else first heard. Events that arrive late are counted
//! in the hour in which they happened, so that the ledger heals.

use std::collections::{BTreeMap, BTreeSet};

use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, Condition, IntoActiveModel as _, QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};

use crate::model::Seen;
use crate::reach::Reach;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// What came of one source in one hour, under one pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// Whose it is.
    pub organisation: String,
    /// The source, as its sender calls it.
    pub source: String,
    /// The pack in force, as `name@version`; empty when there was none.
    pub pack: String,
    /// Hours since 1970, of event time.
    pub hour: i64,
    /// What of it came.
    pub counts: Counts,
    /// When the first of it was received, in milliseconds since 1970.
    pub first_received_ms: i64,
    /// When the last was.
    pub last_received_ms: i64,
}

/// A source that a SOC says it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Whose it is.
    pub organisation: String,
    /// The source.
    pub source: String,
    /// How long it may be silent, in milliseconds; `None` where that is learned from its pauses.
    pub silence_ms: Option<i64>,
    /// When it was declared, in milliseconds since 1970.
    pub declared_ms: i64,
}

/// Events by what is known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub events: i64,
    /// Received long after they happened.
    pub late: i64,
    /// No decoder could read them.
    pub undecoded: i64,
    /// They do not say when they happened.
    pub untimed: i64,
    /// They do not say on which host.
    pub unhosted: i64,
}

impl Counts {
    /// Adds others.
    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.late += other.late;
        self.undecoded += other.undecoded;
        self.untimed += other.untimed;
        self.unhosted += other.unhosted;
    }
}

/// What is said of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    /// Events came in time, and rules looked at them.
    Seen,
    /// Events came, all of them late; rules looked at them as of their own time.
    Late,
    /// Nothing came, of a source that was known before.
    Silent,
    /// Events came and no pack was in force.
    NotRun,
}

/// One hour of one source under one pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoverageRow {
    /// Whose it is.
    pub organisation: String,
    /// The source.
    pub source: String,
    /// The pack; empty when there was none, or nothing came.
    pub pack: String,
    /// When the hour begins, in milliseconds since 1970.
    pub hour_ms: i64,
    /// What is said of it.
    pub cover: Cover,
    /// What came.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Which part of the ledger is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverageFilter {
    /// Of this organisation.
    #[serde(default)]
    pub organisation: Option<String>,
    /// Of this source.
    #[serde(default)]
    pub source: Option<String>,
    /// From the hour of this moment on, in milliseconds since 1970.
    pub from_ms: i64,
    /// Up to this moment.
    pub to_ms: i64,
}

mod cover {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "coverage")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) organisation: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) source: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) hour: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) pack: String,
        pub(super) events: i64,
        pub(super) late: i64,
        pub(super) undecoded: i64,
        pub(super) untimed: i64,
        pub(super) unhosted: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod pulse {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "source_pulse")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) organisation: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) source: String,
        pub(super) first_ms: i64,
        pub(super) last_ms: i64,
        /// Longest pause of late, forgotten little by little.
        pub(super) pause_ms: i64,
        pub(super) is_silent: bool,
        /// When the SOC declared it.
        pub(super) declared_ms: Option<i64>,
        /// How long it may be silent, when the SOC said so.
        pub(super) silence_ms: Option<i64>,
        /// Whether anything ever came of it.
        pub(super) was_heard: bool,
        /// Whether it was told that nobody declared it.
        pub(super) is_unexpected: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Rows that are written with one statement.
const AT_ONCE: usize = 500;

/// Counts what came.
pub(crate) async fn count(db: &impl ConnectionTrait, covered: &[Covered]) -> Result<(), StoreError> {
    let mut pulses: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
    // One statement must not have the same row twice.
    let mut sums: BTreeMap<(&str, &str, &str, i64), Counts> = BTreeMap::new();
    for row in covered {
        sums.entry((&row.organisation, &row.source, &row.pack, row.hour)).or_default().add(row.counts);
        let pulse = pulses.entry((&row.organisation, &row.source)).or_insert((i64::MAX, i64::MIN));
        *pulse = (Ord::min(pulse.0, row.first_received_ms), Ord::max(pulse.1, row.last_received_ms));
    }
    let rows: Vec<cover::ActiveModel> = sums.into_iter().map(new_cover).collect();
    for rows in rows.chunks(AT_ONCE) {
        add(db, rows).await?;
    }
    for ((organisation, source), (first_ms, last_ms)) in pulses {
        beat(db, organisation, source, first_ms, last_ms).await?;
    }
    Ok(())
}

fn new_cover(((organisation, source, pack, hour), counts): ((&str, &str, &str, i64), Counts)) -> cover::ActiveModel {
    cover::ActiveModel {
        organisation: Set(organisation.to_owned()),
        source: Set(source.to_owned()),
        hour: Set(hour),
        pack: Set(pack.to_owned()),
        events: Set(counts.events),
        late: Set(counts.late),
        undecoded: Set(counts.undecoded),
        untimed: Set(counts.untimed),
        unhosted: Set(counts.unhosted),
    }
}

/// Adds to what is counted already.
async fn add(db: &impl ConnectionTrait, rows: &[cover::ActiveModel]) -> Result<(), StoreError> {
    use cover::Column;
    let mut conflict = OnConflict::columns([Column::Organisation, Column::Source, Column::Hour, Column::Pack]);
    for column in [Column::Events, Column::Late, Column::Undecoded, Column::Untimed, Column::Unhosted] {
        let more = Expr::col(("excluded", column));
        conflict.value(column, ExprTrait::add(Expr::col((cover::Entity, column)), more));
    }
    cover::Entity::insert_many(rows.to_vec()).on_conflict(conflict).exec_without_returning(db).await?;
    Ok(())
}

/// Notes that a source was heard.
async fn beat(
    db: &impl ConnectionTrait,
    organisation: &str,
    source: &str,
    first_ms: i64,
    last_ms: i64,
) -> Result<(), StoreError> {
    let key = (organisation.to_owned(), source.to_owned());
    let known = pulse::Entity::find_by_id(key).one(db).await?;
    let row = |first: i64, last: i64, pause: i64| pulse::ActiveModel {
        organisation: Set(organisation.to_owned()),
        source: Set(source.to_owned()),
        first_ms: Set(first),
        last_ms: Set(last),
        pause_ms: Set(pause),
        is_silent: Set(false),
        was_heard: Set(true),
        ..Default::default()
    };
    let Some(known) = known else {
        let new = pulse::ActiveModel { is_unexpected: Set(false), ..row(first_ms, last_ms, 0) };
        pulse::Entity::insert(new).exec_without_returning(db).await?;
        return Ok(());
    };
    // A silence that was reported is no pause that is usual, nor is the time before the first event.
    let pause = if known.is_silent || !known.was_heard { 0 } else { first_ms.saturating_sub(known.last_ms) };
    let pause = Ord::max(pause, known.pause_ms - known.pause_ms / 64);
    pulse::Entity::update(row(known.first_ms, Ord::max(last_ms, known.last_ms), pause)).exec(db).await?;
    Ok(())
}

/// Shortest silence that is told.
const SILENCE_MS: i64 = 900_000;

/// A source is silent after so many times its longest pause.
const PAUSES: i64 = 3;

/// A source that nobody declared and that has not been heard for so long is no source any more.
const FORGOTTEN_MS: i64 = 14 * 24 * HOUR_MS;

/// Notes what SOCs have declared; sources that came although a SOC which declares its sources did not declare them, each
/// told once.
pub(crate) async fn expect(
    db: &impl ConnectionTrait,
    declared: &[Declared],
    now_ms: i64,
) -> Result<Vec<Seen>, StoreError> {
    let mut expected: BTreeMap<(String, String), &Declared> =
        declared.iter().map(|one| ((one.organisation.clone(), one.source.clone()), one)).collect();
    let declaring: BTreeSet<&str> = declared.iter().map(|one| one.organisation.as_str()).collect();
    let mut unexpected = Vec::new();
    for known in pulse::Entity::find().all(db).await? {
        let wanted = expected.remove(&(known.organisation.clone(), known.source.clone()));
        let is_unexpected = wanted.is_none() && known.was_heard && declaring.contains(known.organisation.as_str());
        if wanted.is_none() && !known.was_heard {
            known.delete(db).await?; // Declared by mistake.
            continue;
        }
        if is_unexpected && !known.is_unexpected {
            let title = "Source that its SOC has not declared";
            unexpected.push(own_alert("khien:source-undeclared", title, &known.organisation, &known.source, now_ms));
        }
        let (declared_ms, silence_ms) = (wanted.map(|one| one.declared_ms), wanted.and_then(|one| one.silence_ms));
        if (known.declared_ms, known.silence_ms, known.is_unexpected) != (declared_ms, silence_ms, is_unexpected) {
            let mut change = known.into_active_model();
            change.declared_ms = Set(declared_ms);
            change.silence_ms = Set(silence_ms);
            change.is_unexpected = Set(is_unexpected);
            pulse::Entity::update(change).exec(db).await?;
        }
    }
    for one in expected.into_values() {
        let new = pulse::ActiveModel {
            organisation: Set(one.organisation.clone()),
            source: Set(one.source.clone()),
            first_ms: Set(one.declared_ms),
            last_ms: Set(one.declared_ms),
            pause_ms: Set(0),
            is_silent: Set(false),
            declared_ms: Set(Some(one.declared_ms)),
            silence_ms: Set(one.silence_ms),
            was_heard: Set(false),
            is_unexpected: Set(false),
        };
        pulse::Entity::insert(new).exec_without_returning(db).await?;
    }
    Ok(unexpected)
}

/// Sources that have fallen silent since this was asked last. Silence is counted from `since_ms` at the earliest, when
/// whoever counts began to listen.
pub(crate) async fn silences(db: &impl ConnectionTrait, since_ms: i64, now_ms: i64) -> Result<Vec<Seen>, StoreError> {
    let expected = Condition::any()
        .add(pulse::Column::DeclaredMs.is_not_null())
        .add(pulse::Column::LastMs.gt(now_ms - FORGOTTEN_MS));
    let pulses = pulse::Entity::find().filter(pulse::Column::IsSilent.eq(false)).filter(expected).all(db).await?;
    let mut silent = Vec::new();
    for pulse in pulses {
        let learned = || Ord::max(SILENCE_MS, pulse.pause_ms.saturating_mul(PAUSES));
        let limit = pulse.silence_ms.unwrap_or_else(learned);
        if now_ms - Ord::max(pulse.last_ms, since_ms) < limit {
            continue;
        }
        let (rule, title) = if pulse.was_heard {
            ("khien:source-silent", "Source has fallen silent")
        } else {
            ("khien:source-missing", "Declared source has never sent anything")
        };
        silent.push(own_alert(rule, title, &pulse.organisation, &pulse.source, now_ms));
        let change = pulse::ActiveModel { is_silent: Set(true), ..pulse.into_active_model() };
        pulse::Entity::update(change).exec(db).await?;
    }
    Ok(silent)
}

/// An alert that no rule on events raises.
fn own_alert(rule: &str, title: &str, organisation: &str, source: &str, now_ms: i64) -> Seen {
    Seen {
        rule_id: rule.to_owned(),
        title: title.to_owned(),
        level: "medium".to_owned(),
        severity_id: 3,
        pack: "khien".to_owned(),
        organisation: organisation.to_owned(),
        entity: format!("source:{source}"),
        first_ms: now_ms,
        last_ms: now_ms,
        findings: 1,
        event_id: 0,
    }
}

/// Events from which on shares of an hour say something.
const ENOUGH: i64 = 200;

/// Difference of shares that is told.
const DRIFT: f64 = 0.3;

/// Hours with which an hour is compared.
const BEFORE: i64 = 24;

/// Sources whose events in `hour` say far less than in the day before.
pub(crate) async fn drifts(db: &impl ConnectionTrait, hour: i64, now_ms: i64) -> Result<Vec<Seen>, StoreError> {
    let rows = cover::Entity::find().filter(cover::Column::Hour.between(hour - BEFORE, hour)).all(db).await?;
    let mut sums: BTreeMap<(String, String), [Counts; 2]> = BTreeMap::new();
    // Every event is counted under each pack in force; shares do not mind.
    for row in rows {
        let is_now = usize::from(row.hour == hour);
        let counts = counts(&row);
        sums.entry((row.organisation, row.source)).or_default()[is_now].add(counts);
    }
    let share = |part: i64, all: i64| part as f64 / all as f64;
    let drifted = |[before, now]: &[Counts; 2]| {
        let parts = [(before.undecoded, now.undecoded), (before.untimed, now.untimed), (before.unhosted, now.unhosted)];
        before.events >= ENOUGH
            && now.events >= ENOUGH
            && parts.iter().any(|(a, b)| share(*b, now.events) - share(*a, before.events) > DRIFT)
    };
    let drifted = sums.iter().filter(|(_, sums)| drifted(sums)).map(|((organisation, source), _)| {
        own_alert("khien:source-drift", "Events of a source say less than before", organisation, source, now_ms)
    });
    Ok(drifted.collect())
}

fn counts(row: &cover::Model) -> Counts {
    let cover::Model { events, late, undecoded, untimed, unhosted, .. } = *row;
    Counts { events, late, undecoded, untimed, unhosted }
}

/// Most rows in one answer.
pub(crate) const ROWS: usize = 50_000;

/// The ledger, hour by hour; `None` when it would have more than [`ROWS`] rows.
pub(crate) async fn ledger(
    db: &impl ConnectionTrait,
    filter: &CoverageFilter,
    reach: &Reach,
    now_ms: i64,
) -> Result<Option<Vec<CoverageRow>>, StoreError> {
    let hours = filter.from_ms.div_euclid(HOUR_MS)..=Ord::min(filter.to_ms, now_ms).div_euclid(HOUR_MS);
    let organisation = match reach {
        Reach::All => filter.organisation.as_deref(),
        Reach::Organisation(own) => Some(own.as_str()),
    };
    let mut known = pulse::Entity::find().order_by_asc(pulse::Column::Organisation).order_by_asc(pulse::Column::Source);
    let mut found = cover::Entity::find().filter(cover::Column::Hour.between(*hours.start(), *hours.end()));
    if let Some(name) = organisation {
        known = known.filter(pulse::Column::Organisation.eq(name));
        found = found.filter(cover::Column::Organisation.eq(name));
    }
    if let Some(source) = &filter.source {
        known = known.filter(pulse::Column::Source.eq(source));
        found = found.filter(cover::Column::Source.eq(source));
    }
    let known = known.all(db).await?;
    let span = usize::try_from(hours.end() - hours.start() + 1).unwrap_or(0);
    if known.len().saturating_mul(span) > ROWS {
        return Ok(None);
    }
    let found = found.order_by_asc(cover::Column::Pack).limit(ROWS as u64 + 1).all(db).await?;
    if found.len() > ROWS {
        return Ok(None);
    }
    let mut by_hour: BTreeMap<(String, String, i64), Vec<cover::Model>> = BTreeMap::new();
    for row in found {
        by_hour.entry((row.organisation.clone(), row.source.clone(), row.hour)).or_default().push(row);
    }
    let mut rows = Vec::new();
    for pulse in known {
        // A source is expected from when it was declared or first heard on.
        let first = Ord::min(pulse.first_ms, pulse.declared_ms.unwrap_or(i64::MAX)).div_euclid(HOUR_MS);
        for hour in hours.clone() {
            let key = (pulse.organisation.clone(), pulse.source.clone(), hour);
            let came = by_hour.remove(&key).unwrap_or_default();
            if came.is_empty() && hour >= first {
                rows.push(row(&key, String::new(), Cover::Silent, Counts::default()));
            }
            for cover in came {
                let counts = counts(&cover);
                rows.push(row(&key, cover.pack.clone(), said(&cover.pack, counts), counts));
            }
        }
    }
    Ok(Some(rows))
}

fn row(
    (organisation, source, hour): &(String, String, i64),
    pack: String,
    cover: Cover,
    counts: Counts,
) -> CoverageRow {
    let (organisation, source) = (organisation.clone(), source.clone());
    CoverageRow { organisation, source, pack, hour_ms: hour * HOUR_MS, cover, counts }
}

fn said(pack: &str, counts: Counts) -> Cover {
    if pack.is_empty() {
        Cover::NotRun
    } else if counts.late == counts.events {
        Cover::Late
    } else {
        Cover::Seen
    }
}
