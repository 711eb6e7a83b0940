//! `harness explain`: what a configuration will do, in words, before anything is started.

mod cells;
mod needs;

pub use needs::{Limits, Needs};

use crate::config::{BrokerConfig, Config};
use crate::plan::Plan;
use std::fmt::Write as _;

/// What will run, in what order and under which load, for how long, what it needs of the machine
/// with these `limits`, and what is not possible with which broker and why.
#[must_use]
pub fn explain(config: &Config, limits: &Limits) -> String {
    let plan = Plan::of(config);
    let mut text = String::new();
    if config.description.is_empty() {
        let _ = writeln!(text, "{}", config.name);
    } else {
        let _ = writeln!(text, "{}: {}", config.name, config.description);
    }
    section(&mut text, "Order", order(config));
    section(&mut text, "Brokers", config.brokers.iter().map(broker));
    section(&mut text, "Operations", cells::operations(config));
    section(&mut text, "Streams", config.streams.iter().map(|it| cells::stream(config, it)));
    section(&mut text, "Backlogs", cells::backlogs(config));
    section(&mut text, "Restarts", cells::restarts(config));
    section(&mut text, "Storms", config.storms.iter().map(cells::storm));
    section(&mut text, "Connections at rest", config.idles.iter().map(cells::idle));
    section(&mut text, "Outages", config.outages.iter().map(cells::outage));
    section(&mut text, "Must hold", objectives(config, &plan));
    section(&mut text, "Not possible", not_possible(&plan));
    let needs = Needs::of(config, plan.estimated_ms());
    section(&mut text, "Needs", needs.lines());
    section(&mut text, "Beware", needs.exceeding(limits));
    text
}

/// A heading and its lines, or nothing where there is none.
fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n{title}:");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

fn order(config: &Config) -> Vec<String> {
    let brokers = counted(config.brokers.len() as u64, "broker");
    let mut lines = vec![match config.repeat {
        1 => format!("{brokers}, one after the other, once"),
        rounds => format!("{brokers}, one after the other; all of them {rounds} times over"),
    }];
    lines.push(
        "of each: operations, then streams; then backlogs, restarts, storms, connections at rest \
         and outages, each with a process and a directory of its own"
            .to_owned(),
    );
    let threads = config.generator.threads_or_cores() as u64;
    lines.push(format!(
        "load comes from {}; random draws begin at seed {}",
        counted(threads, "generator thread"),
        config.seed
    ));
    if let Some(baseline) = &config.baseline {
        lines.push(format!("results are compared with those in {}", baseline.results.display()));
    }
    lines
}

fn broker(broker: &BrokerConfig) -> String {
    let BrokerConfig { name, driver, guarantee, .. } = broker;
    let mut line = match (&broker.command, broker.address) {
        (Some(command), _) => format!("{name}: started as `{}`", command.join(" ")),
        (None, Some(address)) => format!("{name}: runs at {address} already"),
        (None, None) => format!("{name}: no process"),
    };
    let _ = write!(line, ", driver {}, guarantee: {guarantee}", driver.name());
    if broker.idle_topics > 0 {
        let _ = write!(line, ", beside {} idle topics", broker.idle_topics);
    }
    if broker.idle_subscriptions > 0 {
        let _ = write!(line, ", with {} idle subscriptions", broker.idle_subscriptions);
    }
    if !broker.fresh_each_round {
        line += ", the same process in all rounds";
    }
    line
}

fn objectives(config: &Config, plan: &Plan<'_>) -> Vec<String> {
    let of_streams = config.streams.iter().flat_map(|stream| {
        let label = stream.label();
        stream.objectives.iter().map(move |objective| format!("{objective}, of {label}"))
    });
    let named = config.objectives.iter().map(|objective| {
        let subjects = plan.brokers.iter().flat_map(|broker| {
            let labels = cells::labels(config, broker);
            labels.into_iter().map(|label| (broker.broker.name.as_str(), label))
        });
        let number = subjects.filter(|(broker, cell)| objective.is_about(broker, cell)).count();
        let (assert, cell, broker) = (&objective.assert, &objective.cell, &objective.broker);
        let of = format!("{assert}, of {cell:?} on {broker:?}");
        match number {
            0 => format!("{of}: no measurement has such a name, so it will be missed"),
            _ => format!("{of}: {}", counted(number as u64, "measurement")),
        }
    });
    of_streams.chain(named).collect()
}

fn not_possible(plan: &Plan<'_>) -> Vec<String> {
    let skipped = plan.brokers.iter().flat_map(|broker| &broker.skipped);
    skipped.map(|skipped| format!("{}: {}", skipped.name, skipped.reason)).collect()
}

/// `1 broker`, `2 brokers`.
fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { open_files: 1024, ports: 28_232, disk_free_bytes: Some(1 << 30) };

    fn explained(text: &str) -> String {
        explain(&Config::parse(text).unwrap(), &LIMITS)
    }

    #[test]
    fn everything_is_said_in_words() {
        let text = explained(
            r#"
            name = "all"
            description = "Everything once"
            repeat = 2
            generator = { threads = 2 }
            [[brokers]]
            name = "mio"
            driver = "tandem-native"
            command = ["broker-mio", "--data", "{data_dir}"]
            guarantee = "synced"
            idle_topics = 10
            [[brokers]]
            name = "json"
            driver = "tandem-json"
            address = "127.0.0.1:8080"
            [operations]
            list = ["publish", "pull"]
            clients = [1, 50]
            duration_ms = 1000
            [[streams]]
            publishers = 1
            subscribers = [1, 50]
            payload_bytes = 100
            duration_ms = 1000
            load = ["saturating", { open = { rate_per_s = 1000, arrivals = "poisson" } }]
            objectives = ["p99 < 5ms"]
            [[streams]]
            publishers = 2
            subscribers = 0
            payload = { uniform = [16, 1000] }
            acks = 64
            messages = 1_000_000
            topics = 10
            topic_choice = { zipf = 1.1 }
            [[streams]]
            publishers = 1
            subscribers = 2
            payload_bytes = 100
            duration_ms = 500
            slow_subscribers = 1
            churn = { every_ms = 100, subscribers = 5 }
            find_max = { objective = "p99 < 5ms", from_per_s = 1000, to_per_s = 64_000 }
            [[backlogs]]
            payload_bytes = [1000]
            bytes = 4_000_000_000
            [[restarts]]
            payload_bytes = [1000]
            messages = 1000
            stops = ["crash"]
            [[storms]]
            connections = 1000
            [[idles]]
            connections = 50_000
            hold_ms = 1000
            [[outages]]
            rate_per_s = 1000
            kill_after_ms = 500
            down_ms = 200
            duration_ms = 2000
            [[objectives]]
            broker = "mio"
            cell = "stream 1→*"
            assert = "lost == 0"
            [[objectives]]
            cell = "steram*"
            assert = "lost == 0"
            "#,
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_is_not_asked_for_has_no_heading() {
        let text = explained(
            "name = \"x\"\n[[brokers]]\nname = \"n\"\ndriver = \"null\"\n\
             [operations]\nclients = [1]\ncount = 10\n",
        );
        for title in ["Streams", "Storms", "Must hold", "Not possible", "Beware"] {
            assert!(!text.contains(&format!("{title}:")), "{text}");
        }
    }
}
