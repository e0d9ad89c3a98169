//! Correlations: several events that mean something together.

use rsigma_parser::CorrelationRule;
use serde::{Deserialize, Serialize};

use crate::rule::Origin;

/// A correlation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// `id`, else `name`, else the title.
    pub id: String,
    /// `name`
    pub name: Option<String>,
    /// Rules or correlations it refers to, by id or name.
    pub rules: Vec<String>,
    /// False for a correlation that only feeds others.
    pub reports: bool,
    /// Where it stands.
    pub origin: Origin,
}

impl Correlation {
    /// A correlation as the parser read it.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    pub fn from_sigma(rule: &CorrelationRule, origin: Origin) -> Result<Self, String> {
        let id = rule.id.as_ref().or(rule.name.as_ref());
        Ok(Self {
            id: id.unwrap_or(&rule.title).clone(),
            name: rule.name.clone(),
            rules: rule.rules.clone(),
            reports: true,
            origin,
        })
    }
}
