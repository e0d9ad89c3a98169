//! The engine behind the commands: where `khien-event` and `khien-detect` meet the command line.

use std::path::Path;

use khien_detect::rule::Rule;

use crate::engine::{Engine, ExplainJob, Explanation, Job, LoadRequest, Loaded, NewRender, RuleRow, Sink, Stats};

/// The engine that is linked into this binary.
#[derive(Clone, Copy, Debug)]
pub struct Linked;

/// Said by every method until the engine is connected here.
const NOT_CONNECTED: &str = "this build has no engine";

impl Engine for Linked {
    type Rules = Vec<Rule>;

    fn load(&self, _request: &LoadRequest) -> anyhow::Result<Loaded<Self::Rules>> {
        anyhow::bail!(NOT_CONNECTED)
    }

    fn list(&self, rules: &Self::Rules) -> Vec<RuleRow> {
        rules.iter().map(RuleRow::from).collect()
    }

    fn rule<'a>(&self, rules: &'a Self::Rules, id: &str) -> Option<&'a Rule> {
        rules.iter().find(|rule| rule.id == id)
    }

    fn save_pack(&self, _rules: &Self::Rules, _path: &Path) -> anyhow::Result<()> {
        anyhow::bail!(NOT_CONNECTED)
    }

    fn detect(
        &self,
        _rules: Self::Rules,
        _job: &Job,
        _output: &dyn NewRender,
        _sink: &mut dyn Sink,
    ) -> anyhow::Result<Stats> {
        anyhow::bail!(NOT_CONNECTED)
    }

    fn explain(&self, _rules: &Self::Rules, _job: &ExplainJob) -> anyhow::Result<Vec<Explanation>> {
        anyhow::bail!(NOT_CONNECTED)
    }
}
