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
        static BUILT: OnceLock<[PathBuf; 2]> = OnceLock::new();
        let [threaded, mio] = BUILT.get_or_init(|| {
            let artifacts = build();
            Self::ALL.map(|backend| executable(&artifacts, backend.package()))
        });
        match self {
            Self::Threaded => threaded,
            Self::Mio => mio,
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Threaded => "broker-threaded",
            Self::Mio => "broker-mio",
        }
    }
}

/// Builds both brokers and gives cargo's account of it, one JSON object a line. Cargo alone knows
/// where its binaries go, and builds nothing that is there already.
fn build() -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--bins", "--quiet"]);
    for backend in Backend::ALL {
        cargo.args(["--package", backend.package()]);
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.arg("--message-format=json").output().expect("cargo runs");
    assert!(
        output.status.success(),
        "expected the brokers to build, found:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

fn executable(artifacts: &str, name: &str) -> PathBuf {
    let mut artifacts = artifacts.lines().filter_map(|line| serde_json::from_str(line).ok());
    let binary = artifacts.find_map(|artifact: Value| match artifact["executable"].as_str() {
        Some(path) if artifact["target"]["name"] == name => Some(PathBuf::from(path)),
        _ => None,
    });
    binary.unwrap_or_else(|| panic!("expected a binary {name} from its package, found none"))
}
