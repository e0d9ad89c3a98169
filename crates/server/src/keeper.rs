//! Keeps the rules in force what the register of packs and exceptions says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use khien_detect::indicators::IndicatorSet;
use khien_detect::rule::load::RuleSet;
use khien_detections::{Detections, DetectionsError, InForce as Register, read_pack};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::pipeline::{Progress, chain};
use crate::rules::{Exception, InForce, Pack, RuleBook};

/// How often the register is looked at: another process may have changed it.
const LOOKING: Duration = Duration::from_secs(1);

/// What the rules given on the command line are called as a pack.
const BASE_PACK: &str = "base@0";

/// See the module text.
pub(crate) struct Keeper {
    detections: Detections,
    base: RuleSet,
    indicators: Option<Arc<IndicatorSet>>,
    progress: Arc<Progress>,
    revision: i64,
}

impl Keeper {
    pub(crate) fn new(
        detections: Detections,
        base: RuleSet,
        indicators: Option<IndicatorSet>,
        progress: Arc<Progress>,
    ) -> Self {
        Self { detections, base, indicators: indicators.map(Arc::new), progress, revision: 0 }
    }

    /// The rules that are to be in force now.
    pub(crate) async fn rules(&mut self) -> Result<RuleBook, DetectionsError> {
        // Read before: what changes in between is read again.
        let revision = self.detections.revision().await?;
        let register = self.detections.in_force().await?;
        let (base, indicators) = (self.base.clone(), self.indicators.clone());
        let built = tokio::task::spawn_blocking(move || book(base, register, indicators)).await;
        let built = built.map_err(|_| DetectionsError::not_ready())?;
        self.revision = revision;
        Ok(built)
    }

    /// Puts new rules in force whenever the register changes, until it is told to stop.
    pub(crate) async fn run(mut self, rules: InForce, mut stop: watch::Receiver<bool>) {
        self.progress.revision.store(self.revision, Ordering::Relaxed);
        let mut ticks = interval(LOOKING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.look(&rules).await {
                tracing::error!(error = %chain(&error), "the register of rules cannot be read; rules stay as they are");
            }
        }
    }

    async fn look(&mut self, rules: &InForce) -> Result<(), DetectionsError> {
        if self.detections.revision().await? == self.revision {
            return Ok(());
        }
        let book = self.rules().await?;
        tracing::info!(rules = book.len(), exceptions = book.exceptions.len(), "other rules are in force");
        rules.replace(book);
        self.progress.revision.store(self.revision, Ordering::Relaxed);
        Ok(())
    }
}

fn book(base: RuleSet, register: Register, indicators: Option<Arc<IndicatorSet>>) -> RuleBook {
    let mut packs = vec![Pack { name: BASE_PACK.to_owned(), rules: base, organisations: None }];
    for (pack, content) in register.packs {
        let name = format!("{}@{}", pack.name, pack.version);
        match read_pack(&content) {
            Ok(rules) => {
                let organisations = pack.organisations.map(|names| names.into_iter().collect());
                packs.push(Pack { name, rules, organisations });
            }
            Err(error) => tracing::error!(%error, pack = name, "a pack in force cannot be used"),
        }
    }
    let exceptions = register.exceptions.into_iter().map(|(exception, entries)| Exception {
        id: exception.id.to_string(),
        rules: exception.what.rules.into_iter().collect(),
        organisation: exception.what.organisation,
        field: exception.what.field,
        values: entries.into_iter().map(|entry| (entry.value.to_lowercase(), entry.until_ms)).collect(),
        until_ms: exception.what.until_ms,
    });
    RuleBook::new(packs, indicators, exceptions.collect())
}
