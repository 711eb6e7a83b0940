//! The config file: reads it, and knows on which line each key stands.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::de::{DeTable, DeValue};

use crate::choices::Choices;

/// The largest config file that is read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// What a config file says, and where it says it.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    keys: Vec<Key>,
    /// What the file says.
    pub(crate) choices: Choices,
}

/// A config file that cannot be taken.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error(
        "expected a readable config file at {}, but found: {source}; \
         correct the path given with --config, or the file's permissions",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any config.
    #[error(
        "expected a config file of at most {CONFIG_BYTES_MAX} bytes, but {} is larger; \
         correct the path given with --config",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not TOML.
    #[error("{}:{line}: expected TOML, but found: {message}; correct the line", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A key is unknown, or its value is not of its kind.
    #[error(
        "{}:{line}: {key}: {message}; correct the line, or see --help for what each key takes",
        path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key, with the table it is in: `limits.topics_max`.
        key: String,
        /// What is wrong.
        message: String,
    },
}

/// A key in the file.
#[derive(Debug)]
struct Key {
    /// Its name, with the table it is in: `limits.topics_max`, `topics[0].pattern`.
    name: String,
    /// The line it stands on, counted from 1.
    line: usize,
    /// The bytes from its first to the last of its value.
    span: Range<usize>,
}

impl ConfigFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has a key or value that no broker knows.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        Self::parse(path, &text)
    }

    /// Takes `text` as the content of the file at `path`.
    ///
    /// # Errors
    /// As for [`ConfigFile::read`], less what the file system may say.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let keys = match DeTable::parse(text) {
            Ok(table) => keys_of(table.get_ref(), "", text),
            Err(error) => {
                let line = line_at(text, error.span().map_or(0, |span| span.start));
                return Err(ConfigError::Syntax { path, line, message: one_line(error.message()) });
            }
        };
        match toml::from_str(text) {
            Ok(choices) => Ok(Self { path, keys, choices }),
            Err(error) => {
                let key = error.span().and_then(|span| key_at(&keys, span.start));
                let (key, line) = key.map_or(("the file", 1), |key| (&key.name, key.line));
                let (key, message) = (key.to_owned(), one_line(error.message()));
                Err(ConfigError::Key { path, line, key, message })
            }
        }
    }

    /// Where the file says `key`, for an error message: `broker.toml:12: limits.topics_max`.
    pub(crate) fn place(&self, key: &str) -> Option<String> {
        let Key { name, line, .. } = self.keys.iter().find(|found| found.name == key)?;
        Some(format!("{}:{line}: {name}", self.path.display()))
    }
}

/// Every key of `table`, and of the tables in it, whose names begin with `prefix`.
fn keys_of(table: &DeTable<'_>, prefix: &str, text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        let (start, end) = (key.span().start, value.span().end.max(key.span().end));
        keys.extend(inner_keys(value.get_ref(), &name, text));
        keys.push(Key { name, line: line_at(text, start), span: start..end });
    }
    keys
}

/// Every key in the value of the key `name`: in a table, or in tables in an array.
fn inner_keys(value: &DeValue<'_>, name: &str, text: &str) -> Vec<Key> {
    match value {
        DeValue::Table(table) => keys_of(table, &format!("{name}."), text),
        DeValue::Array(values) => {
            let values = values.iter().enumerate();
            let keys = values
                .map(|(at, value)| inner_keys(value.get_ref(), &format!("{name}[{at}]"), text));
            keys.flatten().collect()
        }
        _ => Vec::new(),
    }
}

/// The key whose name or value has the byte at `offset`; inner keys come before their table.
fn key_at(keys: &[Key], offset: usize) -> Option<&Key> {
    keys.iter().find(|key| key.span.contains(&offset))
}

/// The line, counted from 1, that has the byte at `offset`.
fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, ConfigError> {
        ConfigFile::parse(Path::new("broker.toml"), text)
    }

    #[track_caller]
    fn check_refused(text: &str, start: &str, part: &str) {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.starts_with(start), "{error}");
        assert!(error.contains(part), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn every_kind_of_value_is_taken() {
        let file = parse(
            "listen = ['localhost:0', '[::1]:8080']\nmemory = true\nloops = 2\n\
             log_level = 'trace'\nlog_format = 'json'\n\
             [limits]\ntopics_max = 7\ntopic_bytes_max = '32MiB'\nmessage_bytes_max = 1024\n",
        )
        .expect("a good file");
        let limits = file.choices.limits.clone().limits();
        assert_eq!(limits.topics_max, 7);
        assert_eq!(limits.topic_bytes_max, 32 << 20);
        assert_eq!(limits.message_bytes_max, 1024);
        assert_eq!(file.choices.listen.as_ref().map(Vec::len), Some(2));
        assert_eq!(file.choices.memory, Some(true));
        let place = file.place("limits.topic_bytes_max");
        assert_eq!(place.as_deref(), Some("broker.toml:8: limits.topic_bytes_max"));
        assert_eq!(file.place("data"), None);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        check_refused("memory = true\nlisten_to = 1\n", "broker.toml:2: listen_to: ", "`listen`");
        check_refused(
            "[limits]\n\n# a typo\ntopic_byte_max = 1\n",
            "broker.toml:4: limits.topic_byte_max: ",
            "`topic_bytes_max`",
        );
        check_refused("\n[limit]\ntopics_max = 1\n", "broker.toml:2: limit: ", "`limits`");
        check_refused("limits.topic_max = 1\n", "broker.toml:1: limits.topic_max: ", "topics_max");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named_with_its_key_and_line() {
        check_refused("\nloops = 'two'\n", "broker.toml:2: loops: ", "expected a nonzero usize");
        check_refused("loops = 0\n", "broker.toml:1: loops: ", "nonzero");
        check_refused("listen = 'localhost:1'\n", "broker.toml:1: listen: ", "expected a sequence");
        check_refused(
            "listen = [\n  'localhost:1',\n  'localhost',\n]\n",
            "broker.toml:1: listen: ",
            "write localhost:8080",
        );
        check_refused("log_level = 'loud'\n", "broker.toml:1: log_level: ", "`debug`");
        check_refused("limits = 3\n", "broker.toml:1: limits: ", "3");
    }

    #[test]
    fn a_bad_rule_for_topics_is_named_with_its_key_and_line() {
        let good = "[[topics]]\npattern = 'a'\nretention = { messages = 1 }\n";
        let file = parse(&good.repeat(2)).expect("two rules");
        assert_eq!(file.choices.topics.as_ref().map(Vec::len), Some(2));
        let place = file.place("topics[1].retention.messages");
        assert_eq!(place.as_deref(), Some("broker.toml:6: topics[1].retention.messages"));
        for (line, key, part) in [
            ("storage = 'tape'", "topics[1].storage", "`disk`"),
            ("durability = 'never'", "topics[1].durability", "`sync`"),
            ("retention = { messages = 'x' }", "topics[1].retention.messages", "u64"),
            ("retention = { age = 1 }", "topics[1].retention.age", "`age_ms`"),
            ("name = 'x'", "topics[1].name", "`pattern`"),
        ] {
            let text = format!("{good}[[topics]]\npattern = 'b'\n{line}\n");
            check_refused(&text, &format!("broker.toml:6: {key}: "), part);
        }
        let text = format!("{good}\n[[topics]]\nstorage = 'disk'\n");
        check_refused(&text, "broker.toml:", "missing field `pattern`");
    }

    #[test]
    fn a_bad_limit_is_named_with_its_key_and_line() {
        let start = "broker.toml:3: limits.topic_bytes_max: ";
        for (value, part) in [
            ("'64MB'", "found \"64MB\""),
            ("-1", "found \"-1\""),
            ("true", "a number of bytes such as 65536"),
            ("1.5", "a number of bytes such as 65536"),
        ] {
            check_refused(&format!("[limits]\n\ntopic_bytes_max = {value}\n"), start, part);
        }
        check_refused(
            "[limits]\ntopics_max = '7'\n",
            "broker.toml:2: limits.topics_max: ",
            "usize",
        );
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        check_refused("memory = true\nlisten = [\n", "broker.toml:", "expected TOML");
        check_refused("memory = true\nmemory = true\n", "broker.toml:2: ", "duplicate key");
        check_refused("memory\n", "broker.toml:1: ", "expected TOML");
    }

    #[test]
    fn a_missing_file_is_named_with_what_to_do() {
        let path = Path::new("/nonexistent/broker.toml");
        let error = ConfigFile::read(path).expect_err("missing").to_string();
        assert!(error.contains("/nonexistent/broker.toml, but found: No such file"), "{error}");
        assert!(error.contains("--config"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_config_is_not_read_to_its_end() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(CONFIG_BYTES_MAX + 1).expect("sized");
        let error = ConfigFile::read(file.path()).expect_err("too large");
        assert!(matches!(error, ConfigError::TooLarge { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z_\\[\\]=.'\"0-9 \n]{0,60}") {
            let _ = parse(&text);
        }
    }
}
