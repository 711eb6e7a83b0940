//! Whether the generator measured itself.

use super::limits::{
    ACHIEVED_FRACTION_MIN, ARRIVALS_DEVIATIONS, CEILING_FRACTION_MAX, CLOCK_ERRORS_INVALID,
    LATENESS_P99_NS_FREE, LATENESS_P99_NS_MAX, STEAL_INVALID, THREAD_BUSY_INVALID,
    THREAD_BUSY_SUSPECT,
};
use super::{Cores, Finding, Observations, Pacing, Subject, percent, rate};
use crate::generator_watch::ThreadUse;
use measure::Standing;

/// The part of the time that a thread wanted a core, whether it had one or not.
fn demand(thread: &ThreadUse) -> f64 {
    thread.busy + thread.waiting.unwrap_or(0.0)
}

fn busiest(observations: &Observations) -> Option<&ThreadUse> {
    observations.threads.iter().max_by(|left, right| demand(left).total_cmp(&demand(right)))
}

/// Whether the generator could not do better, as far as is known.
fn may_be_at_fault(observations: &Observations) -> bool {
    let is_stolen_from = observations.steal.is_some_and(|steal| steal >= STEAL_INVALID);
    let is_busy = |thread| demand(thread) >= THREAD_BUSY_INVALID;
    is_stolen_from || busiest(observations).is_none_or(is_busy)
}

pub(super) fn busy(observations: &Observations) -> Option<Finding> {
    let thread = busiest(observations).filter(|_| observations.subject == Subject::Broker)?;
    let told = format!(
        "the generator's thread {} ran or waited for a core {} of the measured phase",
        thread.name,
        percent(demand(thread).min(1.0))
    );
    match (observations.pacing, demand(thread)) {
        // Sending each message alone at a high rate takes a whole thread, and can be done in time.
        (Pacing::Open, demand) if demand >= THREAD_BUSY_INVALID && !has_kept(observations) => {
            Some(Finding::new(
                Standing::Invalid,
                format!(
                    "{told}, and from {} on it cannot keep a schedule: offer a lower rate, spread it over \
                 more publishers and subscribers, or give the generator cores of its own",
                    percent(THREAD_BUSY_INVALID)
                ),
            ))
        }
        (Pacing::Open, demand) if demand >= THREAD_BUSY_SUSPECT => Some(Finding::new(
            Standing::Suspect,
            format!(
                "{told}; beyond {} high percentiles hold time that messages waited for it: trust the \
                 median more, or spread the rate over more publishers and subscribers",
                percent(THREAD_BUSY_SUSPECT)
            ),
        )),
        (Pacing::Closed, demand)
            if demand >= THREAD_BUSY_INVALID
                && observations.cores == Cores::Apart
                && observations.ceiling_per_s.is_none() =>
        {
            Some(Finding::new(
                Standing::Suspect,
                format!(
                    "{told}, {} or more, on cores of its own, and the driver's ceiling is not known, \
                     so the limit may be the generator: use more publishers and subscribers, or \
                     measure the ceiling",
                    percent(THREAD_BUSY_INVALID)
                ),
            ))
        }
        _ => None,
    }
}

/// Whether 99 of 100 messages were sent near enough to when they were due, as far as that is known.
fn has_kept(observations: &Observations) -> bool {
    observations.lateness.is_some_and(|lateness| lateness.p99_ns <= LATENESS_P99_NS_MAX)
}

pub(super) fn late(observations: &Observations) -> Option<Finding> {
    let lateness = observations.lateness?;
    let (p99_ns, interval_ns) = (lateness.p99_ns, lateness.mean_interval_ns);
    let is_beyond_max = p99_ns > LATENESS_P99_NS_MAX;
    let is_beyond_interval = p99_ns > interval_ns.max(LATENESS_P99_NS_FREE);
    let told = format!(
        "one message in a hundred was sent {:.3} ms or more after it was due, with {:.3} ms between \
         two of one publisher",
        ms(p99_ns),
        ms(interval_ns)
    );
    let max_ms = ms(LATENESS_P99_NS_MAX);
    match (is_beyond_max, is_beyond_interval, may_be_at_fault(observations)) {
        (true, true, true) => Some(Finding::new(
            Standing::Invalid,
            format!(
                "{told}; beyond {max_ms} ms and that interval the schedule was not kept, and the \
                 generator may be why: offer a lower rate, use more publishers, or give the \
                 generator cores of its own"
            ),
        )),
        (true, true, false) => Some(Finding::new(
            Standing::Suspect,
            format!(
                "{told}, beyond {max_ms} ms, though no thread of the generator was short of time: \
                 the broker held its publishers back, or the machine woke them late; response times \
                 hold that wait, service times do not"
            ),
        )),
        (true, false, _) => Some(Finding::new(
            Standing::Suspect,
            format!(
                "{told}; beyond {max_ms} ms that is as long as an answer, and response times hold \
                 it: see service times too, or run on a machine with idle cores"
            ),
        )),
        (false, true, _) => Some(Finding::new(
            Standing::Suspect,
            format!(
                "{told}; beyond that interval, and the {:.1} ms of any wake-up, messages came in \
                 bunches: use more publishers, or a lower rate, for even arrivals",
                ms(LATENESS_P99_NS_FREE)
            ),
        )),
        (false, false, _) => None,
    }
}

/// Less was sent than offered: by the generator's fault, or since the broker took no more.
pub(super) fn behind(observations: &Observations) -> Option<Finding> {
    let offered_per_s = observations.offered_per_s.filter(|offered_per_s| *offered_per_s > 0.0)?;
    let expected = offered_per_s * observations.measured_ns as f64 / 1e9;
    let by_chance = ARRIVALS_DEVIATIONS / expected.max(1.0).sqrt();
    let achieved = observations.sent_per_s / offered_per_s;
    if achieved >= ACHIEVED_FRACTION_MIN.min(1.0 - by_chance) {
        return None;
    }
    let told = format!(
        "{} of the {} offered were sent, {}, less than {}",
        rate(observations.sent_per_s),
        rate(offered_per_s),
        percent(achieved),
        percent(ACHIEVED_FRACTION_MIN)
    );
    Some(match may_be_at_fault(observations) {
        true => Finding::new(
            Standing::Invalid,
            format!(
                "{told}, and the generator may be why: offer a lower rate, use more publishers, or \
                 give the generator cores of its own"
            ),
        ),
        false => Finding::new(
            Standing::Unsustainable,
            format!(
                "{told}, while the generator had time to spare: the broker held its publishers \
                 back; offer a rate that it can take"
            ),
        ),
    })
}

pub(super) fn at_ceiling(observations: &Observations) -> Option<Finding> {
    let ceiling_per_s = observations.ceiling_per_s.filter(|ceiling_per_s| *ceiling_per_s > 0.0)?;
    let part = observations.delivered_per_s / ceiling_per_s;
    if observations.subject == Subject::Ceiling || part < CEILING_FRACTION_MAX {
        return None;
    }
    let told = format!(
        "{} delivered are {} of the {} that this driver delivers against nothing, and {} is the limit",
        rate(observations.delivered_per_s),
        percent(part),
        rate(ceiling_per_s),
        percent(CEILING_FRACTION_MAX)
    );
    Some(match observations.pacing {
        Pacing::Closed => Finding::new(
            Standing::Invalid,
            format!(
                "{told}: the generator measured itself; use larger batches or more publishers and \
                 subscribers, until the ceiling is well above the broker"
            ),
        ),
        Pacing::Open => Finding::new(
            Standing::Suspect,
            format!("{told}: the generator has no headroom at this rate; offer a lower one"),
        ),
    })
}

pub(super) fn clock_errors(observations: &Observations) -> Option<Finding> {
    let count = observations.clock_errors;
    let messages = observations.latency_samples + count;
    let part = count as f64 / messages.max(1) as f64;
    let (standing, limit) = match part {
        _ if count == 0 => return None,
        part if part >= CLOCK_ERRORS_INVALID => (Standing::Invalid, CLOCK_ERRORS_INVALID),
        _ => (Standing::Suspect, 0.0),
    };
    Some(Finding::new(
        standing,
        format!(
            "{count} of {messages} messages were received before they were sent, by their stamps, {} \
             and the limit is {}: run publishers and subscribers on one machine, or bring their clocks \
             together",
            percent(part),
            percent(limit)
        ),
    ))
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
