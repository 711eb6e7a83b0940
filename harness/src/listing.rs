//! What can be measured: drivers, operations, stream shapes, and the configurations at hand.

use crate::config::Config;
use crate::drivers::{DriverKind, Operation};
use std::fmt::Write as _;
use std::path::Path;

const STREAM_SHAPES: [(&str, &str); 4] = [
    ("1→1", "one publisher, one subscriber"),
    ("1→N", "one publisher, N subscribers that each receive everything"),
    ("N→1", "N publishers, one subscriber"),
    ("N→N", "N publishers, N subscribers that each receive everything"),
];

/// What every benchmark configuration has, and no other TOML file.
const BENCHMARK_SIGN: &str = "[[brokers]]";

/// Everything there is, with the configurations found in `configs`.
#[must_use]
pub fn listing(configs: &Path) -> String {
    let mut text = String::new();
    section(
        &mut text,
        "Drivers",
        DriverKind::ALL.map(|kind| (kind.name().to_owned(), kind.summary().to_owned())),
    );
    section(
        &mut text,
        "Operations",
        Operation::ALL.map(|op| (op.name().to_string(), op.summary().to_owned())),
    );
    let shapes = STREAM_SHAPES.map(|(shape, means)| (shape.to_owned(), means.to_owned()));
    section(
        &mut text,
        "Streams: saturating, closed, at rates, or at the highest that meets objectives",
        shapes,
    );
    section(&mut text, &format!("Configurations in {}", configs.display()), found_in(configs));
    text
}

fn section(text: &mut String, title: &str, rows: impl IntoIterator<Item = (String, String)>) {
    let _ = writeln!(text, "{title}:");
    for (name, means) in rows {
        let _ = writeln!(text, "  {name:<24} {means}");
    }
}

/// Benchmark configurations; other TOML files in the directory are not shown.
fn found_in(configs: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(configs) else {
        return vec![("none".to_owned(), "there is no such directory here".to_owned())];
    };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let text = std::fs::read_to_string(&path).ok()?;
            if !text.contains(BENCHMARK_SIGN) {
                return None;
            }
            let means = match Config::parse(&text) {
                Ok(config) => config.description,
                Err(error) => format!("cannot be run: {error}"),
            };
            Some((path.display().to_string(), means))
        })
        .collect();
    found.sort();
    found
}
