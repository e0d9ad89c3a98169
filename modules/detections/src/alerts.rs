//! Alerts: which findings belong together, and the queue.

use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, Func, LikeExpr};
use sea_orm::{ActiveValue::Set, Condition, DbBackend, QueryOrder as _, QuerySelect as _};

use crate::model::{Alert, AlertFilter, AlertState, Seen, Suppression};
use crate::reach::Reach;

/// Findings that are at most so far from others of the same alert, in event time, join it.
const WINDOW_MS: i64 = 3_600_000;

mod table {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "alert")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) rule_id: String,
        pub(super) title: String,
        pub(super) level: String,
        pub(super) severity_id: i32,
        pub(super) pack: String,
        pub(super) organisation: String,
        pub(super) entity: String,
        pub(super) first_ms: i64,
        pub(super) last_ms: i64,
        pub(super) findings: i64,
        pub(super) event_id: i64,
        pub(super) state: String,
        pub(super) assignee: Option<String>,
        pub(super) is_suppressed: bool,
        pub(super) suppressed: Option<Uuid>,
        pub(super) created_ms: i64,
        pub(super) changed_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use table::Column;

impl TryFrom<table::Model> for Alert {
    type Error = StoreError;

    fn try_from(row: table::Model) -> Result<Self, StoreError> {
        let state = AlertState::named(&row.state)
            .ok_or_else(|| StoreError::Database(DbErr::Type(format!("unknown state `{}`", row.state))))?;
        Ok(Self {
            id: row.id,
            rule_id: row.rule_id,
            title: row.title,
            level: row.level,
            severity_id: row.severity_id,
            pack: row.pack,
            organisation: row.organisation,
            entity: row.entity,
            first_ms: row.first_ms,
            last_ms: row.last_ms,
            findings: row.findings,
            event_id: row.event_id,
            state,
            assignee: row.assignee,
            suppressed: row.suppressed,
            created_ms: row.created_ms,
            changed_ms: row.changed_ms,
        })
    }
}

fn row(alert: &Alert) -> table::ActiveModel {
    table::ActiveModel {
        id: Set(alert.id),
        rule_id: Set(alert.rule_id.clone()),
        title: Set(alert.title.clone()),
        level: Set(alert.level.clone()),
        severity_id: Set(alert.severity_id),
        pack: Set(alert.pack.clone()),
        organisation: Set(alert.organisation.clone()),
        entity: Set(alert.entity.clone()),
        first_ms: Set(alert.first_ms),
        last_ms: Set(alert.last_ms),
        findings: Set(alert.findings),
        event_id: Set(alert.event_id),
        state: Set(alert.state.name().to_owned()),
        assignee: Set(alert.assignee.clone()),
        is_suppressed: Set(alert.suppressed.is_some()),
        suppressed: Set(alert.suppressed),
        created_ms: Set(alert.created_ms),
        changed_ms: Set(alert.changed_ms),
    }
}

/// Takes findings in: into the alert they belong to, or as a new one. Whether one was raised.
pub(crate) async fn take(
    db: &impl ConnectionTrait,
    seen: &Seen,
    suppressions: &[Suppression],
    now_ms: i64,
) -> Result<bool, StoreError> {
    let decided = [AlertState::FalsePositive, AlertState::Closed].map(AlertState::name);
    let open = table::Entity::find()
        .filter(Column::RuleId.eq(&seen.rule_id))
        .filter(Column::Organisation.eq(&seen.organisation))
        .filter(Column::Entity.eq(&seen.entity))
        .filter(Column::State.is_not_in(decided))
        .filter(Column::LastMs.gte(seen.first_ms.saturating_sub(WINDOW_MS)))
        .filter(Column::FirstMs.lte(seen.last_ms.saturating_add(WINDOW_MS)))
        .order_by_desc(Column::LastMs)
        .one(db)
        .await?;
    if let Some(known) = open {
        let newer = seen.last_ms >= known.last_ms;
        let mut change = table::ActiveModel {
            id: Set(known.id),
            first_ms: Set(Ord::min(known.first_ms, seen.first_ms)),
            last_ms: Set(Ord::max(known.last_ms, seen.last_ms)),
            findings: Set(known.findings.saturating_add(seen.findings)),
            changed_ms: Set(now_ms),
            ..Default::default()
        };
        if newer {
            change.pack = Set(seen.pack.clone());
            change.event_id = Set(seen.event_id);
        }
        table::Entity::update(change).exec(db).await?;
        return Ok(false);
    }
    let suppression = suppressions.iter().find(|suppression| silences(suppression, seen, now_ms));
    let alert = Alert {
        id: Uuid::now_v7(),
        rule_id: seen.rule_id.clone(),
        title: seen.title.clone(),
        level: seen.level.clone(),
        severity_id: seen.severity_id,
        pack: seen.pack.clone(),
        organisation: seen.organisation.clone(),
        entity: seen.entity.clone(),
        first_ms: seen.first_ms,
        last_ms: seen.last_ms,
        findings: seen.findings,
        event_id: seen.event_id,
        state: AlertState::New,
        assignee: None,
        suppressed: suppression.map(|suppression| suppression.id),
        created_ms: now_ms,
        changed_ms: now_ms,
    };
    table::Entity::insert(row(&alert)).exec_without_returning(db).await?;
    Ok(true)
}

/// Whether alerts on this ask for no attention now.
fn silences(suppression: &Suppression, seen: &Seen, now_ms: i64) -> bool {
    let what = &suppression.what;
    now_ms < what.until_ms
        && what.rule.as_ref().is_none_or(|rule| *rule == seen.rule_id)
        && what.organisation.as_ref().is_none_or(|organisation| *organisation == seen.organisation)
        && what.entity.as_ref().is_none_or(|pattern| is_like(&seen.entity, pattern))
}

/// Whether `text` is like `pattern`, in which `*` stands for any characters.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let Some((middle, end)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    for part in middle.split('*') {
        let Some((_, behind)) = text.split_once(part) else { return false };
        text = behind;
    }
    text.ends_with(end)
}

/// The alert with this number, if it is within reach.
pub(crate) async fn one(db: &impl ConnectionTrait, id: Uuid, reach: &Reach) -> Result<Option<Alert>, StoreError> {
    let found = table::Entity::find_by_id(id).one(db).await?.map(Alert::try_from).transpose()?;
    Ok(found.filter(|alert| reach.covers(Some(&alert.organisation))))
}

/// Writes what people changed.
pub(crate) async fn update(db: &impl ConnectionTrait, alert: &Alert) -> Result<(), StoreError> {
    let change = table::ActiveModel {
        id: Set(alert.id),
        state: Set(alert.state.name().to_owned()),
        assignee: Set(alert.assignee.clone()),
        changed_ms: Set(alert.changed_ms),
        ..Default::default()
    };
    table::Entity::update(change).exec(db).await?;
    Ok(())
}

/// Levels as OCSF numbers severities.
const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// Why a filter says nothing.
pub(crate) enum FilterFault {
    State(String),
    Level(String),
    Limit(u64),
}

fn condition(filter: &AlertFilter, reach: &Reach, backend: DbBackend) -> Result<Condition, FilterFault> {
    let mut all = Condition::all().add(Column::IsSuppressed.eq(filter.suppressed.unwrap_or(false)));
    if let Reach::Organisation(own) = reach {
        all = all.add(Column::Organisation.eq(own));
    }
    if let Some(states) = filter.state.as_deref().filter(|states| !states.is_empty()) {
        for state in states.split(',') {
            AlertState::named(state).ok_or_else(|| FilterFault::State(state.to_owned()))?;
        }
        all = all.add(Column::State.is_in(states.split(',')));
    }
    for (column, wanted) in
        [(Column::Organisation, &filter.organisation), (Column::RuleId, &filter.rule), (Column::Entity, &filter.entity)]
    {
        if let Some(wanted) = wanted {
            all = all.add(column.eq(wanted));
        }
    }
    if let Some(level) = &filter.level {
        let least = LEVELS.iter().position(|known| known == level).ok_or_else(|| FilterFault::Level(level.clone()))?;
        all = all.add(Column::SeverityId.gte(least as i32 + 1));
    }
    if let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) {
        // SQLite knows the case of ASCII only.
        let lower = if backend == DbBackend::Sqlite { text.to_ascii_lowercase() } else { text.to_lowercase() };
        let escaped = lower.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let like = || LikeExpr::new(format!("%{escaped}%")).escape('\\');
        let has = |column: Column| Expr::expr(Func::lower(Expr::col(column))).like(like());
        all = all.add(Condition::any().add(has(Column::Title)).add(has(Column::Entity)));
    }
    match filter.assignee.as_deref() {
        Some("") => all = all.add(Column::Assignee.is_null()),
        Some(name) => all = all.add(Column::Assignee.eq(name)),
        None => {}
    }
    if let Some(after) = filter.after {
        all = all.add(Column::Id.lt(after));
    }
    Ok(all)
}

/// How many alerts nobody has decided and nothing suppresses.
pub(crate) async fn undecided(db: &impl ConnectionTrait, reach: &Reach) -> Result<u64, StoreError> {
    let undecided = [AlertState::New, AlertState::Triaged].map(AlertState::name);
    let mut all = table::Entity::find().filter(Column::State.is_in(undecided)).filter(Column::IsSuppressed.eq(false));
    if let Reach::Organisation(own) = reach {
        all = all.filter(Column::Organisation.eq(own));
    }
    Ok(all.count(db).await?)
}

/// Alerts on a page when nothing is said, and most on one.
const PAGE: u64 = 100;
const LARGEST_PAGE: u64 = 1_000;

/// A page of the queue, the newest first, and what [`AlertFilter::after`] is for the next, if there is one.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    filter: &AlertFilter,
    reach: &Reach,
) -> Result<Result<(Vec<Alert>, Option<Uuid>), FilterFault>, StoreError> {
    let limit = filter.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Ok(Err(FilterFault::Limit(LARGEST_PAGE)));
    }
    let condition = match condition(filter, reach, db.get_database_backend()) {
        Ok(condition) => condition,
        Err(fault) => return Ok(Err(fault)),
    };
    // One more, to know whether there are more.
    let all = table::Entity::find().filter(condition).order_by_desc(Column::Id).limit(limit + 1).all(db).await?;
    let mut alerts = all.into_iter().map(Alert::try_from).collect::<Result<Vec<_>, _>>()?;
    let more = alerts.len() as u64 > limit;
    alerts.truncate(limit as usize);
    let next = alerts.last().filter(|_| more).map(|last| last.id);
    Ok(Ok((alerts, next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (text, pattern, like) in [
            ("ip:10.0.0.1", "ip:10.0.0.1", true),
            ("ip:10.0.0.12", "ip:10.0.0.1", false),
            ("ip:10.0.0.12", "ip:10.*", true),
            ("host:a-b-c", "host:*-b-*", true),
            ("host:a-c", "host:*-b-*", false),
            ("host:aa", "host:a*a", true),
            ("host:a", "host:a*a", false),
            ("host:abcab", "host:*b*b*", true),
            ("anything", "*", true),
            ("", "*", true),
        ] {
            assert_eq!(is_like(text, pattern), like, "{text} {pattern}");
        }
    }
}
