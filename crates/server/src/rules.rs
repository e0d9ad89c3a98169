//! The rules that are in force, and how they change.
//!
//! Rules come in packs. A [`RuleBook`] is all packs in force at one time, made ready together; it never changes. When packs
//! change, a new one takes its place between two batches of the journal: a batch is worked on under one of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use khien_detect::correlate::{Correlation, Correlator, Limits};
use khien_detect::engine::Detector;
use khien_detect::indicators::IndicatorSet;
use khien_detect::rule::load::RuleSet;
use khien_detect::rule::{Origin, Rule};
use khien_event::taxonomy::Taxonomy;

/// How much later than others a match may arrive and still be correlated with them.
const GRACE_NS: i64 = 600_000_000_000;

/// Rules of one origin and version.
#[derive(Debug)]
pub(crate) struct Pack {
    /// `name@version`
    pub(crate) name: String,
    pub(crate) rules: RuleSet,
    /// The organisations it is in force for, `None` for all.
    pub(crate) organisations: Option<HashSet<String>>,
}

struct PackInForce {
    name: String,
    organisations: Option<HashSet<String>>,
    is_empty: bool,
}

impl PackInForce {
    fn is_for(&self, organisation: &str) -> bool {
        self.organisations.as_ref().is_none_or(|organisations| organisations.contains(organisation))
    }
}

/// Events that are known to be harmless.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    /// Its number or name, for findings that it silences.
    pub(crate) id: String,
    /// Ids of the rules it is for; none for all.
    pub(crate) rules: HashSet<String>,
    /// The organisation it is for, `None` for all.
    pub(crate) organisation: Option<String>,
    /// The field as rules name it.
    pub(crate) field: String,
    /// Its values, in lower case, and until when each is harmless.
    pub(crate) values: HashMap<String, Option<i64>>,
    /// When it ends, in milliseconds since 1970.
    pub(crate) until_ms: Option<i64>,
}

/// See the module text.
pub(crate) struct RuleBook {
    pub(crate) detector: Arc<Detector>,
    pub(crate) correlations: Vec<Correlation>,
    /// Which matches correlations want; it is never fed.
    pub(crate) wiring: Correlator,
    pub(crate) indicators: Option<Arc<IndicatorSet>>,
    pub(crate) exceptions: Vec<Exception>,
    packs: Vec<PackInForce>,
    /// For each rule of the detector its pack.
    pack_of_rule: Vec<usize>,
    pack_of_correlation: Vec<usize>,
}

impl RuleBook {
    /// Makes packs ready.
    pub(crate) fn new(packs: Vec<Pack>, indicators: Option<Arc<IndicatorSet>>, exceptions: Vec<Exception>) -> Self {
        let (mut rules, mut correlations, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let mut place: HashMap<(String, Origin), usize> = HashMap::new();
        let mut pack_of_correlation = Vec::new();
        for (index, Pack { name, rules: mut set, organisations }) in packs.into_iter().enumerate() {
            for rule in &mut set.rules {
                rule.origin.file = format!("{name}/{}", rule.origin.file);
                place.insert((rule.id.clone(), rule.origin.clone()), index);
            }
            let before = rules.len();
            rules.append(&mut set.rules);
            pack_of_correlation.extend(set.correlations.iter().map(|_| index));
            correlations.append(&mut set.correlations);
            let is_empty = rules.len() == before;
            names.push(PackInForce { name, organisations, is_empty });
        }
        let mut fields = khien_event::ocsf::fast::fields();
        fields.extend(correlations.iter().flat_map(Correlation::event_fields));
        fields.extend(exceptions.iter().map(|exception| exception.field.clone()));
        let detector = Arc::new(Detector::new(rules, &fields, Taxonomy::embedded()));
        let pack = |rule: &Rule| place.get(&(rule.id.clone(), rule.origin.clone())).copied().unwrap_or(0);
        let pack_of_rule = detector.rules().iter().map(pack).collect();
        // By the detector's own order of the rules.
        let (wiring, _) = Correlator::new(correlations.clone(), detector.rules(), Limits::default());
        Self { detector, correlations, wiring, indicators, exceptions, packs: names, pack_of_rule, pack_of_correlation }
    }

    /// A correlator for these rules, with nothing in it.
    pub(crate) fn correlator(&self) -> Correlator {
        Correlator::live(self.correlations.clone(), self.detector.rules(), Limits::default(), GRACE_NS).0
    }

    /// The same for events that come in the order of time, an hour at once.
    pub(crate) fn correlator_at_once(&self) -> Correlator {
        Correlator::live(self.correlations.clone(), self.detector.rules(), Limits::default(), 0).0
    }

    /// The pack of a rule when it is in force for an organisation.
    pub(crate) fn rule_pack(&self, rule: usize, organisation: &str) -> Option<&str> {
        self.pack(self.pack_of_rule[rule], organisation)
    }

    /// The same for a correlation.
    pub(crate) fn correlation_pack(&self, correlation: usize, organisation: &str) -> Option<&str> {
        self.pack(self.pack_of_correlation[correlation], organisation)
    }

    fn pack(&self, pack: usize, organisation: &str) -> Option<&str> {
        let pack = &self.packs[pack];
        pack.is_for(organisation).then_some(pack.name.as_str())
    }

    /// The packs with rules that are in force for an organisation.
    pub(crate) fn packs_of(&self, organisation: &str) -> Vec<&str> {
        let here = self.packs.iter().filter(|pack| !pack.is_empty && pack.is_for(organisation));
        here.map(|pack| pack.name.as_str()).collect()
    }

    /// How many rules and correlations there are.
    pub(crate) fn len(&self) -> usize {
        self.detector.rules().len() + self.correlations.len()
    }
}

/// The rule book in force, for all who work by it.
#[derive(Clone)]
pub(crate) struct InForce(Arc<Mutex<Arc<RuleBook>>>);

impl InForce {
    pub(crate) fn new(book: RuleBook) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(book))))
    }

    pub(crate) fn get(&self) -> Arc<RuleBook> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From the next batch on.
    pub(crate) fn replace(&self, book: RuleBook) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
    }
}
