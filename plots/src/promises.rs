//! What acknowledgements promise, and who may be compared with whom.

use measure::{BrokerKind, BrokerRun, GuaranteeClass, RunRecord};

/// Whether the brokers of a run all promise the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promises {
    /// Then nobody needs to be told.
    Alike,
    /// Then each must be shown with its own.
    Different,
}

/// The guarantee in the fewest words, as in `tandem-mio · after sync`.
pub(crate) fn short(guarantee: GuaranteeClass) -> &'static str {
    let label = guarantee.label();
    label.strip_prefix("acknowledged ").unwrap_or(label)
}

impl Promises {
    /// Ceilings do not count: they are no brokers.
    pub(crate) fn of(record: &RunRecord) -> Self {
        let brokers = record.brokers.iter().filter(|broker| broker.kind == BrokerKind::Broker);
        let mut guarantees = brokers.map(|broker| &broker.guarantee);
        let first = guarantees.next();
        match guarantees.all(|guarantee| Some(guarantee) == first) {
            true => Self::Alike,
            false => Self::Different,
        }
    }

    /// What a broker promises, if it must be told.
    pub(crate) fn of_broker(self, broker: &BrokerRun) -> Option<&str> {
        let told = self == Self::Different && broker.kind == BrokerKind::Broker;
        told.then(|| short(broker.guarantee))
    }

    /// A broker's name in legends and beside bars.
    pub(crate) fn name(self, broker: &BrokerRun) -> String {
        match self.of_broker(broker) {
            Some(guarantee) => format!("{} · {guarantee}", broker.name),
            None => broker.name.clone(),
        }
    }
}
