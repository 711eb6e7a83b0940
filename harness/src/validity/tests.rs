use super::*;
use proptest::prelude::*;

fn thread(busy: f64, waiting: f64) -> ThreadUse {
    ThreadUse { name: "publisher 0".to_owned(), cpu_ns: 0, busy, waiting: Some(waiting) }
}

/// A closed measurement that nothing speaks against.
fn closed() -> Observations {
    Observations {
        measured_ns: 10_000_000_000,
        threads: vec![thread(0.4, 0.1)],
        sent_per_s: 50_000.0,
        delivered_per_s: 50_000.0,
        ceiling_per_s: Some(200_000.0),
        requests: 500_000,
        latency_samples: 500_000,
        halves_per_s: Some([50_000.0, 51_000.0]),
        steal: Some(0.002),
        others: Some(0.03),
        clock_mhz: Some([2_400.0, 2_450.0]),
        ..Observations::default()
    }
}

/// The same with a schedule.
fn open() -> Observations {
    let backlog =
        (0..100).map(|i| BacklogPoint { t_ns: i * 100_000_000, outstanding: 40 + i * 7 % 13 });
    Observations {
        pacing: Pacing::Open,
        offered_per_s: Some(50_000.0),
        lateness: Some(Lateness { p99_ns: 60_000, mean_interval_ns: 80_000 }),
        backlog: Some(backlog.collect()),
        ..closed()
    }
}

fn growing() -> Option<Vec<BacklogPoint>> {
    let points = (0..100).map(|i| BacklogPoint { t_ns: i * 100_000_000, outstanding: i * 500 });
    Some(points.collect())
}

/// The verdict has this standing, for one reason with these words and a thing to do.
fn check(observations: &Observations, standing: Standing, words: &[&str]) {
    let verdict = judge(observations);
    assert_eq!(verdict.standing, standing, "{:?}", verdict.reasons);
    assert_eq!(verdict.reasons.len(), usize::from(standing != Standing::Valid), "{verdict:?}");
    for reason in &verdict.reasons {
        assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
        assert!(reason.contains([':', ';']), "nothing to do: {reason}");
    }
}

#[test]
fn a_good_measurement_is_valid_and_needs_no_reason() {
    check(&closed(), Standing::Valid, &[]);
    check(&open(), Standing::Valid, &[]);
}

#[test]
fn a_load_with_a_rate_of_its_own_is_open() {
    assert_eq!(Pacing::from(&StreamLoad::Saturating), Pacing::Closed);
    assert_eq!(Pacing::from(&StreamLoad::Closed { in_flight: 5 }), Pacing::Closed);
    assert_eq!(Pacing::from(&StreamLoad::Ramp { from_per_s: 1.0, to_per_s: 2.0 }), Pacing::Open);
}

#[test]
fn a_busy_generator_matters_where_there_is_a_schedule() {
    let busy = |threads, rest: Observations| Observations { threads, ..rest };
    let unknown = || Observations { lateness: None, ..open() };
    check(
        &busy(vec![thread(0.2, 0.0), thread(0.95, 0.02)], unknown()),
        Standing::Invalid,
        &["publisher 0", "97.0 %", "90.0 %"],
    );
    // Without a core it is as late as without time.
    check(&busy(vec![thread(0.3, 0.65)], unknown()), Standing::Invalid, &["95.0 %"]);
    let late = Lateness { p99_ns: 1_200_000, mean_interval_ns: 2_000_000 };
    let late = Observations { lateness: Some(late), ..open() };
    assert_eq!(judge(&busy(vec![thread(0.95, 0.0)], late)).standing, Standing::Invalid);
    // As busy as that, and yet in time.
    check(&busy(vec![thread(0.95, 0.0)], open()), Standing::Suspect, &["95.0 %", "75.0 %"]);
    check(&busy(vec![thread(0.8, 0.0)], open()), Standing::Suspect, &["80.0 %", "75.0 %"]);
    check(&busy(vec![thread(1.0, 0.0)], closed()), Standing::Valid, &[]);
}

#[test]
fn a_busy_generator_with_cores_of_its_own_may_be_the_limit_unless_its_ceiling_is_known() {
    let apart = Observations { threads: vec![thread(1.0, 0.0)], cores: Cores::Apart, ..closed() };
    check(&apart, Standing::Valid, &[]);
    let unknown = Observations { ceiling_per_s: None, ..apart };
    check(&unknown, Standing::Suspect, &["100.0 %", "ceiling is not known"]);
    check(&Observations { cores: Cores::Shared, ..unknown.clone() }, Standing::Valid, &[]);
    check(&Observations { subject: Subject::Ceiling, ..unknown }, Standing::Valid, &[]);
}

#[test]
fn lateness_is_held_against_a_millisecond_and_the_interval() {
    let late = |p99_ns, mean_interval_ns, threads| Observations {
        lateness: Some(Lateness { p99_ns, mean_interval_ns }),
        threads,
        ..open()
    };
    let idle = || vec![thread(0.4, 0.1)];
    check(&late(90_000, 1_000, idle()), Standing::Valid, &[]);
    check(&late(200_000, 1_000, idle()), Standing::Suspect, &["0.200 ms", "0.001 ms", "bunches"]);
    check(&late(900_000, 10_000_000, idle()), Standing::Valid, &[]);
    check(&late(5_000_000, 10_000_000, idle()), Standing::Suspect, &["5.000 ms", "1 ms"]);
    check(
        &late(5_000_000, 80_000, idle()),
        Standing::Suspect,
        &["5.000 ms", "held its publishers"],
    );
    // Nobody knows what the generator did.
    check(&late(5_000_000, 80_000, vec![]), Standing::Invalid, &["5.000 ms", "1 ms"]);
}

#[test]
fn what_was_not_sent_is_the_generators_fault_if_it_had_no_time_and_else_the_brokers() {
    let behind = Observations { sent_per_s: 45_000.0, ..open() };
    let words = ["45000/s", "50000/s", "90.0 %", "99.0 %"];
    check(&behind, Standing::Unsustainable, &words);
    check(&Observations { threads: vec![], ..behind.clone() }, Standing::Invalid, &words);
    let busy = judge(&Observations { threads: vec![thread(1.0, 0.0)], ..behind.clone() });
    assert_eq!((busy.standing, busy.reasons.len()), (Standing::Invalid, 2), "{busy:?}");
    let stolen = judge(&Observations { steal: Some(0.2), ..behind });
    assert_eq!((stolen.standing, stolen.reasons.len()), (Standing::Invalid, 2), "{stolen:?}");
}

#[test]
fn a_few_random_arrivals_may_be_fewer_than_offered() {
    let few = |sent_per_s| Observations {
        offered_per_s: Some(100.0),
        sent_per_s,
        lateness: None,
        ..open()
    };
    // 1000 expected, 3 times 32 fewer by chance.
    check(&few(91.0), Standing::Valid, &[]);
    check(&few(89.0), Standing::Unsustainable, &["89/s"]);
}

#[test]
fn whoever_reaches_the_ceiling_measured_the_generator() {
    let at = |delivered_per_s, rest: Observations| Observations {
        ceiling_per_s: Some(100_000.0),
        delivered_per_s,
        ..rest
    };
    check(&at(89_000.0, closed()), Standing::Valid, &[]);
    let words = ["90.0 %", "90000/s", "100000/s", "measured itself"];
    check(&at(90_000.0, closed()), Standing::Invalid, &words);
    check(&at(95_000.0, open()), Standing::Suspect, &["95.0 %", "headroom"]);
    let ceiling = Observations { subject: Subject::Ceiling, ..closed() };
    check(&at(100_000.0, ceiling), Standing::Valid, &[]);
}

#[test]
fn faults_errors_and_restarts_are_the_brokers() {
    let lost = Observations { faults: Faults { lost: 3, ..Faults::default() }, ..closed() };
    check(&lost, Standing::Invalid, &["lost (3)"]);
    let allowed = Observations { loss: Loss::Allowed, ..lost };
    check(&allowed, Standing::Suspect, &["3 of 500003 messages", "less than 0.1 %"]);
    let corrupted = Faults { corrupted: 2, ..Faults::default() };
    let corrupted = Observations { faults: corrupted, loss: Loss::Allowed, ..closed() };
    check(&corrupted, Standing::Invalid, &["damaged (2)"]);
    let errors = |errors| Observations { errors, ..closed() };
    check(&errors(1), Standing::Suspect, &["1 of 500000 requests"]);
    check(&errors(5_000), Standing::Invalid, &["5000 of 500000 requests", "1.0 %"]);
    let restarted = Observations { broker_restarts: 1, ..closed() };
    check(&restarted, Standing::Invalid, &["1 times", "limit is 0"]);
}

#[test]
fn a_backlog_that_only_grows_stands_in_place_of_percentiles() {
    let grows = |rest: Observations| Observations { backlog: growing(), ..rest };
    check(&grows(open()), Standing::Unsustainable, &["5000/s", "49500 messages", "lower rate"]);
    check(&grows(closed()), Standing::Suspect, &["5000/s", "takes in more"]);
    let skipped = Faults { lost: 60_000, ..Faults::default() };
    let skipping = Observations { faults: skipped, loss: Loss::Allowed, ..grows(open()) };
    check(&skipping, Standing::Suspect, &["60000 of 560000 messages"]);
    let short = Observations { backlog: Some(growing().unwrap()[..5].to_vec()), ..open() };
    check(&short, Standing::Suspect, &["5 times", "10 are needed"]);
}

#[test]
fn few_latencies_and_clocks_that_disagree_are_told() {
    let samples = |latency_samples| Observations { latency_samples, ..closed() };
    check(&samples(1_000), Standing::Valid, &[]);
    check(&samples(999), Standing::Suspect, &["999 latencies", "1000"]);
    check(&samples(0), Standing::Invalid, &["no latency"]);
    let clock_errors = |clock_errors| Observations { clock_errors, ..closed() };
    check(&clock_errors(1), Standing::Suspect, &["1 of 500001 messages", "clocks"]);
    check(&clock_errors(5_000), Standing::Invalid, &["5000 of 505000 messages", "0.1 %"]);
}

#[test]
fn halves_that_differ_say_in_which_way() {
    let halves = |first, second| Observations { halves_per_s: Some([first, second]), ..closed() };
    check(&halves(100.0, 109.0), Standing::Valid, &[]);
    check(&halves(100.0, 120.0), Standing::Suspect, &["18.2 %", "10.0 %", "warmup_ms"]);
    check(&halves(120.0, 100.0), Standing::Suspect, &["slowed down"]);
    check(&Observations { halves_per_s: Some([1.0, 2.0]), ..open() }, Standing::Valid, &[]);
}

#[test]
fn a_machine_that_others_use_is_told() {
    let steal = |steal| Observations { steal: Some(steal), ..closed() };
    check(&steal(0.02), Standing::Suspect, &["2.0 %", "1.0 %"]);
    check(&steal(0.06), Standing::Invalid, &["6.0 %", "5.0 %"]);
    let others = Observations { others: Some(0.25), ..closed() };
    check(&others, Standing::Suspect, &["25.0 %", "10.0 %"]);
    let clock = Observations { clock_mhz: Some([3_000.0, 2_400.0]), ..closed() };
    check(&clock, Standing::Suspect, &["3000 to 2400 MHz", "20.0 %", "10.0 %"]);
}

#[test]
fn what_the_watch_saw_is_observed() {
    let mut used = GeneratorUse::default();
    used.threads = vec![thread(0.9, 0.0)];
    used.steal = Some(0.5);
    let observed = closed().with_generator(&used, Some(0));
    assert_eq!((&observed.threads, observed.steal), (&used.threads, Some(0.5)));
    // The machine told nothing.
    assert_eq!((observed.others, observed.clock_mhz), (None, None));
}

#[test]
fn the_worst_reason_comes_first_and_all_are_told() {
    let verdict = judge(&Observations {
        others: Some(0.5),
        backlog: growing(),
        faults: Faults { duplicated: 1, ..Faults::default() },
        ..open()
    });
    assert_eq!(verdict.standing, Standing::Invalid);
    let words = ["came twice (1)", "only grew", "other than generator"];
    assert_eq!(verdict.reasons.len(), words.len(), "{verdict:?}");
    for (reason, word) in verdict.reasons.iter().zip(words) {
        assert!(reason.contains(word), "{reason}");
    }
}

prop_compose! {
    /// Anything that may be observed, near the limits for the most part.
    fn any_observations()(
        is_open: bool, is_apart: bool, is_loss_allowed: bool, has_backlog: bool,
        busy in 0.0..1.0f64, waiting in 0.0..1.0f64, has_thread: bool,
        p99_ns in 0u64..3_000_000, mean_interval_ns in 1u64..3_000_000,
        sent_per_s in 40_000.0..50_000.0f64, ceiling_per_s in 45_000.0..80_000.0f64,
        steal in 0.0..0.1f64, others in 0.0..0.2f64,
        errors in 0u64..10_000, clock_errors in 0u64..1_000, lost in 0u64..3,
    ) -> Observations {
        Observations {
            cores: if is_apart { Cores::Apart } else { Cores::Shared },
            loss: if is_loss_allowed { Loss::Allowed } else { Loss::Forbidden },
            lateness: is_open.then_some(Lateness { p99_ns, mean_interval_ns }),
            backlog: if has_backlog { growing() } else { None },
            threads: has_thread.then(|| thread(busy, waiting)).into_iter().collect(),
            faults: Faults { lost, ..Faults::default() },
            sent_per_s,
            ceiling_per_s: Some(ceiling_per_s),
            steal: Some(steal),
            others: Some(others),
            errors,
            clock_errors,
            ..if is_open { open() } else { closed() }
        }
    }
}

proptest! {
    /// Each figure by itself: worse, it never makes the standing better.
    #[test]
    fn a_worse_figure_never_improves_the_verdict(
        before in any_observations(), which in 0u32..11, more in 0.0..1.0f64,
    ) {
        let mut after = before.clone();
        let count = (more * 10_000.0) as u64;
        match which {
            0 => after.lateness.iter_mut().for_each(|late| late.p99_ns += count * 500),
            1 => after.threads.iter_mut().for_each(|thread| thread.busy += more),
            2 => after.threads.iter_mut().for_each(|thread| thread.waiting = Some(1.0 + more)),
            3 => after.steal = after.steal.map(|steal| steal + more),
            4 => after.others = after.others.map(|others| others + more),
            5 => after.errors += count,
            6 => after.clock_errors += count,
            7 => after.faults.lost += count,
            8 => after.sent_per_s *= 1.0 - more,
            9 => after.broker_restarts += 1,
            _ => after.latency_samples /= 1 + count,
        }
        let (before, after) = (judge(&before), judge(&after));
        prop_assert!(after.standing >= before.standing, "{which}: {before:?} {after:?}");
    }

    #[test]
    fn a_standing_other_than_valid_has_its_reasons(observations in any_observations()) {
        let verdict = judge(&observations);
        prop_assert_eq!(verdict.standing == Standing::Valid, verdict.reasons.is_empty());
        let is_sentence = |reason: &String| reason.contains(' ') && reason.contains([':', ';']);
        prop_assert!(verdict.reasons.iter().all(is_sentence));
    }
}
