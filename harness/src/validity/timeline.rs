//! What the intervals of a measured phase tell of its course.

use super::BacklogPoint;
use measure::TimelinePoint;

/// Sent less delivered at the end of each interval, every message being due to `subscribers`.
///
/// Deliveries of messages that were sent before the phase began count too; where they are more than
/// was sent, the backlog is 0.
#[must_use]
pub fn backlog_of(timeline: &[TimelinePoint], subscribers: u32) -> Vec<BacklogPoint> {
    let (mut sent, mut delivered) = (0u64, 0u64);
    timeline
        .iter()
        .map(|point| {
            sent = sent.saturating_add(point.sent.saturating_mul(u64::from(subscribers)));
            delivered = delivered.saturating_add(point.delivered);
            BacklogPoint {
                t_ns: point.t_ns.saturating_add(point.interval_ns),
                outstanding: sent.saturating_sub(delivered),
            }
        })
        .collect()
}

/// Deliveries per second in the first and in the second half; `None` of fewer than two intervals.
#[must_use]
pub fn halves_per_s(timeline: &[TimelinePoint]) -> Option<[f64; 2]> {
    let (first, second) = timeline.split_at(timeline.len() / 2);
    let per_s = |points: &[TimelinePoint]| {
        let delivered = points.iter().map(|point| point.delivered).sum();
        measure::rate_per_s(delivered, points.iter().map(|point| point.interval_ns).sum())
    };
    (!first.is_empty()).then(|| [per_s(first), per_s(second)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(sent_and_delivered: &[(u64, u64)]) -> Vec<TimelinePoint> {
        let interval_ns = 100_000_000;
        let starts = (0u64..).map(|i| i * interval_ns);
        starts
            .zip(sent_and_delivered)
            .map(|(t_ns, &(sent, delivered))| TimelinePoint {
                t_ns,
                interval_ns,
                sent,
                delivered,
                ..TimelinePoint::default()
            })
            .collect()
    }

    #[test]
    fn a_backlog_is_what_all_subscribers_still_wait_for() {
        let points = backlog_of(&timeline(&[(10, 15), (10, 20), (0, 10)]), 2);
        let outstanding: Vec<u64> = points.iter().map(|point| point.outstanding).collect();
        assert_eq!(outstanding, [5, 5, 0]);
        assert_eq!(points[1].t_ns, 200_000_000);
        assert_eq!(backlog_of(&timeline(&[(1, 5)]), 1)[0].outstanding, 0);
    }

    #[test]
    fn halves_are_rates() {
        let halves = halves_per_s(&timeline(&[(0, 1), (0, 3), (0, 8), (0, 8)]));
        assert_eq!(halves, Some([20.0, 80.0]));
        assert_eq!(halves_per_s(&timeline(&[(0, 1)])), None);
    }
}
