//! A client's subscriptions: which filters it has, and what they mean together for one topic.

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
    wild: Vec<(Arc<str>, Terms)>,
    /// By the whole filter, `$share/…` included.
    shared: HashMap<Arc<str>, Terms>,
}

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
        match self.wild.iter_mut().find(|(known, _)| *known == filter) {
            Some((_, known)) => Some(std::mem::replace(known, terms)),
            None => {
                self.wild.push((filter, terms));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, filter: &str) -> Option<Terms> {
        if is_shared(filter) {
            return self.shared.remove(filter);
        }
        if !is_wild(filter) {
            return self.exact.remove(filter);
        }
        let index = self.wild.iter().position(|(known, _)| **known == *filter)?;
        Some(self.wild.swap_remove(index).1)
    }

    pub(crate) fn get(&self, filter: &str) -> Option<Terms> {
        if is_shared(filter) {
            return self.shared.get(filter).copied();
        }
        if !is_wild(filter) {
            return self.exact.get(filter).copied();
        }
        self.wild.iter().find(|(known, _)| **known == *filter).map(|(_, terms)| *terms)
    }

    /// What the filters that are not shared say of a topic; `None`: none of them matches it.
    pub(crate) fn reading(&self, topic: &str) -> Option<Reading> {
        let exact = self.exact.get(topic).copied();
        let wild = self.wild.iter().filter(|(filter, _)| matches(filter, topic));
        let all = exact.into_iter().chain(wild.map(|(_, terms)| *terms));
        all.map(Reading::from).reduce(Reading::with)
    }

    /// All filters, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Terms)> {
        let wild = self.wild.iter().map(|(filter, terms)| (filter, terms));
        self.exact.iter().chain(wild).chain(self.shared.iter())
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
