//! Whether a result may be believed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a result may be believed, and why not further.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// How far.
    pub standing: Standing,
    /// What was expected and what was found, one sentence each; none of a valid result.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Adds a reason; the more serious standing remains.
    pub fn degrade(&mut self, standing: Standing, reason: impl Into<String>) {
        self.standing = self.standing.max(standing);
        self.reasons.push(reason.into());
    }
}

/// How far a result may be believed; the better first.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing speaks against it.
    #[default]
    Valid,
    /// Something may have distorted it.
    Suspect,
    /// The broker did not keep up with the offered rate, so that its latencies say how long the
    /// measurement went on: its percentiles mean nothing.
    Unsustainable,
    /// It says something about the measurement and not about the broker: it is in no ranking.
    Invalid,
}

impl Standing {
    /// Whether the result may be ranked with others.
    #[must_use]
    pub fn may_be_ranked(self) -> bool {
        matches!(self, Self::Valid | Self::Suspect)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Valid => "valid",
            Self::Suspect => "suspect",
            Self::Unsustainable => "unsustainable",
            Self::Invalid => "invalid",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_serious_standing_remains() {
        let mut verdict = Verdict::default();
        verdict.degrade(Standing::Invalid, "a");
        verdict.degrade(Standing::Suspect, "b");
        assert_eq!(verdict.standing, Standing::Invalid);
        assert_eq!(verdict.reasons, ["a", "b"]);
        assert!(!verdict.standing.may_be_ranked() && Standing::Suspect.may_be_ranked());
    }
}
