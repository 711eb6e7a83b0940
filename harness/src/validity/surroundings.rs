//! Whether the machine was the same throughout, and theirs who measured.

use super::limits::{CLOCK_CHANGE_SUSPECT, OTHERS_SUSPECT, STEAL_INVALID, STEAL_SUSPECT};
use super::{Finding, Observations, percent};
use measure::Standing;

pub(super) fn steal(observations: &Observations) -> Option<Finding> {
    let steal = observations.steal?;
    let (standing, limit) = match steal {
        steal if steal >= STEAL_INVALID => (Standing::Invalid, STEAL_INVALID),
        steal if steal >= STEAL_SUSPECT => (Standing::Suspect, STEAL_SUSPECT),
        _ => return None,
    };
    Some(Finding::new(
        standing,
        format!(
            "other machines on the same host took {} of the processors' time, {} or more: measure \
             again at a quieter hour, or on a machine of its own",
            percent(steal),
            percent(limit)
        ),
    ))
}

pub(super) fn others(observations: &Observations) -> Option<Finding> {
    let others = observations.others.filter(|others| *others > OTHERS_SUSPECT)?;
    Some(Finding::new(
        Standing::Suspect,
        format!(
            "processes other than generator and broker used {} of the machine, more than {}: end \
             them, and measure again at rest",
            percent(others),
            percent(OTHERS_SUSPECT)
        ),
    ))
}

pub(super) fn processor_clock(observations: &Observations) -> Option<Finding> {
    let [from, to] = observations.clock_mhz?;
    let change = (to - from).abs() / from.max(to).max(f64::MIN_POSITIVE);
    (change > CLOCK_CHANGE_SUSPECT).then(|| {
        Finding::new(
            Standing::Suspect,
            format!(
                "the processors' clock went from {from:.0} to {to:.0} MHz, {} and more than {}: fix \
                 it with the `performance` governor, and see to their cooling",
                percent(change),
                percent(CLOCK_CHANGE_SUSPECT)
            ),
        )
    })
}
