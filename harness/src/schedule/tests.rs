use super::rhythm::Rhythm;
use super::sources::Source as _;
use super::*;
use proptest::prelude::*;

const S: u64 = 1_000_000_000;

fn open(rate_per_s: f64, arrivals: Arrivals) -> LoadModel {
    LoadModel::Open { rate_per_s, arrivals }
}

fn terms(model: LoadModel, duration_ns: u64) -> Terms {
    Terms { model, warmup_ns: 0, extent: Extent::DurationNs(duration_ns) }
}

/// All due times of one thread, taken in batches of varying size.
fn all_due(terms: &Terms, share: Share, start_ns: u64) -> Vec<u64> {
    let mut schedule = Schedule::new(terms, share, start_ns, 1).unwrap();
    let mut all = Vec::new();
    for max in [1, 7, 64].into_iter().cycle() {
        let Some(due_ns) = schedule.next_due_ns() else { break };
        let due = schedule.take_due(due_ns + 100_000, max).unwrap();
        assert_eq!(due.first_due_ns(), due_ns);
        assert!(due.count() <= max);
        all.extend_from_slice(due.times_ns);
    }
    all
}

fn whole() -> Share {
    Share::whole(1).unwrap()
}

fn models() -> impl Strategy<Value = LoadModel> {
    let rate = || 10.0f64..20_000.0;
    prop_oneof![
        rate().prop_map(|rate_per_s| open(rate_per_s, Arrivals::Constant)),
        (prop::collection::vec(prop_oneof![4 => rate(), 1 => Just(0.0)], 1..6), 1..300_000_000u64)
            .prop_filter("something is sent", |(rates, _)| rates.iter().any(|&rate| rate > 0.0))
            .prop_map(|(rates_per_s, step_ns)| LoadModel::Steps { rates_per_s, step_ns }),
        (rate(), prop_oneof![4 => rate(), 1 => Just(0.0)], 1..2 * S).prop_map(
            |(from_per_s, to_per_s, over_ns)| LoadModel::Ramp { from_per_s, to_per_s, over_ns }
        ),
        (0.0f64..20_000.0, 1..500u64, 1_000_000..S).prop_map(
            |(rate_per_s, burst_messages, every_ns)| LoadModel::Burst {
                rate_per_s: rate_per_s.floor(),
                burst_messages,
                every_ns
            }
        ),
    ]
}

proptest! {
    #[test]
    fn a_window_holds_the_integral_of_the_rate(
        model in models(), from_ns in 0..S, window_ns in 1..S,
    ) {
        let due = all_due(&terms(model.clone(), 2 * S), whole(), 0);
        let to_ns = from_ns + window_ns;
        let count = due.iter().filter(|&&due_ns| (from_ns..to_ns).contains(&due_ns)).count();
        let expected = model.messages_in(to_ns) - model.messages_in(from_ns);
        prop_assert!((count as f64 - expected).abs() <= 1.001, "{count} for {expected}");
    }

    #[test]
    fn times_never_decrease(model in models(), start_ns in 0..S) {
        let due = all_due(&terms(model, S), whole(), start_ns);
        prop_assert!(due.is_sorted());
        prop_assert!(due.iter().all(|due_ns| (start_ns..start_ns + S).contains(due_ns)));
    }

    #[test]
    fn threads_together_are_the_aggregate(
        model in models(), threads in 1..5u32, more in 0..9u32, is_block: bool,
    ) {
        let (terms, publishers) = (terms(model, S / 2), threads + more);
        let mut together: Vec<u64> = (0..threads)
            .map(|thread| match (is_block, thread) {
                (false, _) => Share::interleaved(thread, threads, publishers),
                (true, 0) => Share::block(0, more + 1, publishers),
                (true, _) => Share::block(more + thread, 1, publishers),
            })
            .flat_map(|share| all_due(&terms, share.unwrap(), 5))
            .collect();
        together.sort_unstable();
        prop_assert_eq!(together, all_due(&terms, whole(), 5));
    }

    #[test]
    fn a_number_of_messages_is_kept_over_all_threads(
        model in models(), threads in 1..5u32, more in 0..9u32, messages in 0..2000u64,
    ) {
        // Where a load falls silent for ever, no number is reached.
        prop_assume!(model.messages_in(1000 * S) > 1e6);
        let extent = Extent::Messages(messages);
        let terms = Terms { model, warmup_ns: 0, extent };
        let sent = |thread| {
            let share = Share::interleaved(thread, threads, threads + more).unwrap();
            all_due(&terms, share, 0).len() as u64
        };
        prop_assert_eq!((0..threads).map(sent).sum::<u64>(), messages);
    }

    #[test]
    fn an_even_message_is_due_at_its_nearest_nanosecond(
        rate_per_s in prop_oneof![1u32..5_000_000, Just(3), Just(7), Just(999_999)],
        turns in 0..100_000u64,
    ) {
        let share = Share::whole(3).unwrap();
        let mut profile = Profile::even(f64::from(rate_per_s), &share);
        profile.skip_turns(turns, 3);
        for index in turns * 3..turns * 3 + 50 {
            prop_assert_eq!(u128::from(profile.due_ns()), nearest_ns(index, rate_per_s));
            profile.advance();
        }
    }

    #[test]
    fn rates_that_are_no_whole_numbers_are_exact_too(
        rate_per_s in 0.001f64..1e9, messages in 1..10_000u32,
    ) {
        let rhythm = Rhythm::of(rate_per_s).unwrap();
        let expected_ns = f64::from(messages) * 1e9 / rate_per_s;
        let found_ns = rhythm.step(messages).ns as f64;
        prop_assert!((found_ns - expected_ns).abs() <= 1.0 + expected_ns * 1e-15);
    }
}

fn nearest_ns(index: u64, rate_per_s: u32) -> u128 {
    let rate_per_s = u128::from(rate_per_s);
    (u128::from(index) * 2_000_000_000 + rate_per_s) / (2 * rate_per_s)
}

#[test]
fn a_million_million_messages_do_not_drift() {
    const TURNS: u64 = 1_000_000_000_000;
    for rate_per_s in [70_000, 77_777, 333_333, 4_999_999] {
        let share = Share::whole(1).unwrap();
        let mut jumped = Profile::even(f64::from(rate_per_s), &share);
        jumped.skip_turns(TURNS, 1);
        for index in TURNS..TURNS + 100_000 {
            assert_eq!(u128::from(jumped.due_ns()), nearest_ns(index, rate_per_s));
            jumped.advance();
        }
    }
}

#[test]
fn steps_add_up_however_they_are_taken() {
    let rhythm = Rhythm::of(333_333.25).unwrap();
    let (mut small, mut large) = (rhythm.place(0), rhythm.place(0));
    for _ in 0..1000 {
        large = rhythm.add(large, rhythm.step(1_000_000));
        small = (0..100).fold(small, |at, _| rhythm.add(at, rhythm.step(10_000)));
    }
    assert_eq!(small, large);
    assert_eq!(large.ns, (1e18f64 / 333_333.25).round() as u64);
}

#[test]
fn a_warm_up_precedes_at_the_first_rate_and_shares_no_batch() {
    let model = LoadModel::Steps { rates_per_s: vec![1000.0, 5000.0], step_ns: S };
    let extent = Extent::DurationNs(2 * S);
    let terms = Terms { model, warmup_ns: S / 10, extent };
    let mut schedule = Schedule::new(&terms, whole(), 7, 0).unwrap();
    assert_eq!(schedule.measured_from_ns(), 7 + S / 10);
    let (mut phases, mut first_measured_ns) = (Vec::new(), None);
    while let Some(due) = schedule.take_due(10 * S, 64) {
        if due.phase == Phase::Measured {
            first_measured_ns = first_measured_ns.or(Some(due.first_due_ns()));
        }
        phases.push(due.phase);
    }
    assert_eq!(first_measured_ns, Some(7 + S / 10));
    assert_eq!(phases[..3], [Phase::WarmUp, Phase::WarmUp, Phase::Measured]);
    assert_eq!(schedule.taken(), Taken { warm_up: 100, measured: 6000, late: 6000 });
    assert_eq!(schedule.next_due_ns(), None);
}

#[test]
fn what_is_late_is_taken_and_counted() {
    let model = open(1000.0, Arrivals::Constant);
    let mut schedule = Schedule::new(&terms(model, S), whole(), 0, 0).unwrap();
    // Due at 0, 1, 2, 3 and 4 ms; the first three more than a millisecond ago.
    assert_eq!(schedule.take_due(4_000_000, 64).map(|due| due.count()), Some(5));
    assert_eq!(schedule.taken(), Taken { warm_up: 0, measured: 5, late: 3 });
    assert!(schedule.take_due(4_000_000, 64).is_none());
    assert!(schedule.take_due(9_000_000, 0).is_none());
    assert_eq!(schedule.take_due(9_000_000, 2).map(|due| due.count()), Some(2));
}

#[test]
fn publishers_take_turns_by_the_batch() {
    let model = open(1000.0, Arrivals::Constant);
    let share = Share::interleaved(1, 2, 6).unwrap();
    let mut schedule = Schedule::new(&terms(model, S), share, 0, 0).unwrap();
    let publishers: Vec<u32> = (0..5)
        .map(|ms| schedule.take_due(ms * 50_000_000, 8).map_or(99, |d| d.publisher))
        .collect();
    assert_eq!(publishers, [99, 1, 3, 5, 1]);
}

#[test]
fn a_burst_is_due_at_once_after_a_calm() {
    let model = LoadModel::Burst { rate_per_s: 0.0, burst_messages: 5, every_ns: S };
    let due = all_due(&terms(model, 3 * S), whole(), 0);
    assert_eq!(due, [[S; 5], [2 * S; 5]].concat());
}

#[test]
fn a_ramp_begins_slow_and_ends_fast() {
    let model = LoadModel::Ramp { from_per_s: 0.0, to_per_s: 2000.0, over_ns: S };
    let due = all_due(&terms(model, 2 * S), whole(), 0);
    assert_eq!(due.len(), 1000 + 2000);
    // A quarter of the messages by half of the time.
    assert_eq!(due[250], S / 2);
    assert_eq!(due[1000..1003], [S, S + 500_000, S + 1_000_000]);
}

/// Kolmogorov and Smirnov's statistic times √n, for gaps that should have this mean; its limit at
/// a significance of 1 % is 1.628.
fn distance_from_exponential(due: &[u64], mean_gap_ns: f64) -> f64 {
    let mut gaps: Vec<u64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let count = gaps.len() as f64;
    let distance = |(index, &gap_ns): (usize, &u64)| {
        // A gap in whole nanoseconds stands for half a one on either side.
        let below = 1.0 - (-(gap_ns as f64) / mean_gap_ns).exp();
        (below - index as f64 / count).abs().max((below - (index + 1) as f64 / count).abs())
    };
    gaps.iter().enumerate().map(distance).fold(0.0, f64::max) * count.sqrt()
}

fn poisson(threads: u32, seed: u64, rate_per_s: f64) -> Vec<Vec<u64>> {
    let terms = terms(open(rate_per_s, Arrivals::Poisson), S);
    let of_thread = |thread| {
        let share = Share::interleaved(thread, threads, threads + 1).unwrap();
        let mut schedule = Schedule::new(&terms, share, 0, seed).unwrap();
        let mut due = Vec::new();
        while let Some(batch) = schedule.take_due(S, 64) {
            due.extend_from_slice(batch.times_ns);
        }
        due
    };
    (0..threads).map(of_thread).collect()
}

#[test]
fn poisson_gaps_are_exponential_in_each_thread_and_over_all() {
    let mut distances = Vec::new();
    for seed in 0..25 {
        let threads = poisson(3, seed, 50_000.0);
        // Thread 0 has two of the four publishers.
        for (due, rate_per_s) in threads.iter().zip([25_000.0, 12_500.0, 12_500.0]) {
            distances.push(distance_from_exponential(due, 1e9 / rate_per_s));
        }
        let mut all = threads.concat();
        all.sort_unstable();
        distances.push(distance_from_exponential(&all, 1e9 / 50_000.0));
        // Within four standard deviations of the mean.
        assert!((all.len() as f64 - 50_000.0).abs() < 4.0 * 50_000f64.sqrt(), "seed {seed}");
    }
    // One in a hundred exceeds 1.628, and one in ten thousand 2.225.
    let beyond = distances.iter().filter(|&&distance| distance > 1.628).count();
    assert!(beyond <= 4, "{beyond} of {} are beyond the limit", distances.len());
    assert!(distances.iter().all(|&distance| distance < 2.225), "{distances:?}");
}

#[test]
fn a_constant_load_is_told_from_a_poisson_process() {
    let due = all_due(&terms(open(50_000.0, Arrivals::Constant), S), whole(), 0);
    assert!(distance_from_exponential(&due, 1e9 / 50_000.0) > 10.0);
}

#[test]
fn a_seed_gives_the_same_arrivals_again_and_another_one_others() {
    assert_eq!(poisson(2, 7, 1000.0), poisson(2, 7, 1000.0));
    assert_ne!(poisson(2, 7, 1000.0), poisson(2, 8, 1000.0));
    assert_ne!(poisson(2, 7, 1000.0)[0], poisson(2, 7, 1000.0)[1]);
}

#[test]
fn what_cannot_be_scheduled_is_refused_with_what_was_expected() {
    let bad = |model: LoadModel| model.check().unwrap_err().to_string();
    assert_eq!(
        bad(open(2e9, Arrivals::Constant)),
        "the rate of an open load: expected 0.001 to 1000000000 messages per second, or 0, \
         found 2000000000"
    );
    assert!(bad(open(f64::NAN, Arrivals::Poisson)).ends_with("found NaN"));
    assert!(bad(LoadModel::Steps { rates_per_s: vec![], step_ns: 1 }).contains("all steps"));
    assert!(bad(LoadModel::Steps { rates_per_s: vec![1.0], step_ns: 0 }).ends_with("0 ns"));
    assert!(bad(LoadModel::Ramp { from_per_s: 0.0, to_per_s: 0.0, over_ns: 1 }).contains("ramp"));
    let burst = LoadModel::Burst { rate_per_s: 1.0, burst_messages: 0, every_ns: 1 };
    assert!(bad(burst).contains("burst"));
    assert!(Share::interleaved(3, 4, 3).is_err());
    assert!(Share::block(2, 2, 3).is_err());
    assert!(Share::whole(0).is_err());
}

#[test]
fn the_ends_of_the_clock_and_of_the_rates_do_not_panic() {
    for rate_per_s in [RATE_PER_S_MIN, RATE_PER_S_MAX] {
        let share = Share::interleaved(u32::MAX - 1, u32::MAX, u32::MAX).unwrap();
        let terms = terms(open(rate_per_s, Arrivals::Constant), u64::MAX);
        let mut schedule = Schedule::new(&terms, share, u64::MAX - 10, 0).unwrap();
        assert!(schedule.take_due(u64::MAX, 64).is_none());
        assert_eq!(schedule.next_due_ns(), None);
    }
}
