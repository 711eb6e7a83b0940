//! The backends there are, and where their binaries lie.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One of the I/O backends that the broker runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Blocking threads.
    Threaded,
    /// A mio event loop.
    Mio,
}

impl Backend {
    /// Every backend there is.
    pub const ALL: [Self; 2] = [Self::Threaded, Self::Mio];

    /// The name that it goes by in the ready line and in INFO.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Threaded => "threaded",
            Self::Mio => "mio",
        }
    }

    /// The broker binary, built in this test's own profile and target directory.
    #[must_use]
    pub fn binary(self) -> &'static Path {
        static THREADED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static MIO: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let built = match self {
            Self::Threaded => &THREADED,
            Self::Mio => &MIO,
        };
        match built.get_or_init(|| build(self.package())) {
            Ok(path) => path,
            Err(why) => panic!("expected {} to build, found:\n{why}", self.package()),
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Threaded => "broker-threaded",
            Self::Mio => "broker-mio",
        }
    }
}

/// Builds the binary of `package`, and takes its place from cargo's account of it, one JSON object
/// a line. Cargo alone knows where its binaries go, and builds nothing that is there already.
fn build(package: &str) -> Result<PathBuf, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args([
        "build",
        "--quiet",
        "--message-format=json-render-diagnostics",
        "--package",
        package,
    ]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let account = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let mut artifacts = account.lines().filter_map(|line| serde_json::from_str(line).ok());
    let binary = artifacts.find_map(|artifact: Value| match artifact["executable"].as_str() {
        Some(path) if artifact["target"]["name"] == package => Some(PathBuf::from(path)),
        _ => None,
    });
    binary.ok_or_else(|| format!("no binary {package} in that package"))
}
