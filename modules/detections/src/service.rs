//! What can be done with packs, exceptions, alerts and suppressions.

use khien_base::lang::Lang;
use khien_base::message::Message;
use khien_detect::rule::load::RuleSet;
use khien_identity::name_fault;
use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, DatabaseTransaction};
use serde_json::json;
use thiserror::Error;

use crate::alerts::{self, FilterFault};
use crate::coverage::{self, CoverageFilter, CoverageRow, Covered, Declared};
use crate::model::{
    Alert, AlertChange, AlertFilter, Entry, Exception, ExceptionList, History, NewException, NewSuppression, Pack,
    PackState, Seen, Suppression,
};
use crate::packs::{self, sha256, unusable};
use crate::reach::{Actor, Reach};
use crate::{exceptions, history, reasons};

/// Why something was not done.
#[derive(Debug, Error)]
pub enum DetectionsError {
    /// Something said is wrong.
    #[error("{0}")]
    Invalid(Message),
    /// It is not there, or not within reach.
    #[error("{0}")]
    Unknown(Message),
    /// Only those who reach further may do this.
    #[error("{}", reasons::forbidden())]
    Forbidden,
    /// Somebody else was faster, or something still needs it.
    #[error("{0}")]
    Conflict(Message),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DetectionsError {
    /// The same for people, when it is not the database.
    pub fn said(&self, lang: Lang) -> Option<String> {
        match self {
            Self::Invalid(message) | Self::Unknown(message) | Self::Conflict(message) => Some(message.text(lang)),
            Self::Forbidden => Some(reasons::forbidden().text(lang)),
            Self::Store(_) => None,
        }
    }

    /// The rules could not be made ready.
    pub fn not_ready() -> Self {
        Self::Conflict(reasons::not_ready())
    }
}

impl From<DbErr> for DetectionsError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl From<FilterFault> for DetectionsError {
    fn from(fault: FilterFault) -> Self {
        Self::Invalid(match fault {
            FilterFault::State(state) => reasons::unknown_state(state),
            FilterFault::Level(level) => reasons::unknown_level(level),
            FilterFault::Limit(most) => reasons::page_bounds(most),
        })
    }
}

mod mark {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "detection_mark")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) name: String,
        pub(super) value: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Mark that grows with every change of what is in force.
const REVISION: &str = "rules";

/// Mark of the last batch whose findings were taken in.
const TAKEN: &str = "alerts";

/// Mark of the last batch that the coverage ledger has counted.
const COVERED: &str = "coverage";

/// Mark of the last hour that was compared with those before it.
const DRIFTED: &str = "drift";

async fn marked(db: &impl ConnectionTrait, name: &str) -> Result<i64, StoreError> {
    Ok(mark::Entity::find_by_id(name).one(db).await?.map_or(0, |mark| mark.value))
}

async fn set_mark(db: &impl ConnectionTrait, name: &str, value: i64) -> Result<(), StoreError> {
    let row = mark::ActiveModel { name: Set(name.to_owned()), value: Set(value) };
    let replace = OnConflict::column(mark::Column::Name).update_column(mark::Column::Value).to_owned();
    mark::Entity::insert(row).on_conflict(replace).exec_without_returning(db).await?;
    Ok(())
}

/// Says that what is in force changed.
async fn revise(db: &DatabaseTransaction) -> Result<(), StoreError> {
    set_mark(db, REVISION, marked(db, REVISION).await? + 1).await
}

/// Most values in a list, and longest text that people write.
const ENTRIES: usize = 100_000;
const TEXT: usize = 4_000;

fn need_reason(reason: &str) -> Result<(), DetectionsError> {
    if reason.trim().is_empty() {
        return Err(DetectionsError::Invalid(reasons::no_reason()));
    }
    need_short(reason)
}

fn need_short(text: &str) -> Result<(), DetectionsError> {
    if text.chars().count() > TEXT {
        return Err(DetectionsError::Invalid(reasons::text_long(TEXT)));
    }
    Ok(())
}

fn need_name(name: &str) -> Result<(), DetectionsError> {
    match name_fault(name) {
        Some(fault) => Err(DetectionsError::Invalid(reasons::name(name, fault))),
        None => Ok(()),
    }
}

fn need_future(until_ms: Option<i64>, now_ms: i64) -> Result<(), DetectionsError> {
    match until_ms {
        Some(until) if until <= now_ms => Err(DetectionsError::Invalid(reasons::in_the_past())),
        _ => Ok(()),
    }
}

/// The centre only.
fn need_centre(actor: &Actor) -> Result<(), DetectionsError> {
    if actor.reach == Reach::All { Ok(()) } else { Err(DetectionsError::Forbidden) }
}

fn need_reach(actor: &Actor, organisation: Option<&str>) -> Result<(), DetectionsError> {
    if actor.reach.covers(organisation) { Ok(()) } else { Err(DetectionsError::Forbidden) }
}

/// See the module text.
#[derive(Clone, Debug)]
pub struct Detections {
    db: DatabaseConnection,
}

impl Detections {
    /// What is in `db`.
    pub fn new(db: DatabaseConnection) -> Self {
        Self { db }
    }

    /// Adds a version of the pack called `name` as a draft; `set` is what [`crate::read_pack`] made of `content`.
    ///
    /// # Errors
    /// When the name cannot be used, or the newest version is the same already.
    pub async fn add_pack(
        &self,
        name: &str,
        content: &[u8],
        set: &RuleSet,
        actor: &Actor,
    ) -> Result<Pack, DetectionsError> {
        need_centre(actor)?;
        need_name(name)?;
        if name.contains(['@', '/']) {
            return Err(DetectionsError::Invalid(reasons::name(name, reasons::name_marks())));
        }
        let transaction = khien_store::begin(&self.db).await?;
        let newest = packs::list(&transaction, Some(name)).await?.into_iter().next();
        let sha256 = sha256(content);
        if let Some(same) = newest.as_ref().filter(|newest| newest.sha256 == sha256) {
            return Err(DetectionsError::Conflict(reasons::same_version(same.version)));
        }
        let pack = Pack {
            id: Uuid::now_v7(),
            name: name.to_owned(),
            version: newest.map_or(1, |newest| newest.version + 1),
            state: PackState::Draft,
            organisations: None,
            sha256,
            bytes: content.len() as i64,
            rules: set.rules.len() as i32,
            correlations: set.correlations.len() as i32,
            unusable: unusable(set),
            created_ms: actor.now_ms,
            changed_ms: actor.now_ms,
        };
        packs::add(&transaction, &pack, content).await?;
        history::note(&transaction, actor, &pack_subject(name), "add", &pack).await?;
        transaction.commit().await?;
        Ok(pack)
    }

    /// All versions of all packs: by name, the newest first.
    ///
    /// # Errors
    /// When the actor may not see them.
    pub async fn packs(&self, actor: &Actor) -> Result<Vec<Pack>, DetectionsError> {
        need_centre(actor)?;
        Ok(packs::list(&self.db, None).await?)
    }

    /// One version of a pack, and what was uploaded as it; the newest when none is said.
    ///
    /// # Errors
    /// When there is none.
    pub async fn pack(
        &self,
        name: &str,
        version: Option<i32>,
        actor: &Actor,
    ) -> Result<(Pack, Vec<u8>), DetectionsError> {
        need_centre(actor)?;
        let pack = version_of(&self.db, name, version).await?;
        let content = packs::content(&self.db, pack.id).await?;
        Ok((pack, content))
    }

    /// Puts a version in force, for some organisations or for all, instead of the one that was.
    ///
    /// # Errors
    /// When there is no such version.
    pub async fn go_live(
        &self,
        name: &str,
        version: Option<i32>,
        organisations: Option<&[String]>,
        actor: &Actor,
    ) -> Result<Pack, DetectionsError> {
        need_centre(actor)?;
        if organisations.is_some_and(<[String]>::is_empty) {
            return Err(DetectionsError::Invalid(reasons::no_organisations()));
        }
        let transaction = khien_store::begin(&self.db).await?;
        let wanted = version_of(&transaction, name, version).await?;
        for other in packs::list(&transaction, Some(name)).await? {
            if other.state == PackState::Live && other.id != wanted.id {
                packs::set_state(&transaction, other.id, PackState::Retired, None, actor.now_ms).await?;
            }
        }
        packs::set_state(&transaction, wanted.id, PackState::Live, organisations, actor.now_ms).await?;
        let detail = json!({"version": wanted.version, "organisations": organisations});
        history::note(&transaction, actor, &pack_subject(name), "go_live", &detail).await?;
        revise(&transaction).await?;
        let done = version_of(&transaction, name, Some(wanted.version)).await?;
        transaction.commit().await?;
        Ok(done)
    }

    /// Takes the version that is in force out of it.
    ///
    /// # Errors
    /// When none is.
    pub async fn retire(&self, name: &str, actor: &Actor) -> Result<Pack, DetectionsError> {
        need_centre(actor)?;
        let transaction = khien_store::begin(&self.db).await?;
        let versions = packs::list(&transaction, Some(name)).await?;
        let Some(live) = versions.into_iter().find(|pack| pack.state == PackState::Live) else {
            return Err(DetectionsError::Unknown(reasons::no_pack_in_force(name)));
        };
        packs::set_state(&transaction, live.id, PackState::Retired, None, actor.now_ms).await?;
        history::note(&transaction, actor, &pack_subject(name), "retire", &json!({"version": live.version})).await?;
        revise(&transaction).await?;
        let done = version_of(&transaction, name, Some(live.version)).await?;
        transaction.commit().await?;
        Ok(done)
    }

    /// A number that grows whenever packs in force or exceptions change.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision(&self) -> Result<i64, DetectionsError> {
        Ok(marked(&self.db, REVISION).await?)
    }

    /// Everything that is in force: packs with what was uploaded, and exceptions with their lists.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn in_force(&self) -> Result<InForce, DetectionsError> {
        let mut packs = Vec::new();
        for pack in packs::list(&self.db, None).await?.into_iter().filter(|pack| pack.state == PackState::Live) {
            let content = packs::content(&self.db, pack.id).await?;
            packs.push((pack, content));
        }
        let lists = exceptions::lists(&self.db).await?;
        let of = |exception: Exception| {
            let list = lists.iter().find(|list| list.name == exception.what.list)?;
            Some((exception, list.entries.clone()))
        };
        let exceptions = exceptions::exceptions(&self.db).await?.into_iter().filter_map(of).collect();
        Ok(InForce { packs, exceptions })
    }

    /// All lists that exceptions share.
    ///
    /// # Errors
    /// When the actor may not see them.
    pub async fn lists(&self, actor: &Actor) -> Result<Vec<ExceptionList>, DetectionsError> {
        need_centre(actor)?;
        Ok(exceptions::lists(&self.db).await?)
    }

    /// Makes a list, or puts other values into it.
    ///
    /// # Errors
    /// When a value or reason is missing.
    pub async fn put_list(
        &self,
        name: &str,
        description: &str,
        mut entries: Vec<Entry>,
        actor: &Actor,
    ) -> Result<ExceptionList, DetectionsError> {
        need_centre(actor)?;
        need_name(name)?;
        need_short(description)?;
        if entries.len() > ENTRIES {
            return Err(DetectionsError::Invalid(reasons::list_long(ENTRIES)));
        }
        for entry in &entries {
            if entry.value.is_empty() {
                return Err(DetectionsError::Invalid(reasons::value_empty()));
            }
            need_short(&entry.value)?;
            need_reason(&entry.reason)?;
        }
        entries.sort_by(|a, b| a.value.cmp(&b.value));
        let transaction = khien_store::begin(&self.db).await?;
        let known = exceptions::lists(&transaction).await?.into_iter().find(|list| list.name == name);
        let list = ExceptionList {
            id: known.as_ref().map_or_else(Uuid::now_v7, |known| known.id),
            name: name.to_owned(),
            description: description.to_owned(),
            created_ms: known.as_ref().map_or(actor.now_ms, |known| known.created_ms),
            entries,
        };
        exceptions::put_list(&transaction, &list, known.is_none()).await?;
        let detail = json!({"before": known.map(|known| known.entries), "after": list.entries});
        history::note(&transaction, actor, &format!("list {name}"), "put", &detail).await?;
        revise(&transaction).await?;
        transaction.commit().await?;
        Ok(list)
    }

    /// Removes a list that no exception needs.
    ///
    /// # Errors
    /// When there is none, or it is needed.
    pub async fn remove_list(&self, name: &str, actor: &Actor) -> Result<(), DetectionsError> {
        need_centre(actor)?;
        let transaction = khien_store::begin(&self.db).await?;
        let list = exceptions::lists(&transaction).await?.into_iter().find(|list| list.name == name);
        let list = list.ok_or_else(|| DetectionsError::Unknown(reasons::no_list(name)))?;
        if let Some(user) = exceptions::exceptions(&transaction).await?.iter().find(|e| e.what.list == name) {
            return Err(DetectionsError::Conflict(reasons::list_needed(user.id)));
        }
        exceptions::remove_list(&transaction, list.id).await?;
        history::note(&transaction, actor, &format!("list {name}"), "remove", &list.entries).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Exceptions within reach, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn exceptions(&self, actor: &Actor) -> Result<Vec<Exception>, DetectionsError> {
        let mut all = exceptions::exceptions(&self.db).await?;
        all.retain(|exception| actor.reach.covers(exception.what.organisation.as_deref()));
        Ok(all)
    }

    /// Adds an exception.
    ///
    /// # Errors
    /// When its list is not there, the reason is missing, or the organisation is not within reach.
    pub async fn add_exception(&self, what: NewException, actor: &Actor) -> Result<Exception, DetectionsError> {
        need_reach(actor, what.organisation.as_deref())?;
        need_reason(&what.reason)?;
        need_future(what.until_ms, actor.now_ms)?;
        if what.field.trim().is_empty() {
            return Err(DetectionsError::Invalid(reasons::no_field()));
        }
        let transaction = khien_store::begin(&self.db).await?;
        if !exceptions::lists(&transaction).await?.iter().any(|list| list.name == what.list) {
            return Err(DetectionsError::Unknown(reasons::no_list(what.list)));
        }
        let exception = Exception { id: Uuid::now_v7(), what, created_ms: actor.now_ms };
        exceptions::add_exception(&transaction, &exception).await?;
        history::note(&transaction, actor, &format!("exception {}", exception.id), "add", &exception.what).await?;
        revise(&transaction).await?;
        transaction.commit().await?;
        Ok(exception)
    }

    /// Removes an exception.
    ///
    /// # Errors
    /// When there is none within reach.
    pub async fn remove_exception(&self, id: Uuid, actor: &Actor) -> Result<(), DetectionsError> {
        let transaction = khien_store::begin(&self.db).await?;
        let known = exceptions::exceptions(&transaction).await?.into_iter().find(|exception| exception.id == id);
        let known = known.filter(|known| actor.reach.covers(known.what.organisation.as_deref()));
        let known = known.ok_or_else(|| DetectionsError::Unknown(reasons::no_exception(id)))?;
        exceptions::remove_exception(&transaction, id, actor.now_ms).await?;
        history::note(&transaction, actor, &format!("exception {id}"), "remove", &known.what).await?;
        revise(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Suppressions within reach, oldest first; those that are over too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn suppressions(&self, actor: &Actor) -> Result<Vec<Suppression>, DetectionsError> {
        let mut all = exceptions::suppressions(&self.db).await?;
        all.retain(|suppression| actor.reach.covers(suppression.what.organisation.as_deref()));
        Ok(all)
    }

    /// Suppresses alerts from now on.
    ///
    /// # Errors
    /// When nothing says which, the reason or end is missing, or the organisation is not within reach.
    pub async fn suppress(&self, what: NewSuppression, actor: &Actor) -> Result<Suppression, DetectionsError> {
        need_reach(actor, what.organisation.as_deref())?;
        need_reason(&what.reason)?;
        need_future(Some(what.until_ms), actor.now_ms)?;
        if what.rule.is_none() && what.organisation.is_none() && what.entity.is_none() {
            return Err(DetectionsError::Invalid(reasons::nothing_suppressed()));
        }
        let suppression = Suppression { id: Uuid::now_v7(), what, created_ms: actor.now_ms };
        let transaction = khien_store::begin(&self.db).await?;
        exceptions::add_suppression(&transaction, &suppression).await?;
        let subject = format!("suppression {}", suppression.id);
        history::note(&transaction, actor, &subject, "add", &suppression.what).await?;
        transaction.commit().await?;
        Ok(suppression)
    }

    /// Ends a suppression.
    ///
    /// # Errors
    /// When there is none within reach.
    pub async fn end_suppression(&self, id: Uuid, actor: &Actor) -> Result<(), DetectionsError> {
        let transaction = khien_store::begin(&self.db).await?;
        let known = exceptions::suppressions(&transaction).await?.into_iter().find(|suppression| suppression.id == id);
        let known = known.filter(|known| actor.reach.covers(known.what.organisation.as_deref()));
        let known = known.ok_or_else(|| DetectionsError::Unknown(reasons::no_suppression(id)))?;
        exceptions::remove_suppression(&transaction, id, actor.now_ms).await?;
        history::note(&transaction, actor, &format!("suppression {id}"), "remove", &known.what).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The last batch whose findings were taken in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn taken(&self) -> Result<u64, DetectionsError> {
        Ok(u64::try_from(marked(&self.db, TAKEN).await?).unwrap_or(0))
    }

    /// Takes in the findings of all batches up to `batch` that were not taken in before, in one transaction; how many
    /// alerts were raised.
    ///
    /// # Errors
    /// When the database fails; nothing is taken in then.
    pub async fn take(&self, seen: &[Seen], batch: u64, now_ms: i64) -> Result<u64, DetectionsError> {
        let transaction = khien_store::begin(&self.db).await?;
        let suppressions = exceptions::suppressions(&transaction).await?;
        let mut raised = 0;
        for seen in seen {
            let seen = &seen.storable();
            raised += u64::from(alerts::take(&transaction, seen, &suppressions, now_ms).await?);
        }
        set_mark(&transaction, TAKEN, batch as i64).await?;
        transaction.commit().await?;
        Ok(raised)
    }

    /// The last batch that the coverage ledger has counted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn covered(&self) -> Result<u64, DetectionsError> {
        Ok(u64::try_from(marked(&self.db, COVERED).await?).unwrap_or(0))
    }

    /// Counts what came with all batches up to `batch` that were not counted before, in one transaction.
    ///
    /// # Errors
    /// When the database fails; nothing is counted then.
    pub async fn cover(&self, covered: &[Covered], batch: u64) -> Result<(), DetectionsError> {
        let transaction = khien_store::begin(&self.db).await?;
        coverage::count(&transaction, covered).await?;
        set_mark(&transaction, COVERED, batch as i64).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Raises an alert for each source that has fallen silent, listening since `since_ms`, for each whose events of the
    /// hour before say far less than those before, and for each that is none of those `declared` by its SOC; how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn watch_sources(
        &self,
        declared: &[Declared],
        since_ms: i64,
        now_ms: i64,
    ) -> Result<u64, DetectionsError> {
        let transaction = khien_store::begin(&self.db).await?;
        let suppressions = exceptions::suppressions(&transaction).await?;
        let hour = now_ms.div_euclid(3_600_000) - 1;
        let mut seen = coverage::expect(&transaction, declared, now_ms).await?;
        seen.extend(coverage::silences(&transaction, since_ms, now_ms).await?);
        if marked(&transaction, DRIFTED).await? < hour {
            seen.extend(coverage::drifts(&transaction, hour, now_ms).await?);
            set_mark(&transaction, DRIFTED, hour).await?;
        }
        let mut raised = 0;
        for seen in &seen {
            raised += u64::from(alerts::take(&transaction, seen, &suppressions, now_ms).await?);
        }
        transaction.commit().await?;
        Ok(raised)
    }

    /// The coverage ledger, by organisation, source and hour.
    ///
    /// # Errors
    /// When it would be too long.
    pub async fn coverage(&self, filter: &CoverageFilter, actor: &Actor) -> Result<Vec<CoverageRow>, DetectionsError> {
        if filter.from_ms > filter.to_ms {
            return Err(DetectionsError::Invalid(reasons::period_backwards()));
        }
        let rows = coverage::ledger(&self.db, filter, &actor.reach, actor.now_ms).await?;
        rows.ok_or_else(|| DetectionsError::Invalid(reasons::answer_long(coverage::ROWS)))
    }

    /// A page of the queue, the newest first, and what [`AlertFilter::after`] is for the next one, if there is more.
    ///
    /// # Errors
    /// When the filter says something that is not known.
    pub async fn alerts(
        &self,
        filter: &AlertFilter,
        actor: &Actor,
    ) -> Result<(Vec<Alert>, Option<Uuid>), DetectionsError> {
        Ok(alerts::list(&self.db, filter, &actor.reach).await??)
    }

    /// How many alerts nobody has decided and nothing suppresses.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn undecided(&self, actor: &Actor) -> Result<u64, DetectionsError> {
        Ok(alerts::undecided(&self.db, &actor.reach).await?)
    }

    /// One alert and what happened to it.
    ///
    /// # Errors
    /// When there is none within reach.
    pub async fn alert(&self, id: Uuid, actor: &Actor) -> Result<(Alert, Vec<History>), DetectionsError> {
        let alert = alert_of(&self.db, id, actor).await?;
        Ok((alert, history::of(&self.db, &alert_subject(id)).await?))
    }

    /// Changes what people decide about an alert.
    ///
    /// # Errors
    /// When there is none within reach, nothing changes, or it is in another state than expected.
    pub async fn change_alert(&self, id: Uuid, change: AlertChange, actor: &Actor) -> Result<Alert, DetectionsError> {
        if change.state.is_none() && change.assignee.is_none() && change.note.is_none() {
            return Err(DetectionsError::Invalid(reasons::nothing_changes()));
        }
        need_short(change.note.as_deref().unwrap_or_default())?;
        if let Some(name) = change.assignee.as_deref().filter(|name| !name.is_empty()) {
            need_name(name)?;
        }
        let transaction = khien_store::begin(&self.db).await?;
        let mut alert = alert_of(&transaction, id, actor).await?;
        if change.from.is_some_and(|from| from != alert.state) {
            let state = alert.state.name();
            return Err(DetectionsError::Conflict(reasons::decided_already(state)));
        }
        let before = json!({"state": alert.state, "assignee": alert.assignee});
        alert.state = change.state.unwrap_or(alert.state);
        if let Some(assignee) = &change.assignee {
            alert.assignee = (!assignee.is_empty()).then(|| assignee.clone());
        }
        alert.changed_ms = actor.now_ms;
        alerts::update(&transaction, &alert).await?;
        let after = json!({"state": alert.state, "assignee": alert.assignee});
        let detail = json!({"before": before, "after": after, "note": change.note});
        history::note(&transaction, actor, &alert_subject(id), "change", &detail).await?;
        transaction.commit().await?;
        Ok(alert)
    }

    /// What happened to a pack, oldest first.
    ///
    /// # Errors
    /// When the actor may not see it.
    pub async fn pack_history(&self, name: &str, actor: &Actor) -> Result<Vec<History>, DetectionsError> {
        need_centre(actor)?;
        Ok(history::of(&self.db, &pack_subject(name)).await?)
    }
}

/// Everything that is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Packs and what was uploaded as them.
    pub packs: Vec<(Pack, Vec<u8>)>,
    /// Exceptions and the values of their lists.
    pub exceptions: Vec<(Exception, Vec<Entry>)>,
}

fn pack_subject(name: &str) -> String {
    format!("pack {name}")
}

fn alert_subject(id: Uuid) -> String {
    format!("alert {id}")
}

async fn version_of(db: &impl ConnectionTrait, name: &str, version: Option<i32>) -> Result<Pack, DetectionsError> {
    let mut versions = packs::list(db, Some(name)).await?.into_iter();
    let found = versions.find(|pack| version.is_none_or(|version| pack.version == version));
    found.ok_or_else(|| {
        let named = version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"));
        DetectionsError::Unknown(reasons::no_pack(named))
    })
}

async fn alert_of(db: &impl ConnectionTrait, id: Uuid, actor: &Actor) -> Result<Alert, DetectionsError> {
    let found = alerts::one(db, id, &actor.reach).await?;
    found.ok_or_else(|| DetectionsError::Unknown(reasons::no_alert(id)))
}
