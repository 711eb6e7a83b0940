//! `harness init`: a commented configuration to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A configuration that runs as it is, with what else can be said in comments.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Why the example was not written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a file of that name.
    #[error(
        "expected {} to be a new file, found one that is there already; name another one, or \
         remove it first",
        path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}; name a file in a directory that you may write to", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Writes the example to a new file.
///
/// # Errors
/// [`InitError`]; a file that is there is left as it is.
pub fn write_example(path: &Path) -> Result<(), InitError> {
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    let written = written.and_then(|mut file| file.write_all(EXAMPLE.as_bytes()));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => InitError::Write { path: path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_example_is_a_configuration_and_so_is_what_its_comments_say() {
        let config = Config::parse(EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((config.brokers.len(), config.streams.len()), (3, 6));
        // A comment of keys begins without a space; one of words has one.
        let spoken: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(keys)
                    if keys.starts_with(|first: char| first.is_alphabetic() || first == '[') =>
                {
                    format!("{keys}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        let all = Config::parse(&spoken).unwrap_or_else(|error| panic!("{spoken}\n{error}"));
        assert!(all.operations.is_some() && !all.storms.is_empty() && !all.outages.is_empty());
    }

    #[test]
    fn a_file_that_is_there_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new.toml");
        write_example(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        let error = write_example(&path).unwrap_err().to_string();
        assert!(error.contains("new.toml to be a new file"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        let error = write_example(&dir.path().join("no/such.toml")).unwrap_err().to_string();
        assert!(error.contains("cannot write"), "{error}");
    }
}
