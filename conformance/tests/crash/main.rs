//! Brokers that are killed at any moment, over and over, on one data directory, while publishers
//! publish and subscribers acknowledge: whatever a broker confirmed, each one after it knows.
//!
//! Every life of a broker is worked with by a part of all workers at once, and ends when they had
//! a number of confirmations that is drawn from a seed: mostly by SIGKILL, at times by SIGTERM,
//! at times by one right after the other; and at times a broker is killed while it still
//! recovers. What each life has to hold to is in the modules: [`publications`], [`topic_log`],
//! [`cursor_reader`], [`follower`], [`group`] and [`churn`]. After a few lives, in an era's end,
//! everything is checked, also over a stop in order; the era's topics are deleted, and the next
//! era begins on the same directory. MQTT sessions have eras of their own, see [`mqtt`].
//!
//! The seed draws what is done; how the threads meet is left to the machine. To run for long:
//!
//! ```sh
//! CRASH_SECONDS=3600 cargo test --release -p conformance --test crash -- --nocapture killed
//! ```
//!
//! | environment variable | meaning | default |
//! |---|---|---|
//! | `CRASH_SEED` | the seed | another one each time; it is printed |
//! | `CRASH_CYCLES` | lives of a broker | 10 |
//! | `CRASH_SECONDS` | seconds after which no further era begins, instead of a number of lives | – |

mod bound;
mod churn;
mod consumers;
mod cursor_reader;
mod era;
mod follower;
mod full_disk;
mod group;
mod message;
mod mqtt;
mod pace;
mod publications;
mod publisher;
mod settings;
mod topic_log;
mod wire;
mod worker;

use bound::{
    quiet_topics_outlive_the_segments_that_busy_ones_fill,
    the_oldest_messages_go_when_the_journal_is_full,
};
use conformance::{Backend, BrokerProcess, DataDir, JsonClient, Pulled, Speaks};
use conformance::{for_both_backends, wait_until};
use era::{Era, Tally};
use fastrand::Rng;
use full_disk::{
    a_disk_that_takes_nothing_at_all_is_told_of_at_once,
    a_full_disk_takes_nothing_that_was_acknowledged,
    a_log_that_cannot_be_written_keeps_nobody_from_an_answer,
};
use mqtt::{MqttEra, MqttTally, Restart};
use protocol::Retention;
use rustix::process::Signal;
use settings::{FLAGS, Length, MQTT_FLAGS};
use std::fmt::Debug;
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

for_both_backends! {
    a_killed_broker_keeps_what_it_confirmed,
    a_killed_broker_keeps_mqtt_sessions,
    a_loss_that_was_told_is_not_told_again,
    quiet_topics_outlive_the_segments_that_busy_ones_fill,
    the_oldest_messages_go_when_the_journal_is_full,
    a_full_disk_takes_nothing_that_was_acknowledged,
    a_disk_that_takes_nothing_at_all_is_told_of_at_once,
    a_log_that_cannot_be_written_keeps_nobody_from_an_answer,
}

/// Lives of a broker in one era.
const CYCLES_PER_ERA: u64 = 5;

/// Confirmations in one life, at least, as a power of two.
const CONFIRMATIONS_LOG2_MIN: f64 = 3.0;

/// Confirmations in one life, at most, as a power of two.
const CONFIRMATIONS_LOG2_MAX: f64 = 11.5;

/// Longest time after its start at which a broker is killed that still recovers.
const RECOVERING_MAX: Duration = Duration::from_millis(40);

/// How a broker's life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By SIGKILL.
    Kill,
    /// By SIGTERM.
    Stop,
    /// By SIGKILL while it stops.
    KillInStop,
}

impl End {
    fn draw(rng: &mut Rng) -> Self {
        match rng.u32(..10) {
            0..8 => Self::Kill,
            8 => Self::Stop,
            _ => Self::KillInStop,
        }
    }

    #[track_caller]
    fn bring(self, broker: &mut BrokerProcess) {
        match self {
            Self::Kill => broker.kill(),
            Self::Stop => assert_eq!(broker.terminate(), Some(0), "the code of a stop in order"),
            Self::KillInStop => {
                broker.signal(Signal::TERM);
                broker.signal(Signal::KILL);
                broker.wait_for_exit();
            }
        }
    }
}

/// A directory, and the brokers that run on it one after the other.
struct Lives {
    backend: Backend,
    data: DataDir,
    flags: &'static [&'static str],
    rng: Rng,
    /// Brokers that were killed.
    kills: u64,
}

fn a_killed_broker_keeps_what_it_confirmed(backend: Backend) {
    Lives::run::<Tally>(backend, &FLAGS, Lives::live_through);
}

fn a_killed_broker_keeps_mqtt_sessions(backend: Backend) {
    Lives::run::<MqttTally>(backend, &MQTT_FLAGS, Lives::live_through_mqtt);
}

fn a_loss_that_was_told_is_not_told_again(backend: Backend) {
    // A pull that found nothing but that moved the cursor only until the broker ended.
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &FLAGS);
    let mut client = JsonClient::connect(&broker);
    let retention = Retention { age_ms_max: Some(1), ..Retention::default() };
    client.create_with("t", retention).expect("created");
    client.subscribe("t", "s").expect("subscribed");
    wait_until("a message that is too old before it is pulled", || {
        client.publish("t", "m").expect("published");
        client.pull("t", "s").expect("pulled").lost == 1
    });
    broker.kill();
    let broker = BrokerProcess::start_on(backend, &data, &FLAGS);
    let mut client = JsonClient::connect(&broker);
    assert_eq!(client.pull("t", "s"), Ok(Pulled::default()));
}

impl Lives {
    /// Has brokers live through as many eras as are asked for, and tells what they did.
    fn run<T: Default + AddAssign + Debug>(
        backend: Backend,
        flags: &'static [&'static str],
        mut live_through: impl FnMut(&mut Self, u64, u64) -> T,
    ) {
        let (seed, length) = (settings::seed(), settings::length());
        tell(&format!("{}: CRASH_SEED={seed}, {length:?}", backend.name()));
        let started = Instant::now();
        let rng = Rng::with_seed(seed);
        let mut lives = Self { backend, data: DataDir::new(), flags, rng, kills: 0 };
        let (mut cycles, mut total) = (0, T::default());
        for number in 0.. {
            let left = match length {
                Length::Cycles(all) => all - cycles,
                Length::Time(time) if started.elapsed() < time => CYCLES_PER_ERA,
                Length::Time(_) => 0,
            };
            if left == 0 {
                break;
            }
            let in_era = left.min(CYCLES_PER_ERA);
            total += live_through(&mut lives, number, in_era);
            cycles += in_era;
        }
        let (kills, seconds) = (lives.kills, started.elapsed().as_secs_f32());
        tell(&format!(
            "{}: CRASH_SEED={seed}: {cycles} cycles, {kills} kills, {total:?}, {seconds:.1} s",
            backend.name()
        ));
    }

    fn live_through(&mut self, number: u64, cycles: u64) -> Tally {
        let mut broker = self.start();
        let mut era = Era::begin(number, &broker, self.rng.fork());
        for _ in 0..cycles {
            let confirmations = self.draw_confirmations();
            let end = End::draw(&mut self.rng);
            era.work(&mut broker, confirmations, |broker| end.bring(broker));
            check_log(&broker);
            if end != End::Stop {
                self.kills += 1;
                era.note_crash();
            }
            if self.rng.u32(..4) == 0 {
                self.kill_while_starting();
            }
            broker = self.start();
            era.check_some(&broker);
        }
        let logs = era.check_all(&broker);
        era.drain_groups(&broker, &logs);
        self.kills += 1;
        broker.kill();
        let mut broker = self.start();
        assert!(era.check_all(&broker) == logs, "the same after a kill");
        era.check_drained(&broker);
        assert_eq!(broker.terminate(), Some(0), "the code of a stop in order");
        check_log(&broker);
        let mut broker = self.start();
        assert!(era.check_all(&broker) == logs, "the same after a stop in order");
        era.check_drained(&broker);
        let tally = era.finish(&broker);
        assert_eq!(broker.terminate(), Some(0), "the code of a stop in order");
        check_log(&broker);
        tally
    }

    fn live_through_mqtt(&mut self, number: u64, cycles: u64) -> MqttTally {
        let mut era = MqttEra::new(number, self.rng.fork());
        let mut broker = self.start();
        for _ in 0..cycles {
            let confirmations = self.draw_confirmations();
            let end = End::draw(&mut self.rng);
            era.work(&mut broker, confirmations, |broker| end.bring(broker));
            broker = self.follow(&broker, end);
            era.check_retained(&broker);
        }
        let (mut broker, tally) = era.finish(broker, |mut broker, how| {
            let end = match how {
                Restart::Killed => End::Kill,
                Restart::Stopped => End::Stop,
            };
            end.bring(&mut broker);
            self.follow(&broker, end)
        });
        End::Stop.bring(&mut broker);
        check_log(&broker);
        tally
    }

    /// The broker after one that ended so.
    #[track_caller]
    fn follow(&mut self, broker: &BrokerProcess, end: End) -> BrokerProcess {
        check_log(broker);
        self.kills += u64::from(end != End::Stop);
        if self.rng.u32(..4) == 0 {
            self.kill_while_starting();
        }
        self.start()
    }

    #[track_caller]
    fn start(&self) -> BrokerProcess {
        BrokerProcess::start_on(self.backend, &self.data, self.flags)
    }

    /// As many short lives as long ones: half of them are too short for a snapshot.
    fn draw_confirmations(&mut self) -> u64 {
        let range = CONFIRMATIONS_LOG2_MAX - CONFIRMATIONS_LOG2_MIN;
        (CONFIRMATIONS_LOG2_MIN + range * self.rng.f64()).exp2() as u64
    }

    /// Starts a broker, and kills it before, or just after, it is ready. No event tells how far a
    /// recovery is, so time does.
    fn kill_while_starting(&mut self) {
        let mut child = Command::new(self.backend.binary())
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(self.data.path())
            .args(self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the broker was built");
        thread::sleep(RECOVERING_MAX.mul_f64(self.rng.f64()));
        child.kill().expect("a child of this process");
        child.wait().expect("a child of this process");
        self.kills += 1;
    }
}

/// A broker that was killed before has nothing to complain of.
#[track_caller]
fn check_log(broker: &BrokerProcess) {
    let log = broker.log();
    let complaint = log.lines().find(|line| line.contains("ERROR") || line.contains("WARN"));
    assert_eq!(complaint, None, "in the log");
}

#[expect(clippy::print_stderr, reason = "the seed is for who runs the test")]
fn tell(line: &str) {
    eprintln!("{line}");
}
