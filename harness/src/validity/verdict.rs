//! What became of a measurement.

/// Whether a result may be believed; greater is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing speaks against it.
    #[default]
    Valid,
    /// Something may have distorted it.
    Suspect,
    /// The broker did not keep up with the offered rate.
    Unsustainable,
    /// It says something about the measurement and not about the broker.
    Invalid,
}

/// A standing with its reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may be believed.
    pub standing: Standing,
    /// Full sentences, the weightiest first.
    pub reasons: Vec<String>,
}
