//! All rules on every event.
//!
//! A [`Detector`] holds the rules; every thread has a [`Worker`] on it. For each event the worker
//!
//! 1. finds the **route**: the kind of event ([`kind`]) and what its discriminating fields (channel, event id) already
//!    decide. A route ([`route`]) knows the rules that can still hold; it is built when its first event arrives;
//! 2. looks for **signs** in the raw values of those fields ([`filter`]). A sign is a piece of text that must show
//!    before a rule can hold ([`witness`]); most events show none and are done;
//! 3. **evaluates** the few rules whose sign shows, exactly ([`eval`]), on text unescaped and folded on demand. What
//!    that needs of a rule ([`plan`], [`regex`]) is made when it is first evaluated: most rules never are.
//!
//! Steps 1 and 2 may let too much through, never too little; step 3 alone decides. What is learned along the way (which
//! signs are rare, [`lessons`]) changes the speed and never the findings.

mod eval;
mod filter;
mod grams;
mod keywords;
mod kind;
mod lessons;
mod literals;
mod nibbles;
mod plan;
mod regex;
mod report;
mod route;
mod values;
mod witness;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hashbrown::HashMap;
use khien_event::decode::{Decode, Decoded, Malformed};
use khien_event::fields::{Encoding, Field, Fields, Kind, ShapeId};
use khien_event::names::{FieldId, Names};
use khien_event::taxonomy::{KindId, LogSource, Taxonomy};

use crate::finding::{Finding, Head, Source as FoundBy};
use crate::rule::{Expr, Rule};
use eval::Evaluation;
use keywords::AllTexts;
use kind::{FieldNumbers, Items, KindPlan, RuleField};
use lessons::{GramCounts, common_in_rules};
use regex::Regexes;
use route::{Route, RouteKey, Search};
use values::Source;
use witness::{Signs, Witness};

/// Rules made ready for every thread. See the module text.
pub struct Detector {
    rules: Vec<Rule>,
    heads: Vec<Head>,
    bodies: Vec<Body>,
    /// The distinct log sources of rules.
    sources: Vec<LogSource>,
    /// The fields of rules as they name them, by number.
    fields: Vec<Box<str>>,
    /// What rules look for.
    common: GramCounts,
    regexes: Regexes,
    /// What the kinds of event seen so far decide.
    kinds: Mutex<HashMap<(KindId, ShapeId), Arc<KindPlan>>>,
    names: Arc<Names>,
    log_source: Option<LogSource>,
    taxonomy: &'static Taxonomy,
}

/// A condition and the rules that have it; copies of a rule under other ids cost nothing.
struct Body {
    /// Indices into `Detector::rules`; the first one's log source and condition stand for all.
    rules: Vec<u32>,
    /// Index into `Detector::sources`.
    source: u32,
    /// The field of each item, in order of appearance.
    items: Box<[RuleField]>,
    /// Its signs as long as nothing is known of the events, for either encoding; see [`Detector::first_witness`].
    signs: [OnceLock<Option<Witness>>; 2],
}

impl Detector {
    /// Makes `rules` ready. Their order has no influence on findings: they are sorted by id and origin.
    ///
    /// `fields` are further fields that the caller wants by name (group-by fields of correlations).
    pub fn new(rules: Vec<Rule>, fields: &[String], taxonomy: &'static Taxonomy) -> Self {
        Self::with_log_source(rules, fields, None, taxonomy)
    }

    /// The same for events of which the user says the log source; what the taxonomy thinks of them then only maps their
    /// fields.
    pub fn with_log_source(
        mut rules: Vec<Rule>,
        fields: &[String],
        log_source: Option<LogSource>,
        taxonomy: &'static Taxonomy,
    ) -> Self {
        rules.sort_by(|a, b| (&a.id, &a.origin.file, a.origin.line).cmp(&(&b.id, &b.origin.file, b.origin.line)));
        let mut names = Names::new();
        name_fields(&rules, fields, taxonomy, &mut names);
        let (mut sources, mut numbers) = (Vec::new(), FieldNumbers::default());
        let bodies = bodies(&rules, &mut sources, &mut numbers);
        let heads = rules.iter().map(head).collect();
        let common = common_in_rules(bodies.iter().map(|body| &rules[body.rules[0] as usize].condition));
        Self {
            rules,
            heads,
            bodies,
            sources,
            fields: numbers.into_names(),
            common,
            regexes: Regexes::default(),
            kinds: Mutex::default(),
            names: Arc::new(names),
            log_source,
            taxonomy,
        }
    }

    /// The rule whose log source and condition stand for those of a body.
    fn rule_of(&self, body: usize) -> &Rule {
        &self.rules[self.bodies[body].rules[0] as usize]
    }

    /// The witness of a body whatever the kind of event, as long as nothing is known of the events; `None` when it may
    /// hold without any. `signs` finds it and knows nothing of the events either.
    fn find_first_witness(&self, body: usize, encoding: Encoding, signs: &mut Signs<'_>) -> Option<&Witness> {
        let Body { signs: known, items, .. } = &self.bodies[body];
        let find = || signs.witness(&self.rule_of(body).condition, &mut Items::anywhere(items));
        known[encoding as usize].get_or_init(find).as_ref()
    }

    /// The same when it was found before, otherwise `None`.
    fn first_witness(&self, body: usize, encoding: Encoding) -> Option<&Witness> {
        self.bodies[body].signs[encoding as usize].get()?.as_ref()
    }

    /// What the kind of an event decides.
    fn plan(&self, kind: KindId, shape: ShapeId) -> Arc<KindPlan> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let discriminators = self.taxonomy.discriminators(shape).iter().map(|name| self.names.get(name));
            Arc::new(KindPlan::new(self, kind, &discriminators.collect::<Vec<_>>()))
        };
        kinds.entry((kind, shape)).or_insert_with(new).clone()
    }

    /// The rules in the order in which findings of one event are reported.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What findings of the rule at `index` say about it.
    pub fn head(&self, index: usize) -> &Head {
        &self.heads[index]
    }

    /// Whether a rule with this log source is written for events of `kind`.
    pub fn applies(&self, kind: KindId, source: &LogSource) -> bool {
        match &self.log_source {
            Some(said) => said.satisfies(source),
            None => self.taxonomy.applies(kind, source),
        }
    }

    /// The fields that hold what rules call `field` in events of `kind`.
    pub fn sources(&self, kind: KindId, field: &str) -> Box<[FieldId]> {
        let ids = self.taxonomy.sources(kind, field).into_iter().map(|name| self.names.get(&name));
        ids.filter(|&id| id != FieldId::OTHER).collect()
    }

    /// The field names that decoders must hand out.
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }
}

fn head(rule: &Rule) -> Head {
    Head {
        id: rule.id.clone(),
        title: rule.title.clone(),
        level: rule.level,
        tags: rule.tags.clone(),
        author: rule.author.clone(),
        source: FoundBy::Rule,
    }
}

/// Groups rules whose log source and condition are the same; collects their log sources and fields.
fn bodies(rules: &[Rule], sources: &mut Vec<LogSource>, numbers: &mut FieldNumbers) -> Vec<Body> {
    let mut source_of: HashMap<&LogSource, u32> = HashMap::new();
    let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut list: Vec<Body> = Vec::new();
    for (i, rule) in rules.iter().enumerate() {
        let text = postcard::to_stdvec(&(&rule.logsource, &rule.condition)).expect("a rule can be written to memory");
        let at = *index.entry(text).or_insert_with(|| {
            let source = *source_of.entry(&rule.logsource).or_insert_with(|| {
                sources.push(rule.logsource.clone());
                sources.len() as u32 - 1
            });
            list.push(Body { rules: Vec::new(), source, items: numbers.of(&rule.condition), signs: <_>::default() });
            list.len() - 1
        });
        list[at].rules.push(i as u32);
    }
    list
}

/// Names every field that rules, routing and output ask for.
fn name_fields(rules: &[Rule], fields: &[String], taxonomy: &Taxonomy, names: &mut Names) {
    let mut asked: Vec<&str> = fields.iter().map(String::as_str).collect();
    for rule in rules {
        fields_of(&rule.condition, &mut asked);
    }
    asked.sort_unstable();
    asked.dedup();
    for field in asked {
        for source in taxonomy.all_sources(field) {
            names.add(&source);
        }
    }
    for shape in 0..taxonomy.shape_count() {
        let shape = ShapeId(shape as u16);
        for name in taxonomy.discriminators(shape).iter().chain(taxonomy.time_fields(shape)) {
            names.add(name);
        }
    }
}

/// Appends the fields that `expr` looks at.
pub(crate) fn fields_of<'a>(expr: &'a Expr, out: &mut Vec<&'a str>) {
    match expr {
        Expr::And(list) | Expr::Or(list) | Expr::AtLeast(_, list) => list.iter().for_each(|e| fields_of(e, out)),
        Expr::Not(inner) | Expr::Named(_, inner) => fields_of(inner, out),
        Expr::Item(item) => {
            out.extend(item.field.as_deref());
            out.extend(item.tests.iter().filter_map(|t| match t {
                crate::rule::Test::FieldRef(field, ..) => Some(field.as_str()),
                _ => None,
            }));
        }
    }
}

/// One thread's state. Learns from the events it sees; its findings depend on nothing but the event.
pub struct Worker {
    detector: Arc<Detector>,
    fields: Fields,
    routes: Vec<Route>,
    route_of: HashMap<RouteKey, usize>,
    /// Routes by the raw bytes of shape, encoding and discriminators.
    memo: HashMap<Box<[u8]>, usize, foldhash::fast::FixedState>,
    discriminators: Vec<Vec<FieldId>>,
    times: Vec<Vec<FieldId>>,
    key: Vec<u8>,
    search: Search,
    texts: AllTexts,
    report: report::Report,
    kind: KindId,
    /// Counts for benchmarks and statistics.
    pub counts: Counts,
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events looked at.
    pub events: u64,
    /// Rules (bodies) evaluated exactly.
    pub evaluated: u64,
    /// Rules (bodies) that held.
    pub held: u64,
}

/// Takes findings: the index of the rule in [`Detector::rules`], the finding, and the fields of its event.
pub type Found<'a> = dyn FnMut(usize, &Finding<'_>, &Fields) + 'a;

/// Most fields on which the kind of an event may depend.
const DISCRIMINATORS: usize = 8;

/// Most entries of the routing memo; hostile discriminators empty it, which costs time only.
const MEMO: usize = 8_192;

impl Worker {
    /// A worker on `detector`.
    pub fn new(detector: Arc<Detector>) -> Self {
        let names = detector.names.clone();
        let taxonomy = detector.taxonomy;
        let ids = |list: &[&str]| list.iter().map(|n| names.get(n)).collect::<Vec<_>>();
        let shapes = (0..taxonomy.shape_count()).map(|s| ShapeId(s as u16));
        Self {
            fields: Fields::new(names.clone()),
            routes: Vec::new(),
            route_of: HashMap::new(),
            memo: HashMap::default(),
            discriminators: shapes.clone().map(|s| ids(taxonomy.discriminators(s))).collect(),
            times: shapes.map(|s| ids(taxonomy.time_fields(s))).collect(),
            key: Vec::new(),
            search: Search::new(),
            texts: AllTexts::new(names.clone(), taxonomy),
            report: report::Report::default(),
            kind: KindId::default(),
            counts: Counts::default(),
            detector,
        }
    }

    /// Decodes one record with `decoder` and hands its findings to `found`, in the order of the rules.
    ///
    /// # Errors
    /// What the decoder says about a record it cannot read.
    pub fn record(
        &mut self,
        decoder: &mut dyn Decode,
        record: &[u8],
        position: u64,
        found: &mut Found<'_>,
    ) -> Result<Decoded, Malformed> {
        self.fields.clear();
        let outcome = decoder.decode(record, &mut self.fields)?;
        if outcome == Decoded::Event {
            self.detect(record, position, found);
        }
        Ok(outcome)
    }

    /// The fields of the event handled last.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The kind of the event handled last.
    pub fn kind(&self) -> KindId {
        self.kind
    }

    /// The time of the event handled last, in nanoseconds since 1970, if it says one.
    pub fn time_ns(&self, raw: &[u8]) -> Option<i64> {
        event_time(&self.fields, raw, &self.times[usize::from(self.fields.shape.0)])
    }

    fn detect(&mut self, raw: &[u8], position: u64, found: &mut Found<'_>) {
        self.counts.events += 1;
        let index = self.route(raw);
        let Some(route) = self.routes.get_mut(index) else {
            return;
        };
        self.kind = route.kind();
        let source = Source { raw, fields: &self.fields };
        route.candidates(source, &mut self.search);
        let mut wasted = 0;
        if !self.search.candidates.is_empty() {
            self.search.values.take(&self.fields);
            self.texts.forget();
            wasted = self.evaluate(index, raw, position, found);
        }
        self.routes[index].learn_from(wasted, &self.detector, &mut self.search);
    }

    /// Evaluates the candidates and reports those that hold; returns how many others better signs might have spared.
    fn evaluate(&mut self, index: usize, raw: &[u8], position: u64, found: &mut Found<'_>) -> u64 {
        let Self { detector, routes, fields, search: Search { values, candidates, .. }, texts, report, counts, .. } =
            self;
        let route = &mut routes[index];
        let source = Source { raw, fields };
        let mut everything = texts.of(source);
        let mut evaluation = Evaluation { source, values, everything: &mut everything };
        counts.evaluated += candidates.len() as u64;
        let mut wasted = 0;
        candidates.retain(|&body| {
            let holds = evaluation.holds(route.condition(detector, body));
            wasted += u64::from(!holds && route.was_wasted(body));
            holds
        });
        counts.held += candidates.len() as u64;
        if candidates.is_empty() {
            return wasted;
        }
        let mut rules: Vec<(u32, u32)> = Vec::new();
        for &body in candidates.iter() {
            let all = &detector.bodies[route.body(body)].rules;
            rules.extend(all.iter().map(|&rule| (rule, body)));
        }
        rules.sort_unstable();
        let time_ns = event_time(fields, raw, &self.times[usize::from(fields.shape.0)]);
        for (rule, body) in rules {
            let known = route.known(detector, body);
            report.fill(&mut evaluation, &known, route.condition(detector, body), &detector.fields);
            let matched = report.matched();
            let finding = Finding {
                head: &detector.heads[rule as usize],
                time_ns,
                position,
                matched: &matched,
                raw,
                kind: route.kind(),
                evidence: &[],
            };
            found(rule as usize, &finding, fields);
        }
        wasted
    }

    /// The route of the event in `fields`.
    fn route(&mut self, raw: &[u8]) -> usize {
        let Self { fields, discriminators, key, memo, .. } = self;
        let ids = &discriminators[usize::from(fields.shape.0)];
        let mut found: [Option<Field>; DISCRIMINATORS] = [None; DISCRIMINATORS];
        let mut repeated = false;
        for field in fields.list() {
            if let Some(at) = ids.iter().position(|&id| id == field.name) {
                repeated |= found[at].is_some();
                found[at] = Some(*field);
            }
        }
        let found = &found[..ids.len()];
        key.clear();
        key.extend_from_slice(&fields.shape.0.to_le_bytes());
        key.extend_from_slice(&[fields.encoding as u8, u8::from(repeated)]);
        for field in found {
            key.push(field.map_or(0xFE, |f| f.kind as u8));
            key.extend_from_slice(field.as_ref().map_or(&[], |f| fields.bytes(raw, f)));
            key.push(0xFF);
        }
        if let Some(&index) = memo.get(&key[..]) {
            return index;
        }
        let text = |field: &Field| text_of(fields, raw, field).map(Cow::into_owned);
        let known: Vec<_> = found.iter().map(|field| field.as_ref().map(text)).collect();
        self.new_route(repeated, &known)
    }

    /// The route for discriminating fields that have not been seen before: `None` where one is absent, `Some(None)` where
    /// it has no text.
    #[cold]
    #[expect(clippy::option_option, reason = "an absent field and one without text decide differently")]
    fn new_route(&mut self, repeated: bool, known: &[Option<Option<String>>]) -> usize {
        let Self { detector, fields, search, .. } = self;
        let texts: Vec<Option<&str>> = known.iter().map(|k| k.as_ref().and_then(|t| t.as_deref())).collect();
        let kind = detector.taxonomy.kind(fields.shape, &texts);
        let plan = detector.plan(kind, fields.shape);
        let outcomes = (!repeated).then(|| plan.outcomes(known));
        let key = RouteKey { kind, shape: fields.shape, encoding: fields.encoding, outcomes };
        let routes = &mut self.routes;
        let index = *self.route_of.entry(key).or_insert_with_key(|key| {
            routes.push(Route::new(detector, &plan, key, search));
            routes.len() - 1
        });
        if self.memo.len() >= MEMO {
            self.memo.clear();
        }
        self.memo.insert(self.key[..].into(), index);
        index
    }
}

/// The text of a field, `None` when it has none.
pub fn text_of<'a>(fields: &'a Fields, raw: &'a [u8], field: &Field) -> Option<Cow<'a, str>> {
    let bytes = fields.bytes(raw, field);
    match field.kind {
        Kind::Null | Kind::Object | Kind::EmptyArray => None,
        Kind::Escaped => {
            let mut text = Vec::with_capacity(bytes.len());
            khien_event::json::unescape_into(bytes, &mut text);
            Some(Cow::Owned(String::from_utf8_lossy(&text).into_owned()))
        }
        Kind::Text | Kind::Number | Kind::True | Kind::False => Some(String::from_utf8_lossy(bytes)),
    }
}

/// The time of the event: what its decoder found, or the first of `ids` that holds a time.
fn event_time(fields: &Fields, raw: &[u8], ids: &[FieldId]) -> Option<i64> {
    let of = |id: &FieldId| {
        let field = fields.list().iter().find(|f| f.name == *id)?;
        khien_event::time::parse(&text_of(fields, raw, field)?)
    };
    fields.time_ns.or_else(|| ids.iter().find_map(of))
}
