//! How many files, and so connections, this process and the brokers it starts may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is asked for where the process may raise its own bound: 100 000 connections and more, on
/// both sides.
const WANTED: u64 = 262_144;

/// Raises the limit as far as the process may: to its hard limit, and beyond where it has the
/// privilege (`CAP_SYS_RESOURCE`, see setrlimit(2)). Processes that are started later have it too.
/// Returns what it is then.
pub fn raise() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(u64::MAX);
    let wanted = hard.max(WANTED);
    for limit in [wanted, hard] {
        let new = Rlimit { current: Some(limit), maximum: Some(limit) };
        if now.current.is_some_and(|soft| soft < limit) && setrlimit(Resource::Nofile, new).is_ok()
        {
            return limit;
        }
    }
    now.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_as_high_as_the_process_may_have_it() {
        let raised = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current.unwrap_or(u64::MAX), raised);
        assert_eq!(limit.current, limit.maximum);
    }
}
