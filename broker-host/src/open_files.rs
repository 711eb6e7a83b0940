//! How many files the process may have open: every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the broker has open besides connections: standard streams, listeners,
/// pollers and wakers, and one for each refused connection while it is told so.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit on open files to the hard limit, and warns in the log
/// when even that is less than `connections_max` connections need.
///
/// Never fails the start: a broker with fewer connections still serves.
pub(crate) fn raise_limit_for(connections_max: usize) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    let files_max = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on open files to the hard limit");
            before.current
        }
    };
    if let Some(room) = connections_short_of(connections_max, files_max) {
        tracing::warn!(
            connections_max,
            open_files_max = files_max,
            "the system lets this process hold only about {room} connections, fewer than \
             connections_max; raise the hard limit on open files (ulimit -Hn, LimitNOFILE), \
             or lower connections_max"
        );
    }
}

/// How many connections fit in `files_max` open files, if that is fewer than
/// `connections_max`; no `files_max` means no limit.
fn connections_short_of(connections_max: usize, files_max: Option<u64>) -> Option<u64> {
    let room = files_max?.saturating_sub(OTHER_FILES);
    (room < connections_max as u64).then_some(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_below_the_connections_and_the_rest_falls_short() {
        assert_eq!(connections_short_of(1000, None), None);
        assert_eq!(connections_short_of(1000, Some(1000 + OTHER_FILES)), None);
        assert_eq!(connections_short_of(1000, Some(999 + OTHER_FILES)), Some(999));
        assert_eq!(connections_short_of(1000, Some(3)), Some(0));
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        raise_limit_for(1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
