//! What holds at all times, whatever just happened; and what holds when all is at rest.

use crate::link::Link;
use crate::model::Model;
use broker_core::{Broker, Cause, Now};

/// Holds the broker and all connections against the model.
pub(crate) fn check<'a>(
    broker: &Broker,
    model: &Model,
    links: impl Iterator<Item = &'a Link>,
    now: Now,
) {
    model.check_info(&broker.info(now), now);
    for link in links.filter(|link| !link.session.is_closing()) {
        check_wakes(link, model);
        check_hold(link, model);
    }
}

/// Who has something to read and credit for it is about to read it, or to be told.
fn check_wakes(link: &Link, model: &Model) {
    if link.owes_poll {
        return;
    }
    for number in model.undelivered(link.key) {
        let wake = Cause::Readable { subscription: number };
        assert!(
            link.wakes.iter().any(|(cause, _)| *cause == wake),
            "{:?} has messages to read for {number}, and nothing tells it so",
            link.key
        );
    }
}

/// Who is held asks again in time, and does not wait for more subscribers than there were.
fn check_hold(link: &Link, model: &Model) {
    if !link.is_held() {
        return;
    }
    let sent = link.sent.front().expect("what is held was sent");
    assert!(link.session.poll_timeout().is_some(), "{:?} is held without a deadline", link.key);
    assert!(
        model.has_cause_to_hold(sent) || link.wakes.iter().any(|(cause, _)| *cause == Cause::Room),
        "{:?} is held, there is nobody to wait for, and nothing tells it so",
        link.key
    );
    if let Some(patience) = &link.patience {
        let expiries_max = model.expiries_max(patience);
        assert!(
            patience.expiries <= expiries_max,
            "{:?} is held, its time has passed in vain: {patience:?}, at most {expiries_max} times",
            link.key
        );
    }
}

/// Nobody waits for anything.
pub(crate) fn check_rest<'a>(links: impl Iterator<Item = &'a Link>) {
    for link in links {
        let key = link.key;
        assert!(!link.is_held(), "{key:?} is held with {:?}", link.sent.front());
        assert!(link.output.is_empty() && link.wakes.is_empty(), "{key:?} is at rest");
        assert!(!link.has_kept_input() && link.sent.is_empty(), "{key:?} asked {:?}", link.sent);
        assert!(!link.owes_poll, "{key:?} says that there is more, and gives none");
    }
}
