//! Who acts, and how far.

/// What somebody may see and change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything, as the centre does.
    All,
    /// What is of this organisation.
    Organisation(String),
}

impl Reach {
    /// Whether `organisation` is within it; `None` stands for all organisations.
    pub fn covers(&self, organisation: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Organisation(own) => organisation == Some(own),
        }
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name that histories carry.
    pub name: String,
    /// What is within reach.
    pub reach: Reach,
    /// When it happens, in milliseconds since 1970.
    pub now_ms: i64,
}
