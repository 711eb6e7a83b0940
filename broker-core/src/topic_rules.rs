//! What a topic is made with where its creator did not say: rules by the pattern of its name.

use protocol::{Retention, StorageClass, TopicOptions};
use wildmatch::WildMatch;

/// Rules for the topics of a broker, the first that a name matches before all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRules {
    rules: Vec<TopicRule>,
    otherwise: TopicOptions,
}

/// A rule for all topics whose names match a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicRule {
    pattern: WildMatch,
    options: TopicOptions,
}

impl Eq for TopicRule {}

impl TopicRule {
    /// A rule for names that match all of `pattern`, in which `*` stands for any characters, none
    /// and `/` among them, and `?` for any one.
    #[must_use]
    pub fn new(pattern: &str, options: TopicOptions) -> Self {
        Self { pattern: WildMatch::new(pattern), options }
    }
}

impl TopicRules {
    /// The rules in their order, and what holds where no rule says anything.
    #[must_use]
    pub fn new(rules: Vec<TopicRule>, otherwise: TopicOptions) -> Self {
        Self { rules, otherwise }
    }

    /// What a topic named `name` is made with: each choice as its creator `asked`, or else as the
    /// first rule for its name says, or else as holds for all.
    ///
    /// A durability that was not asked for is left out for a topic in memory, so that one there
    /// is a contradiction of the creator's own.
    #[must_use]
    pub fn options_for(&self, name: &str, asked: TopicOptions) -> TopicOptions {
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(name));
        let said = rule.map(|rule| rule.options).unwrap_or_default();
        let storage = asked.storage.or(said.storage).or(self.otherwise.storage);
        let durability = match storage {
            Some(StorageClass::Memory) => None,
            Some(StorageClass::Disk) | None => said.durability.or(self.otherwise.durability),
        };
        TopicOptions {
            retention: over(asked.retention, over(said.retention, self.otherwise.retention)),
            storage,
            durability: asked.durability.or(durability),
        }
    }
}

/// What `above` says, and what `below` says where that says nothing.
fn over(above: Retention, below: Retention) -> Retention {
    Retention {
        bytes_max: above.bytes_max.or(below.bytes_max),
        messages_max: above.messages_max.or(below.messages_max),
        age_ms_max: above.age_ms_max.or(below.age_ms_max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Durability;

    const NOTHING: TopicOptions =
        TopicOptions { retention: UNSAID, storage: None, durability: None };
    const UNSAID: Retention = Retention { bytes_max: None, messages_max: None, age_ms_max: None };
    const MEMORY: TopicOptions = TopicOptions { storage: Some(StorageClass::Memory), ..NOTHING };
    const SYNC: TopicOptions = TopicOptions {
        storage: Some(StorageClass::Disk),
        durability: Some(Durability::Sync),
        ..NOTHING
    };
    const OS: TopicOptions = TopicOptions { durability: Some(Durability::Os), ..NOTHING };

    fn keeping(messages_max: u64) -> TopicOptions {
        let retention = Retention { messages_max: Some(messages_max), ..UNSAID };
        TopicOptions { retention, ..NOTHING }
    }

    #[track_caller]
    fn check(rules: &[(&str, TopicOptions)], name: &str, expected: TopicOptions) {
        let rules = rules.iter().map(|(pattern, options)| TopicRule::new(pattern, *options));
        let rules = TopicRules::new(rules.collect(), SYNC);
        assert_eq!(rules.options_for(name, NOTHING), expected, "{name}");
    }

    #[test]
    fn a_name_without_a_rule_has_what_holds_for_all() {
        check(&[], "News", SYNC);
        check(&[("metrics/*", MEMORY)], "metric", SYNC);
        assert_eq!(TopicRules::default().options_for("News", NOTHING), NOTHING);
    }

    #[test]
    fn a_pattern_matches_the_whole_name() {
        let rules = [("metrics/*", MEMORY), ("log-?", MEMORY)];
        for name in ["metrics/", "metrics/cpu", "metrics/a/b", "log-1", "log-é"] {
            check(&rules, name, MEMORY);
        }
        for name in ["metrics", "my/metrics/cpu", "log-", "log-10", "Log-1"] {
            check(&rules, name, SYNC);
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins_and_says_all_that_rules_say() {
        let rules = [("metrics/slow/*", OS), ("metrics/*", MEMORY), ("*", keeping(7))];
        check(&rules, "metrics/slow/disk", TopicOptions { durability: OS.durability, ..SYNC });
        check(&rules, "metrics/cpu", MEMORY);
        check(&rules, "News", TopicOptions { retention: keeping(7).retention, ..SYNC });
    }

    #[test]
    fn what_the_creator_asked_for_wins_choice_by_choice() {
        let memory = TopicOptions { retention: keeping(7).retention, ..MEMORY };
        let rules = TopicRules::new(vec![TopicRule::new("*", memory)], SYNC);
        assert_eq!(rules.options_for("News", NOTHING), memory);
        let asked = TopicOptions { storage: SYNC.storage, ..keeping(9) };
        let expected = TopicOptions { retention: asked.retention, ..SYNC };
        assert_eq!(rules.options_for("News", asked), expected);
        let contradiction = TopicOptions { durability: Some(Durability::Os), ..memory };
        assert_eq!(rules.options_for("News", OS), contradiction);
    }
}
