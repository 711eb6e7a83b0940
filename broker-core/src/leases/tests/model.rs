//! Random calls, each compared with a model that keeps one state for each message.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// What the model knows of an unsettled message. All others before `next` are settled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Message {
    InFlight { holder: Holder, deadline: Now, deliveries: u32 },
    Returned { due: Now, deliveries: u32 },
    Due { deliveries: u32 },
    Dead { deliveries: u32 },
}

impl Message {
    fn deliveries(self) -> u32 {
        match self {
            Self::InFlight { deliveries, .. }
            | Self::Returned { deliveries, .. }
            | Self::Due { deliveries }
            | Self::Dead { deliveries } => deliveries,
        }
    }

    fn come_back(self, again: Self) -> Self {
        let deliveries = self.deliveries();
        if deliveries < REDELIVERY.deliveries_max { again } else { Self::Dead { deliveries } }
    }
}

#[derive(Debug, Default)]
struct Model {
    messages: HashMap<u64, Message>,
    next: u64,
}

impl Model {
    fn floor(&self) -> u64 {
        self.messages.keys().copied().min().unwrap_or(self.next)
    }

    /// Replaces each message that `change` has something for. Gives how many.
    fn change(&mut self, change: impl Fn(u64, Message) -> Option<Message>) -> GivenBack {
        let mut given_back = GivenBack::default();
        for (offset, message) in &mut self.messages {
            let Some(changed) = change(*offset, *message) else { continue };
            *message = changed;
            match changed {
                Message::Dead { .. } => given_back.dead += 1,
                _ => given_back.again += 1,
            }
        }
        given_back
    }

    fn ripen(&mut self, now: Now) {
        self.change(|_, message| match message {
            Message::Returned { due, deliveries } if due <= now => {
                Some(Message::Due { deliveries })
            }
            _ => None,
        });
    }

    /// Takes out the messages that `which` names, and gives them.
    fn take(&mut self, which: impl Fn(u64) -> bool) -> Vec<Message> {
        self.messages.extract_if(|offset, _| which(*offset)).map(|(_, message)| message).collect()
    }

    fn next_due(&self) -> Option<Now> {
        let moments = self.messages.values().filter_map(|message| match message {
            Message::InFlight { deadline, .. } => Some(*deadline),
            Message::Returned { due, .. } => Some(*due),
            Message::Due { .. } | Message::Dead { .. } => None,
        });
        moments.min()
    }

    /// The oldest run of messages in the state that `deliveries` sees.
    fn oldest(&self, deliveries: impl Fn(Message) -> Option<u32>) -> Option<Run> {
        let seen = |offset| self.messages.get(&offset).copied().and_then(&deliveries);
        let first = self.messages.keys().copied().filter(|first| seen(*first).is_some()).min()?;
        let end = (first..).find(|offset| seen(*offset) != seen(first)).expect("it is finite");
        Some(Run { offsets: Offsets::new(first, end), deliveries: seen(first)? })
    }

    fn oldest_due(&self) -> Option<Run> {
        self.oldest(|message| match message {
            Message::Due { deliveries } => Some(deliveries),
            _ => None,
        })
    }

    fn oldest_dead(&self) -> Option<Run> {
        self.oldest(|message| match message {
            Message::Dead { deliveries } => Some(deliveries),
            _ => None,
        })
    }
}

/// A call. Offsets are counted from a little before the floor.
#[derive(Clone, Debug)]
enum Step {
    LeaseNew {
        count: u64,
        holder: Holder,
        timeout_ms: u64,
    },
    LeaseAgain {
        count_max: u64,
        holder: Holder,
        timeout_ms: u64,
    },
    Settle {
        first: u64,
        count: u64,
    },
    Nack {
        first: u64,
        count: u64,
        delay: Delay,
    },
    Release {
        holder: Holder,
    },
    Pass {
        ms: u64,
    },
    Expire,
    BuryOne,
    DropBefore {
        offset: u64,
    },
    Seek {
        offset: u64,
    },
    /// What is kept is restored in an order turned by so much.
    Restart {
        turn: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let holder = || prop_oneof![Just(A), Just(B), Just(Holder::Attachment(AttachmentId(0)))];
    let timeout_ms = || prop_oneof![Just(50u64), Just(300)];
    let delay = prop_oneof![
        Just(Delay::Backoff),
        prop_oneof![Just(0u32), Just(70), Just(100)].prop_map(Delay::Ms),
    ];
    prop_oneof![
        6 => (0u64..12, holder(), timeout_ms()).prop_map(|(count, holder, timeout_ms)| {
            Step::LeaseNew { count, holder, timeout_ms }
        }),
        6 => (1u64..8, holder(), timeout_ms()).prop_map(|(count_max, holder, timeout_ms)| {
            Step::LeaseAgain { count_max, holder, timeout_ms }
        }),
        6 => (0u64..40, 0u64..10).prop_map(|(first, count)| Step::Settle { first, count }),
        5 => (0u64..40, 0u64..10, delay)
            .prop_map(|(first, count, delay)| Step::Nack { first, count, delay }),
        2 => holder().prop_map(|holder| Step::Release { holder }),
        4 => prop_oneof![Just(10u64), Just(60), Just(200)].prop_map(|ms| Step::Pass { ms }),
        3 => Just(Step::Expire),
        2 => Just(Step::BuryOne),
        1 => (0u64..30).prop_map(|offset| Step::DropBefore { offset }),
        1 => (0u64..30).prop_map(|offset| Step::Seek { offset }),
        1 => (0usize..20).prop_map(|turn| Step::Restart { turn }),
    ]
}

/// The leases beside their model.
#[derive(Debug)]
struct Pair {
    leases: Leases,
    model: Model,
    now: Now,
}

impl Pair {
    fn take(&mut self, step: &Step) {
        let start = self.model.floor().saturating_sub(4);
        match *step {
            Step::LeaseNew { count, holder, timeout_ms } => {
                let deadline = self.now.plus_ms(timeout_ms);
                let offsets = self.leases.lease_new(count, holder, deadline);
                assert_eq!(offsets, counted(self.model.next, count));
                let message = Message::InFlight { holder, deadline, deliveries: 1 };
                let new = (offsets.first..offsets.end).map(|offset| (offset, message));
                self.model.messages.extend(new);
                self.model.next = offsets.end;
            }
            Step::LeaseAgain { count_max, holder, timeout_ms } => {
                self.lease_again(count_max, holder, self.now.plus_ms(timeout_ms));
            }
            Step::Settle { first, count } => self.settle(counted(start + first, count)),
            Step::Nack { first, count, delay } => self.nack(counted(start + first, count), delay),
            Step::Release { holder } => {
                let given_back = self.leases.release(holder, REDELIVERY.deliveries_max);
                let expected = self.model.change(|_, message| match message {
                    Message::InFlight { holder: whose, deliveries, .. } if whose == holder => {
                        Some(message.come_back(Message::Due { deliveries }))
                    }
                    _ => None,
                });
                assert_eq!(given_back, expected);
            }
            Step::Pass { ms } => self.now = self.now.plus_ms(ms),
            Step::Expire => self.expire(),
            Step::BuryOne => {
                let dead = self.leases.poll_dead();
                if let Some(Run { offsets, .. }) = dead {
                    self.settle(offsets);
                }
            }
            Step::DropBefore { offset } => self.drop_before(start + offset),
            Step::Seek { offset } => {
                self.leases.seek(start + offset);
                self.model = Model { next: start + offset, ..Model::default() };
            }
            Step::Restart { turn } => self.restart(turn),
        }
    }

    fn lease_again(&mut self, count_max: u64, holder: Holder, deadline: Now) {
        self.model.ripen(self.now);
        let due = self.leases.due(self.now);
        assert_eq!(due, self.model.oldest_due());
        let Some(Run { offsets, deliveries }) = due else { return };
        let offsets = offsets.before(offsets.first + count_max);
        assert_eq!(self.leases.lease_again(offsets, holder, deadline), deliveries + 1);
        let message = Message::InFlight { holder, deadline, deliveries: deliveries + 1 };
        self.model
            .change(|offset, _| (offsets.first..offsets.end).contains(&offset).then_some(message));
    }

    fn settle(&mut self, offsets: Offsets) {
        let settled = self.leases.settle(offsets);
        let range = offsets.first..offsets.end;
        let never_leased = range.clone().filter(|offset| *offset >= self.model.next).count() as u64;
        let expected = self.model.take(|offset| range.contains(&offset)).len() as u64;
        let already = offsets.count() - never_leased - expected;
        assert_eq!(settled, Settled { settled: expected, already, never_leased });
    }

    fn nack(&mut self, offsets: Offsets, delay: Delay) {
        let given_back = self.leases.nack(offsets, self.now, delay, REDELIVERY);
        let expected = self.model.change(|offset, message| match message {
            Message::InFlight { deliveries, .. }
                if (offsets.first..offsets.end).contains(&offset) =>
            {
                let due = self.now.plus_ms(delay.ms(deliveries, REDELIVERY.backoff));
                Some(message.come_back(Message::Returned { due, deliveries }))
            }
            _ => None,
        });
        assert_eq!(given_back, expected);
    }

    fn expire(&mut self) {
        let given_back = self.leases.expire(self.now, REDELIVERY);
        let expected = self.model.change(|_, message| match message {
            Message::InFlight { deadline, deliveries, .. } if deadline <= self.now => {
                let backoff_ms = u64::from(REDELIVERY.backoff.delay_ms(deliveries));
                let due = self.now.plus_ms(backoff_ms);
                Some(message.come_back(Message::Returned { due, deliveries }))
            }
            _ => None,
        });
        assert_eq!(given_back, expected);
        self.model.ripen(self.now);
        assert!(self.leases.next_due().is_none_or(|moment| moment > self.now));
    }

    fn drop_before(&mut self, offset: u64) {
        let overtaken = self.leases.drop_before(offset);
        let gone = self.model.take(|gone| gone < offset);
        let is_in_flight = |message: &&Message| matches!(message, Message::InFlight { .. });
        let in_flight = gone.iter().filter(is_in_flight).count() as u64;
        let waiting = gone.len() as u64 - in_flight;
        let never_leased = (self.model.next..offset).count() as u64;
        assert_eq!(overtaken, Overtaken { in_flight, waiting, never_leased });
        self.model.next = self.model.next.max(offset);
    }

    /// Restores the leases from what is kept of them; in any order, since it does not matter.
    fn restart(&mut self, turn: usize) {
        let deliveries_max = REDELIVERY.deliveries_max;
        let mut kept: Vec<(Offsets, Option<u32>)> =
            self.leases.settled().map(|offsets| (offsets, None)).collect();
        let delivered = self.leases.delivered();
        kept.extend(delivered.map(|run| (run.offsets, Some(run.deliveries))));
        let turn = turn % kept.len().max(1);
        kept.rotate_left(turn);
        let mut restored = Leases::new(self.leases.floor());
        for (offsets, deliveries) in kept {
            match deliveries {
                None => restored.restore_settled(offsets, deliveries_max),
                Some(deliveries) => {
                    restored.restore_delivered(Run { offsets, deliveries }, deliveries_max);
                }
            }
        }
        self.leases = restored;
        self.model.change(|_, message| {
            Some(message.come_back(Message::Due { deliveries: message.deliveries() }))
        });
    }

    fn check(&self) {
        let Self { leases, model, .. } = self;
        leases.spans.assert_tidy();
        assert_eq!((leases.floor(), leases.next()), (model.floor(), model.next));
        let unsettled = model.messages.len() as u64;
        assert_eq!(leases.unsettled(), unsettled);
        assert_eq!(leases.room(20), 20u64.saturating_sub(unsettled));
        assert!(leases.spans.iter().count() as u64 <= unsettled);
        let in_flight = |message: &&Message| matches!(message, Message::InFlight { .. });
        assert_eq!(leases.in_flight(), model.messages.values().filter(in_flight).count() as u64);
        assert_eq!(leases.next_due(), model.next_due());
        assert_eq!(leases.poll_dead(), model.oldest_dead());
        self.check_kept();
    }

    /// What is kept over a restart covers all from the floor to `next`, each message once.
    fn check_kept(&self) {
        let Self { leases, model, .. } = self;
        let mut kept: HashMap<u64, Option<u32>> = HashMap::new();
        for Offsets { first, end } in leases.settled() {
            (first..end).for_each(|offset| assert_eq!(kept.insert(offset, None), None));
        }
        for Run { offsets: Offsets { first, end }, deliveries } in leases.delivered() {
            (first..end).for_each(|offset| assert_eq!(kept.insert(offset, Some(deliveries)), None));
        }
        let expected = (model.floor()..model.next)
            .map(|offset| (offset, model.messages.get(&offset).map(|message| message.deliveries())))
            .collect();
        assert_eq!(kept, expected);
    }
}

proptest! {
    #[test]
    fn the_leases_agree_with_a_state_for_each_message(
        steps in proptest::collection::vec(step(), 0..150),
        floor in 0u64..20,
    ) {
        let model = Model { next: floor, ..Model::default() };
        let mut pair = Pair { leases: Leases::new(floor), model, now: Now::default() };
        for step in steps {
            let floor = pair.leases.floor();
            pair.take(&step);
            pair.check();
            let sought = matches!(step, Step::Seek { .. });
            prop_assert!(sought || pair.leases.floor() >= floor, "the floor fell from {}", floor);
        }
    }
}
