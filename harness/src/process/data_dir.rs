//! A directory for one broker's files: made fresh, told what file system it is on, removed.

use super::ProcessError;
use measure::DataPlace;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const NAME_PREFIX: &str = "tandem-bench-";

/// `st_blocks` counts in these (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// A directory that is removed, with everything in it, when it is dropped.
#[derive(Debug)]
pub struct DataDir {
    dir: TempDir,
    place: DataPlace,
}

impl DataDir {
    /// Makes one in `root`, or where the system has its temporary files.
    ///
    /// # Errors
    /// [`ProcessError::DataDir`] if there is no such place, or nothing can be made there.
    pub fn create(root: Option<&Path>) -> Result<Self, ProcessError> {
        let root = root.map_or_else(std::env::temp_dir, Path::to_owned);
        let failed = |source| ProcessError::DataDir { root: root.clone(), source };
        let dir = tempfile::Builder::new().prefix(NAME_PREFIX).tempdir_in(&root).map_err(failed)?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(failed)?;
        let real = dir.path().canonicalize().map_err(failed)?;
        let (file_system, device) = mount_of(&real, &mounts)
            .unwrap_or_else(|| ("unknown".to_owned(), "an unknown device".to_owned()));
        let place = DataPlace { root: root.display().to_string(), file_system, device };
        Ok(Self { dir, place })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What it is on.
    #[must_use]
    pub fn place(&self) -> &DataPlace {
        &self.place
    }

    /// What its files occupy, allocated room included.
    ///
    /// # Errors
    /// [`ProcessError::DataDir`] if it cannot be walked.
    pub fn stored_bytes(&self) -> Result<u64, ProcessError> {
        let mut bytes = 0;
        self.for_each_file(&mut |path| {
            bytes += std::fs::metadata(path)?.blocks() * BLOCK_BYTES;
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Asks the kernel to forget what it has in memory of its files, after writing what is not
    /// written yet.
    ///
    /// # Errors
    /// [`ProcessError::DataDir`] if a file cannot be opened or synced.
    pub fn evict_page_cache(&self) -> Result<(), ProcessError> {
        self.for_each_file(&mut |path| {
            let file = File::open(path)?;
            file.sync_data()?;
            Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
        })
    }

    fn for_each_file(
        &self,
        visit: &mut dyn FnMut(&Path) -> io::Result<()>,
    ) -> Result<(), ProcessError> {
        let failed = |source| ProcessError::DataDir { root: self.path().to_owned(), source };
        let mut unseen: Vec<PathBuf> = vec![self.path().to_owned()];
        while let Some(directory) = unseen.pop() {
            for entry in std::fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                let visited = match (kind.is_dir(), kind.is_file()) {
                    (true, _) => {
                        unseen.push(entry.path());
                        Ok(())
                    }
                    (false, true) => visit(&entry.path()),
                    (false, false) => Ok(()),
                };
                match visited {
                    // A broker that runs may remove a file at any moment.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    visited => visited.map_err(failed)?,
                }
            }
        }
        Ok(())
    }
}

/// File system and device of the mount that `path` is on, from `/proc/self/mountinfo`
/// (proc_pid_mountinfo(5)): `36 35 98:0 /root /mount/point options [fields] - ext4 /dev/x options`.
pub(super) fn mount_of(path: &Path, mounts: &str) -> Option<(String, String)> {
    let mut found: Option<(usize, String, String)> = None;
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let (Some(point), [file_system, device, ..]) =
            (before.split(' ').nth(4), &after.split(' ').collect::<Vec<_>>()[..])
        else {
            continue;
        };
        // Of two mounts on one point the later one covers the earlier.
        let is_nearer = found.as_ref().is_none_or(|(length, ..)| point.len() >= *length);
        if path.starts_with(point) && is_nearer {
            found = Some((point.len(), (*file_system).to_owned(), (*device).to_owned()));
        }
    }
    found.map(|(_, file_system, device)| (file_system, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        30 22 0:26 / /tmp rw,nosuid shared:2 - tmpfs tmpfs rw,size=4G\n\
        31 22 0:27 / /tmp/deep rw - xfs /dev/vdb rw\n";

    fn check(path: &str, file_system: &str, device: &str) {
        let found = mount_of(Path::new(path), MOUNTS).unwrap();
        assert_eq!(found, (file_system.to_owned(), device.to_owned()), "{path}");
    }

    #[test]
    fn a_path_is_on_the_nearest_mount_above_it() {
        check("/var/tmp/x", "ext4", "/dev/vda");
        check("/tmp/x", "tmpfs", "tmpfs");
        check("/tmp/deep/x", "xfs", "/dev/vdb");
        check("/tmp/deeper", "tmpfs", "tmpfs");
        assert_eq!(mount_of(Path::new("/x"), ""), None);
    }

    #[test]
    fn a_directory_is_measured_evicted_and_removed_with_its_files() {
        let data_dir = DataDir::create(None).unwrap();
        let path = data_dir.path().to_owned();
        std::fs::create_dir(path.join("inner")).unwrap();
        std::fs::write(path.join("inner/file"), vec![1; 100_000]).unwrap();
        data_dir.evict_page_cache().unwrap();
        assert!(data_dir.stored_bytes().unwrap() >= 100_000);
        drop(data_dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_root_that_is_not_there_is_named() {
        let error = DataDir::create(Some(Path::new("/no/such/place"))).unwrap_err().to_string();
        assert!(error.contains("/no/such/place") && error.contains("data_root"), "{error}");
    }
}
