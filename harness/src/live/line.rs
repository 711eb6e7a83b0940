//! The state of a run in a line of text.

use super::state::{CellEnd, CellStanding, State};

/// What stands where nothing is known yet.
const UNKNOWN: &str = "–";

/// One line that is renewed: where the run is, how fast, and how long it goes on.
pub(super) fn renewed(state: &State, now_ns: u64) -> String {
    let place = format!("[{}/{}]", state.step(), state.plan.cells);
    let left = left(state.left_ms(now_ns));
    match (state.current(), state.phase) {
        (Some(current), Some(phase)) => {
            let name = format!("{}: {}", current.cell.broker, current.cell.label);
            format!("{place} {left}  {name} | {phase} | {}", figures(state))
        }
        _ => format!("{place} {left}"),
    }
}

/// Rates, the 99th percentile so far and errors.
pub(super) fn figures(state: &State) -> String {
    let counts = state.snapshot.counts;
    let mut text = format!(
        "sent {}/s, delivered {}/s, p99 {}",
        number(state.rates.sent_per_s),
        number(state.rates.delivered_per_s),
        time(state.snapshot.p99_ns)
    );
    if counts.errors > 0 {
        text += &format!(", {} errors", counts.errors);
    }
    text
}

/// The line of a measurement that begins, where lines are not renewed.
pub(super) fn begun(state: &State) -> String {
    let place = format!("[{}/{}]", state.step(), state.plan.cells);
    match state.current() {
        Some(current) => format!("{place} {}: {}", current.cell.broker, current.cell.label),
        None => place,
    }
}

/// The line of a measurement that goes on, likewise.
pub(super) fn going_on(state: &State, now_ns: u64) -> Option<String> {
    let phase = state.phase?;
    Some(format!("    {phase}: {}; {}", figures(state), left(state.left_ms(now_ns))))
}

/// The line of a measurement that ended; `None`: nothing is worth one.
pub(super) fn ended(end: &CellEnd) -> Option<String> {
    match end {
        CellEnd { standing: CellStanding::Valid, .. } => None,
        CellEnd { standing, reason } if reason.is_empty() => Some(format!("    {standing}")),
        CellEnd { standing, reason } => Some(format!("    {standing}: {reason}")),
    }
}

pub(super) fn left(left_ms: u64) -> String {
    let seconds = left_ms.div_ceil(1000);
    match seconds {
        0..=119 => format!("{seconds} s left"),
        _ => format!("{}:{:02} min left", seconds / 60, seconds % 60),
    }
}

pub(super) fn number(number: u64) -> String {
    match number {
        0..=9_999 => number.to_string(),
        10_000..=999_999 => format!("{:.1}k", number as f64 / 1e3),
        _ => format!("{:.2}M", number as f64 / 1e6),
    }
}

pub(super) fn time(time_ns: Option<u64>) -> String {
    match time_ns {
        None => UNKNOWN.to_owned(),
        Some(ns @ 0..=999) => format!("{ns} ns"),
        Some(ns @ 1_000..=999_999) => format!("{:.1} µs", ns as f64 / 1e3),
        Some(ns @ 1_000_000..=999_999_999) => format!("{:.2} ms", ns as f64 / 1e6),
        Some(ns) => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{S, half_through};
    use super::*;

    #[test]
    fn a_line_says_where_the_run_is_how_fast_and_how_long_yet() {
        let state = half_through();
        assert_eq!(
            renewed(&state, 15 * S),
            "[2/4] 25 s left  tandem-mio: stream 1→50, 100 B, 10000 msgs/s | measured | \
             sent 10.0k/s, delivered 500.0k/s, p99 2.00 ms, 1 errors"
        );
        assert_eq!(begun(&state), "[2/4] tandem-mio: stream 1→50, 100 B, 10000 msgs/s");
        let end = state.cells[0].end.as_ref().unwrap();
        assert_eq!(ended(end).unwrap(), "    suspect: the generator was the bottleneck");
        assert_eq!(left(125_000), "2:05 min left");
    }
}
