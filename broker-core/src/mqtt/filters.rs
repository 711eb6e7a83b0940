//! A client's subscriptions: which filters it has, and what they mean together for one topic.

use crate::level_tree::LevelTree;
use protocol::mqtt::topics::matches;
use protocol::mqtt::{QoS, RetainHandling, SubscribeOptions};
use std::collections::HashMap;
use std::sync::Arc;

/// The terms of one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) options: SubscribeOptions,
    /// Told with each message that the subscription matches (MQTT 5.0 §3.8.2.1.2).
    pub(crate) identifier: Option<u32>,
}

/// The terms on which a client is given the messages of a topic: those of all its filters that
/// match, so that a message is sent once (MQTT 5.0 §3.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The most that any of them grants.
    pub(crate) qos: QoS,
    /// None of them wants the client's own messages.
    pub(crate) no_local: bool,
    /// Any of them wants the retain flag as it was published.
    pub(crate) retain_as_published: bool,
    pub(crate) identifiers: Vec<u32>,
}

impl From<Terms> for Reading {
    fn from(Terms { options, identifier }: Terms) -> Self {
        Self {
            qos: options.qos,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            identifiers: identifier.into_iter().collect(),
        }
    }
}

impl Reading {
    /// On no terms at all.
    pub(super) fn nothing() -> Self {
        Self {
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            identifiers: Vec::new(),
        }
    }

    fn with(mut self, other: Self) -> Self {
        self.qos = self.qos.max(other.qos);
        self.no_local &= other.no_local;
        self.retain_as_published |= other.retain_as_published;
        self.identifiers.extend(other.identifiers);
        self
    }
}

/// All filters of one client.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    exact: HashMap<Arc<str>, Terms>,
    wild: Wild,
    /// By the whole filter, `$share/…` included.
    shared: HashMap<Arc<str>, Terms>,
}

/// Filters with wildcards: a list where they are few, which most clients have, and which takes
/// little memory.
#[derive(Debug)]
enum Wild {
    Few(Vec<(Arc<str>, Terms)>),
    Many(Box<LevelTree<(Arc<str>, Terms)>>),
}

/// A list of more filters is looked through for longer than a tree.
const FEW_MAX: usize = 16;

impl Filters {
    pub(crate) fn len(&self) -> usize {
        self.exact.len() + self.wild.len() + self.shared.len()
    }

    /// Adds a filter, or replaces its terms; gives those that it had.
    pub(crate) fn insert(&mut self, filter: &Arc<str>, terms: Terms) -> Option<Terms> {
        let filter = Arc::clone(filter);
        if is_shared(&filter) {
            return self.shared.insert(filter, terms);
        }
        if !is_wild(&filter) {
            return self.exact.insert(filter, terms);
        }
        self.wild.insert(filter, terms)
    }

    pub(crate) fn remove(&mut self, filter: &str) -> Option<Terms> {
        if is_shared(filter) {
            return self.shared.remove(filter);
        }
        if !is_wild(filter) {
            return self.exact.remove(filter);
        }
        self.wild.remove(filter)
    }

    pub(crate) fn get(&self, filter: &str) -> Option<Terms> {
        if is_shared(filter) {
            return self.shared.get(filter).copied();
        }
        if !is_wild(filter) {
            return self.exact.get(filter).copied();
        }
        self.wild.get(filter)
    }

    /// What the filters that are not shared say of a topic; `None`: none of them matches it.
    pub(crate) fn reading(&self, topic: &str) -> Option<Reading> {
        let mut reading = self.exact.get(topic).copied().map(Reading::from);
        self.wild.for_each_match(topic, &mut |terms| {
            let other = Reading::from(*terms);
            reading = Some(match reading.take() {
                None => other,
                Some(reading) => reading.with(other),
            });
        });
        reading
    }

    /// All filters, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Terms)> {
        self.exact.iter().chain(self.wild.iter()).chain(self.shared.iter())
    }
}

impl Default for Wild {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Wild {
    fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Many(tree) => tree.len(),
        }
    }

    fn insert(&mut self, filter: Arc<str>, terms: Terms) -> Option<Terms> {
        match self {
            Self::Few(list) => {
                if let Some((_, known)) = list.iter_mut().find(|(known, _)| *known == filter) {
                    return Some(std::mem::replace(known, terms));
                }
                list.push((filter, terms));
                if list.len() > FEW_MAX {
                    let mut tree = LevelTree::new();
                    for (filter, terms) in std::mem::take(list) {
                        tree.insert(&Arc::clone(&filter), (filter, terms));
                    }
                    *self = Self::Many(Box::new(tree));
                }
                None
            }
            Self::Many(tree) => {
                let before = tree.insert(&Arc::clone(&filter), (filter, terms));
                before.map(|(_, terms)| terms)
            }
        }
    }

    fn remove(&mut self, filter: &str) -> Option<Terms> {
        match self {
            Self::Few(list) => {
                let index = list.iter().position(|(known, _)| **known == *filter)?;
                Some(list.swap_remove(index).1)
            }
            Self::Many(tree) => tree.remove(filter).map(|(_, terms)| terms),
        }
    }

    fn get(&self, filter: &str) -> Option<Terms> {
        let found = match self {
            Self::Few(list) => list.iter().find(|(known, _)| **known == *filter),
            Self::Many(tree) => tree.get(filter),
        };
        found.map(|(_, terms)| *terms)
    }

    fn for_each_match(&self, topic: &str, visit: &mut impl FnMut(&Terms)) {
        match self {
            Self::Few(list) => {
                let matching = list.iter().filter(|(filter, _)| matches(filter, topic));
                matching.for_each(|(_, terms)| visit(terms));
            }
            Self::Many(tree) => {
                tree.for_each_matching_filter(topic, &mut |(_, terms)| visit(terms));
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Terms)> {
        let (few, many) = match self {
            Self::Few(list) => (Some(list.iter()), None),
            Self::Many(tree) => (None, Some(tree.values())),
        };
        let all = few.into_iter().flatten().chain(many.into_iter().flatten());
        all.map(|(filter, terms)| (filter, terms))
    }
}

pub(crate) fn is_shared(filter: &str) -> bool {
    filter.starts_with("$share/")
}

fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// The options as they travel (MQTT 5.0 §3.8.3.1).
pub(crate) fn options_byte(options: SubscribeOptions) -> u8 {
    options.qos.number()
        | u8::from(options.no_local) << 2
        | u8::from(options.retain_as_published) << 3
        | (options.retain_handling as u8) << 4
}

/// The options that travel so.
pub(crate) fn options_of(byte: u8) -> SubscribeOptions {
    SubscribeOptions {
        qos: QoS::from_number(byte & 3).unwrap_or(QoS::ExactlyOnce),
        no_local: byte & 4 != 0,
        retain_as_published: byte & 8 != 0,
        retain_handling: match byte >> 4 & 3 {
            0 => RetainHandling::SendAtSubscribe,
            1 => RetainHandling::SendIfNew,
            _ => RetainHandling::DoNotSend,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(identifier: u32) -> Terms {
        Terms { options: options_of(1), identifier: Some(identifier) }
    }

    #[test]
    fn many_filters_with_wildcards_say_what_few_do() {
        let mut filters = Filters::default();
        let count = 3 * FEW_MAX as u32;
        for number in 1..=count {
            let filter: Arc<str> = format!("a/{number}/+").into();
            assert_eq!(filters.insert(&filter, terms(number)), None);
            assert_eq!(filters.insert(&filter, terms(number + 1)), Some(terms(number)));
            assert_eq!(filters.len(), number as usize);
            for earlier in 1..=number {
                let reading = filters.reading(&format!("a/{earlier}/b"));
                let identifiers = reading.map(|reading| reading.identifiers);
                assert_eq!(identifiers, Some(vec![earlier + 1]));
            }
        }
        assert_eq!(filters.iter().count(), count as usize);
        assert_eq!(filters.get("a/7/+"), Some(terms(8)));
        assert_eq!(filters.remove("a/7/+"), Some(terms(8)));
        assert_eq!((filters.get("a/7/+"), filters.reading("a/7/b")), (None, None));
        assert_eq!(filters.len(), count as usize - 1);
    }
}
