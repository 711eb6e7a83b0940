use super::*;
use crate::random;
use proptest::prelude::*;
use rand_distr::{Distribution as _, LogNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

const SEEDS: u64 = 100;

fn search(terms: Terms, mut broker: impl FnMut(f64) -> Attempt) -> (Answer, u32) {
    let mut search = FindMax::new(terms).unwrap();
    loop {
        match search.next() {
            Step::Measure { rate_per_s, .. } => {
                assert!((terms.lowest_per_s..=terms.ceiling_per_s).contains(&rate_per_s));
                search.handle_result(broker(rate_per_s));
            }
            Step::Done(answer) => return (answer, search.attempts()),
        }
    }
}

fn valid(met: bool) -> Attempt {
    Attempt { met, standing: Standing::Valid }
}

fn invalid() -> Attempt {
    Attempt { met: true, standing: Standing::Invalid }
}

/// The 99th percentile of the time in an M/M/1 queue, which is exponential (Kleinrock, "Queueing
/// Systems" I, §3.2).
fn mm1_p99_s(rate_per_s: f64, served_per_s: f64) -> f64 {
    let is_stable = rate_per_s < served_per_s;
    if is_stable { 100f64.ln() / (served_per_s - rate_per_s) } else { f64::INFINITY }
}

/// The 99th percentile of the time in an M/D/1 queue by the exponential tail of its wait,
/// `P(W > t) ~ C e^(-θt)` with `θ = rate * (e^(θD) - 1)` (Asmussen, "Applied Probability and
/// Queues", XIII.5), which is close where the queue is busy.
fn md1_p99_s(rate_per_s: f64, served_per_s: f64) -> f64 {
    let service_s = served_per_s.recip();
    let load = rate_per_s * service_s;
    if load >= 1.0 {
        return f64::INFINITY;
    }
    // In services: θ is the positive root of load * (e^θ - 1) = θ.
    let theta = crossing(1e-9, 50.0, |theta| load * theta.exp_m1() > theta);
    let tail = (1.0 - load) / (load * theta.exp() - 1.0);
    service_s * (1.0 + (100.0 * tail).ln().max(0.0) / theta)
}

/// Where a condition begins to hold.
fn crossing(mut low: f64, mut high: f64, is_beyond: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        *(if is_beyond(middle) { &mut high } else { &mut low }) = middle;
    }
    low
}

/// A queue whose 99th percentile is measured with lognormal noise, and the bound on it.
#[derive(Clone, Copy)]
struct Queue {
    p99_s: fn(f64, f64) -> f64,
    served_per_s: f64,
    bound_s: f64,
    sigma: f64,
}

impl Queue {
    fn knee_per_s(&self) -> f64 {
        crossing(1.0, self.served_per_s, |rate| {
            (self.p99_s)(rate, self.served_per_s) > self.bound_s
        })
    }

    /// How far, relative to the knee, one standard deviation of the noise moves it.
    fn blur(&self) -> f64 {
        let knee_per_s = self.knee_per_s();
        let above_s = (self.p99_s)(knee_per_s * 1.0001, self.served_per_s);
        self.sigma * 0.0001 / (above_s / self.bound_s).ln()
    }

    fn broker(self, seed: u64) -> impl FnMut(f64) -> Attempt {
        let noise = LogNormal::new(0.0, self.sigma).unwrap();
        let mut random = random::stream(seed, 0);
        move |rate_per_s| {
            let p99_s = (self.p99_s)(rate_per_s, self.served_per_s) * noise.sample(&mut random);
            valid(p99_s < self.bound_s)
        }
    }
}

/// Within the tolerance below the knee, and what noise adds on either side, for 95 of 100 seeds.
#[track_caller]
fn check_queue(queue: Queue, tolerance: f64, attempts_expected: u32) {
    let terms = Terms { tolerance, ..Terms::new(1000.0, 1e7) };
    let (knee_per_s, blur) = (queue.knee_per_s(), 2.0 * queue.blur());
    let within = (1.0 - blur) / (1.0 + tolerance)..=1.0 + blur;
    let (mut right, mut attempts_max) = (0, 0);
    for seed in 0..SEEDS {
        let (answer, attempts) = search(terms, queue.broker(seed));
        let found = answer.rate_per_s().map_or(0.0, |rate_per_s| rate_per_s / knee_per_s);
        right += u32::from(within.contains(&found));
        attempts_max = attempts_max.max(attempts);
    }
    assert!(right >= 95, "{right} of {SEEDS} within {within:?} of {knee_per_s}");
    assert!(attempts_max <= attempts_expected, "{attempts_max} attempts");
}

#[test]
fn the_knee_of_a_queue_is_found() {
    let mm1 = Queue { p99_s: mm1_p99_s, served_per_s: 1e5, bound_s: 1e-3, sigma: 0.0 };
    assert!((mm1.knee_per_s() - 95_394.8).abs() < 0.1);
    check_queue(mm1, 0.02, 25);
    check_queue(mm1, 0.05, 25);
    check_queue(Queue { served_per_s: 1e6, bound_s: 1e-4, ..mm1 }, 0.05, 25);
    check_queue(Queue { served_per_s: 2e4, bound_s: 5e-4, ..mm1 }, 0.05, 25);
    let md1 = Queue { p99_s: md1_p99_s, ..mm1 };
    assert!((mm1.knee_per_s()..1e5).contains(&md1.knee_per_s()));
    check_queue(md1, 0.02, 25);
    check_queue(Queue { served_per_s: 2e4, bound_s: 5e-4, ..md1 }, 0.05, 25);
}

#[test]
fn the_knee_of_a_queue_is_found_through_noise() {
    let mm1 = Queue { p99_s: mm1_p99_s, served_per_s: 1e5, bound_s: 1e-3, sigma: 0.2 };
    for sigma in [0.05, 0.2, 0.5] {
        check_queue(Queue { sigma, ..mm1 }, 0.02, 70);
        check_queue(Queue { sigma, ..mm1 }, 0.05, 50);
        check_queue(Queue { sigma, p99_s: md1_p99_s, ..mm1 }, 0.05, 50);
        check_queue(Queue { sigma, served_per_s: 1e4, bound_s: 5e-3, ..mm1 }, 0.05, 60);
    }
    // Where the latency hardly depends on the rate, noise moves the knee far.
    check_queue(Queue { sigma: 0.05, served_per_s: 2e4, bound_s: 5e-4, ..mm1 }, 0.05, 60);
}

#[test]
fn attempts_that_fail_for_no_reason_do_not_hide_the_knee() {
    for (failing, votes) in [(0.02, 3), (0.05, 3), (0.1, 5)] {
        let terms = Terms { votes, ..Terms::new(1000.0, 1e6) };
        let mut right = 0;
        for seed in 0..SEEDS {
            let mut random = random::stream(seed, 0);
            let broker = |rate_per_s| valid(rate_per_s <= 41_300.0 && !random.random_bool(failing));
            let (answer, attempts) = search(terms, broker);
            let found_per_s = answer.rate_per_s().unwrap_or(0.0);
            right += u32::from((41_300.0 / 1.05..=41_300.0).contains(&found_per_s));
            assert!(attempts <= 70, "{attempts} attempts");
        }
        assert!(right >= 95, "{right} where {failing} fail");
    }
}

#[test]
fn a_broker_with_two_states_is_credited_with_what_it_mostly_keeps() {
    // It always keeps 60 000, and with falling probability up to 100 000.
    let mut right = 0;
    for seed in 0..SEEDS {
        let mut random = random::stream(seed, 1);
        let broker = |rate_per_s: f64| {
            let good = ((100_000.0 - rate_per_s) / 40_000.0).clamp(0.0, 1.0);
            valid(random.random_bool(good))
        };
        let (answer, attempts) = search(Terms::new(1000.0, 1e6), broker);
        let found_per_s = answer.rate_per_s().unwrap_or(0.0);
        // Where it is good nine times of ten, to where it is one time of four.
        right += u32::from((64_000.0 / 1.05..=90_000.0).contains(&found_per_s));
        assert!(attempts <= 80, "{attempts} attempts");
    }
    assert!(right >= 95, "{right}");
}

#[test]
fn a_broker_that_needs_a_while_after_an_overload_is_given_it() {
    for knee_per_s in [1200.0, 33_000.0, 79_999.0] {
        let mut is_exhausted = false;
        let broker = |rate_per_s| {
            let is_overload = rate_per_s > knee_per_s;
            let met = !is_overload && !is_exhausted;
            is_exhausted = is_overload;
            valid(met)
        };
        let (answer, _) = search(Terms::new(1000.0, 1e6), broker);
        let found_per_s = answer.rate_per_s().unwrap_or(0.0);
        assert!((knee_per_s / 1.05..=knee_per_s).contains(&found_per_s), "{answer}");
    }
}

#[test]
fn a_higher_rate_that_is_met_does_not_make_up_for_a_lower_one_that_is_missed() {
    let met =
        |rate_per_s: f64| rate_per_s <= 30_000.0 || (50_000.0..90_000.0).contains(&rate_per_s);
    let (answer, _) = search(Terms::new(1000.0, 1e6), |rate_per_s| valid(met(rate_per_s)));
    let found_per_s = answer.rate_per_s().unwrap_or(0.0);
    assert!((30_000.0 / 1.05..=30_000.0).contains(&found_per_s), "{answer}");
    // Wherever it begins, it ends between a rate that is met and one that is missed.
    for start_per_s in (100..2000).map(f64::from) {
        let (answer, _) = search(Terms::new(start_per_s, 1e6), |rate_per_s| valid(met(rate_per_s)));
        let [lower_per_s, upper_per_s] = answer.interval_per_s().unwrap();
        assert!(met(lower_per_s) && !met(upper_per_s), "{answer}");
    }
}

#[test]
fn a_knee_below_the_start_is_found() {
    let (answer, attempts) = search(Terms::new(50_000.0, 1e6), |rate| valid(rate <= 777.0));
    let found_per_s = answer.rate_per_s().unwrap_or(0.0);
    assert!((777.0 / 1.05..=777.0).contains(&found_per_s), "{answer}");
    assert!(attempts <= 30, "{attempts}");
}

#[test]
fn what_is_never_met_is_given_up_at_the_lowest_rate() {
    let (answer, attempts) = search(Terms::new(1000.0, 1e6), |_| valid(false));
    assert_eq!(answer, Answer::NeverMet { missed_per_s: 10.0 });
    assert_eq!(answer.to_string(), "never met, down to 10 per second");
    assert!(attempts <= 16, "{attempts}");
}

#[test]
fn what_never_fails_is_bounded_by_the_generator() {
    let (answer, attempts) = search(Terms::new(1000.0, 100_000.0), |_| valid(true));
    assert_eq!(answer, Answer::AtLeast { rate_per_s: 100_000.0 });
    assert_eq!(attempts, 8 + 3);
}

#[test]
fn where_the_generator_fails_the_broker_is_credited_with_the_rate_below() {
    // Beyond 50 000 the generator cannot keep its schedule.
    let broker = |rate_per_s| if rate_per_s > 50_000.0 { invalid() } else { valid(true) };
    let (answer, attempts) = search(Terms::new(1000.0, 1e6), broker);
    assert_eq!(answer, Answer::AtLeast { rate_per_s: 32_000.0 });
    assert_eq!(attempts, 6 + 3 + 3);
}

#[test]
fn invalid_attempts_are_repeated_and_end_the_search_with_the_reason() {
    let mut attempts = 0;
    let every_other = |rate_per_s: f64| {
        attempts += 1;
        if attempts % 2 == 0 { invalid() } else { valid(rate_per_s <= 41_300.0) }
    };
    let (answer, _) = search(Terms::new(1000.0, 1e6), every_other);
    let found_per_s = answer.rate_per_s().unwrap_or(0.0);
    assert!((41_300.0 / 1.05..=41_300.0).contains(&found_per_s), "{answer}");

    let (answer, attempts) = search(Terms::new(1000.0, 1e6), |_| invalid());
    let reason = Unsettled::Invalid { rate_per_s: 1000.0, attempts: 3 };
    assert_eq!(answer, Answer::Unsettled { met_per_s: None, missed_per_s: None, reason });
    assert_eq!(attempts, 3);

    // Between two rates that are known: what is known is said.
    let broker = |rate_per_s| match rate_per_s {
        1000.0 | 2000.0 => valid(rate_per_s < 1500.0),
        _ => invalid(),
    };
    let (answer, _) = search(Terms::new(1000.0, 1e6), broker);
    assert_eq!(
        answer.to_string(),
        "unsettled: all of 3 attempts in a row at 1414 per second were invalid; \
         1000 per second was met, unconfirmed; 2000 per second was missed"
    );
}

#[test]
fn what_the_broker_cannot_keep_up_with_is_missed_and_what_is_suspect_counts() {
    let broker = |rate_per_s| {
        let is_beyond = rate_per_s > 41_300.0;
        let standing = if is_beyond { Standing::Unsustainable } else { Standing::Suspect };
        Attempt { met: true, standing }
    };
    let (answer, _) = search(Terms::new(1000.0, 1e6), broker);
    let found_per_s = answer.rate_per_s().unwrap_or(0.0);
    assert!((41_300.0 / 1.05..=41_300.0).contains(&found_per_s), "{answer}");
}

#[test]
fn phases_come_in_order_and_the_answer_is_measured_again() {
    let mut phases = Vec::new();
    let mut search = FindMax::new(Terms::new(1000.0, 1e6)).unwrap();
    while let Step::Measure { rate_per_s, phase } = search.next() {
        phases.push(phase);
        search.handle_result(valid(rate_per_s <= 3000.0));
    }
    assert!(phases.is_sorted_by_key(|&phase| phase as u8));
    assert_eq!(phases.iter().filter(|&&phase| phase == Phase::Confirm).count(), 4);
    let done = search.next();
    search.handle_result(valid(false));
    assert_eq!(search.next(), done);
}

#[test]
fn terms_that_cannot_be_are_refused_by_name() {
    let usual = Terms::new(1000.0, 1e6);
    for (terms, message) in [
        (
            Terms { tolerance: 0.0, ..usual },
            "`tolerance` of a search: expected 0.005 to 0.5, found 0",
        ),
        (
            Terms { votes: 2, ..usual },
            "`votes` of a search: expected an odd number up to 99, found 2",
        ),
        (Terms { climb_factor: f64::NAN, ..usual }, "`climb_factor` of a search"),
        (
            Terms { ceiling_per_s: 10.0, ..usual },
            "`ceiling_per_s` of a search: expected above 0, and",
        ),
        (Terms { ceiling_per_s: f64::INFINITY, ..usual }, "`ceiling_per_s` of a search"),
        (Terms { lowest_per_s: 0.0, ..usual }, "`lowest_per_s` of a search"),
        (Terms { confirmations: 0, ..usual }, "`confirmations` of a search"),
        (Terms { invalid_max: 0, ..usual }, "`invalid_max` of a search"),
        (Terms { attempts_max: 0, ..usual }, "`attempts_max` of a search"),
    ] {
        let error = FindMax::new(terms).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

fn any_attempt(random: &mut Xoshiro256PlusPlus) -> Attempt {
    let standing = match random.random_range(0..10) {
        0..6 => Standing::Valid,
        6 => Standing::Suspect,
        7 => Standing::Unsustainable,
        _ => Standing::Invalid,
    };
    Attempt { met: random.random_bool(0.6), standing }
}

proptest! {
    #[test]
    fn every_search_ends_with_an_answer_that_makes_sense(
        seed: u64,
        start_per_s in 0.01f64..1e6,
        above in 1.0f64..1e4,
        below in 1.0f64..1e4,
        climb_factor in 1.1f64..10.0,
        tolerance in 0.005f64..0.5,
        (votes, confirmations) in (0..4u32, 0..4u32),
    ) {
        let terms = Terms {
            lowest_per_s: start_per_s / below,
            climb_factor,
            tolerance,
            votes: 2 * votes + 1,
            confirmations: 2 * confirmations + 1,
            ..Terms::new(start_per_s, start_per_s * above)
        };
        let mut random = random::stream(seed, 0);
        let (answer, attempts) = search(terms, |_| any_attempt(&mut random));
        prop_assert!(attempts <= terms.attempts_max);
        if let Some([met_per_s, missed_per_s]) = answer.interval_per_s() {
            prop_assert!(met_per_s < missed_per_s);
            // Rates have four digits, which may part those that tolerance would join.
            prop_assert!(missed_per_s / met_per_s <= 1.0 + tolerance + 0.002, "{}", answer);
        }
    }

    #[test]
    fn a_sharp_knee_is_found_wherever_it_is(
        knee_per_s in 20.0f64..9e5, start_per_s in 1000.0f64..1e5,
    ) {
        let terms = Terms { lowest_per_s: 10.0, ..Terms::new(start_per_s, 1e6) };
        let (answer, attempts) = search(terms, |rate_per_s| valid(rate_per_s <= knee_per_s));
        let [met_per_s, missed_per_s] = answer.interval_per_s().unwrap();
        prop_assert!(met_per_s <= knee_per_s && knee_per_s < missed_per_s);
        prop_assert!(missed_per_s / met_per_s <= 1.05);
        prop_assert!(attempts <= 45, "{} attempts", attempts);
    }
}
