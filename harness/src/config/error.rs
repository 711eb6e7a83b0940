//! What can be wrong with a configuration: always a place, what was expected and what was found.

use super::suggest::did_you_mean_by;
use std::ops::Range;
use std::path::PathBuf;

/// A configuration that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; name a configuration such as configs/quickstart.toml", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key that does not exist, is missing or is of another type.
    #[error("line {line}, `{key}`: {message}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The key or table on that line.
        key: String,
        /// What the parser said.
        message: String,
    },
    /// A value that cannot be.
    #[error("line {line}, `{key}`: expected {expected}, found {found}")]
    Impossible {
        /// The line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl ConfigError {
    pub(super) fn malformed(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let mut message = error.message().replace('\n', " ");
        message += &did_you_mean_by(&message);
        Self::Malformed { line: line_number(text, start), key: key_on_line(text, start), message }
    }

    pub(super) fn impossible(
        text: &str,
        span: &Range<usize>,
        key: &'static str,
        expected: impl Into<String>,
        found: String,
    ) -> Self {
        let line = line_number(text, span.start);
        Self::Impossible { line, key, expected: expected.into(), found }
    }
}

fn line_number(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// The key, or the table's header, that stands on the line of the byte `at`.
fn key_on_line(text: &str, at: usize) -> String {
    let start = text[..at.min(text.len())].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    line.split('=').next().unwrap_or_default().trim().to_owned()
}
