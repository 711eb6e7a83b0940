//! Which binary a command means: this workspace's own release build, or one from the system.

use super::ProcessError;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// This workspace's programs that can be measured, and the packages that they are built from.
const OWN_PROGRAMS: [(&str, &str); 4] = [
    ("broker-mio", "broker-mio"),
    ("broker-threaded", "broker-threaded"),
    ("byte-pipe", "harness"),
    ("stub-broker", "harness"),
];

/// Other programs, and the Debian packages that they come in.
const PEER_PACKAGES: [(&str, &str); 4] = [
    ("redis-server", "redis-server"),
    ("nats-server", "nats-server"),
    ("mosquitto", "mosquitto"),
    ("rabbitmq-server", "rabbitmq-server"),
];

/// What a command's first word means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// A binary that is there.
    Found(PathBuf),
    /// One of this workspace's, not built yet.
    Unbuilt {
        /// Where it will be.
        path: PathBuf,
        /// The package that it is built from.
        package: &'static str,
    },
    /// A binary that is not there, and how to get it.
    Missing {
        /// For whoever wants it.
        advice: String,
    },
}

/// Finds the program that `name` means: beside this binary for the workspace's own, else along
/// `PATH`, else as a path.
#[must_use]
pub fn locate(name: &str) -> Program {
    if let Some((_, package)) = OWN_PROGRAMS.iter().find(|(program, _)| *program == name) {
        let path = release_dir().join(name);
        if path.is_file() {
            return Program::Found(path);
        }
        if workspace_root().join("Cargo.toml").is_file() {
            return Program::Unbuilt { path, package };
        }
    }
    let along_path = std::env::var_os("PATH");
    match find_along(along_path.as_deref().unwrap_or_default(), name) {
        Some(found) => Program::Found(found),
        None => Program::Missing { advice: advice(name) },
    }
}

/// Builds the program that `command` begins with, if it is this workspace's own and not built
/// yet; `say` is told beforehand.
///
/// # Errors
/// [`ProcessError::Build`].
pub fn build_missing(command: &[String], say: &mut dyn FnMut(&str)) -> Result<(), ProcessError> {
    let Some(name) = command.first() else { return Ok(()) };
    let Program::Unbuilt { path, package } = locate(name) else { return Ok(()) };
    say(&format!("{name} is not built yet: building the package {package} in release mode"));
    build(&path, package)
}

fn find_along(path: &OsStr, name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|file| file.is_file());
    }
    std::env::split_paths(path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn advice(name: &str) -> String {
    let program = Path::new(name).file_name().unwrap_or_default();
    match PEER_PACKAGES.iter().find(|(peer, _)| *peer == program) {
        Some((_, package)) => {
            format!("{name} is not installed; `apt-get install {package}` does it")
        }
        None if name.contains('/') => format!("there is no {name}; give the path of a program"),
        None => format!("{name} was not found along PATH; install it, or give its path"),
    }
}

/// The directory of optimised builds: a debug build of a broker is not worth measuring.
fn release_dir() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let mut dir = own.parent().unwrap_or(Path::new(".")).to_owned();
    if dir.ends_with("deps") {
        dir.pop();
    }
    if dir.ends_with("debug") { dir.with_file_name("release") } else { dir }
}

fn workspace_root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Builds a package of this workspace, optimised, into the directory that `path` is in.
///
/// Cargo's own output goes to standard error as it comes.
fn build(path: &Path, package: &str) -> Result<(), ProcessError> {
    let program = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |reason: String| ProcessError::Build { program: program.clone(), reason };
    let target_dir = path.parent().and_then(Path::parent).unwrap_or(Path::new("target"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", package, "--bin", &program, "--target-dir"])
        .arg(target_dir)
        .current_dir(workspace_root())
        .stdout(std::process::Stdio::null())
        .status()
        .map_err(|error| failed(error.to_string()))?;
    match (status.success(), path.is_file()) {
        (true, true) => Ok(()),
        (true, false) => Err(failed(format!("the build did not make {}", path.display()))),
        (false, _) => Err(failed(format!("cargo build failed, {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_the_system_is_found_along_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some-broker");
        std::fs::write(&file, "").unwrap();
        let path = std::env::join_paths([Path::new("/nowhere"), dir.path()]).unwrap();
        assert_eq!(find_along(&path, "some-broker"), Some(file.clone()));
        assert_eq!(find_along(&path, "no-broker"), None);
        assert_eq!(find_along(&path, file.to_str().unwrap()), Some(file));
    }

    #[test]
    fn a_missing_program_comes_with_advice() {
        assert!(advice("redis-server").contains("apt-get install redis-server"));
        assert!(advice("other").contains("PATH"));
    }
}
