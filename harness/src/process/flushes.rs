//! How often the disks beneath a directory were told to make durable what they had in their caches.

use procfs::DiskStat;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A device by its numbers.
type Device = (u32, u32);

const SYS: &str = "/sys";

/// Mapped devices lie on each other no deeper.
const DEPTH_MAX: u32 = 16;

/// Counts the flush requests of the disks that a directory is on, whoever caused them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FlushCounter {
    disks: BTreeSet<Device>,
}

impl FlushCounter {
    /// The disks beneath a directory.
    ///
    /// # Errors
    /// A sentence that says why they cannot be told, or are told of no flushes.
    pub(super) fn of(directory: &Path) -> Result<Self, String> {
        let device = device_of(directory)?;
        let disks = disks_beneath(Path::new(SYS), device, DEPTH_MAX);
        if disks.is_empty() {
            return Err(format!(
                "disk flushes are not counted: {} is on a file system without a disk of its own; \
                 set data_root to a directory on a disk",
                directory.display()
            ));
        }
        if disks.iter().all(|disk| is_write_through(Path::new(SYS), *disk)) {
            return Err(
                "disk flushes are not counted: the disk says that it has no volatile cache, so the \
                 kernel sends it none; count its writes instead"
                    .to_owned(),
            );
        }
        let counter = Self { disks };
        counter.read().map(|_| counter.clone()).ok_or_else(|| {
            "disk flushes are not counted: /proc/diskstats has no such field; use Linux 5.5 or later"
                .to_owned()
        })
    }

    /// Flush requests completed since the machine started, field 16 behind the name in
    /// `/proc/diskstats` (the kernel's Documentation/admin-guide/iostats.rst).
    pub(super) fn read(&self) -> Option<u64> {
        flushes(&procfs::diskstats().ok()?, &self.disks)
    }
}

fn flushes(all: &[DiskStat], disks: &BTreeSet<Device>) -> Option<u64> {
    let numbers =
        |disk: &DiskStat| Some((disk.major.try_into().ok()?, disk.minor.try_into().ok()?));
    let ours = |disk: &&DiskStat| numbers(disk).is_some_and(|numbers| disks.contains(&numbers));
    let counts: Vec<Option<u64>> = all.iter().filter(ours).map(|disk| disk.flushes).collect();
    if counts.is_empty() { None } else { counts.into_iter().sum() }
}

/// The block device that a directory's file system names as its own or was mounted from.
fn device_of(directory: &Path) -> Result<Device, String> {
    let failed = |error| {
        format!(
            "disk flushes are not counted: {} cannot be looked at: {error}; check data_root",
            directory.display()
        )
    };
    let number = fs::metadata(directory).map_err(failed)?.dev();
    if rustix::fs::major(number) != 0 {
        return Ok((rustix::fs::major(number), rustix::fs::minor(number)));
    }
    // Some, as btrfs, give each subvolume a number that is no device's.
    let real = directory.canonicalize().map_err(failed)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(failed)?;
    let source = super::data_dir::mount_of(&real, &mounts).map(|(_, device)| device);
    let source = source.filter(|device| device.starts_with("/dev/"));
    let number = source.and_then(|device| fs::metadata(device).ok()).map_or(0, |file| file.rdev());
    Ok((rustix::fs::major(number), rustix::fs::minor(number)))
}

/// Flushes are counted on whole disks only: for a partition that is the disk around it, for a
/// mapped device (LVM, RAID, encryption) the disks that it lies on.
fn disks_beneath(sys: &Path, device: Device, depth: u32) -> BTreeSet<Device> {
    let Some(at) = place(sys, device).filter(|_| depth > 0) else { return BTreeSet::new() };
    if at.join("partition").exists() {
        let disk = at.parent().and_then(numbers);
        return disk.map(|disk| disks_beneath(sys, disk, depth - 1)).unwrap_or_default();
    }
    let beneath: BTreeSet<Device> = fs::read_dir(at.join("slaves"))
        .into_iter()
        .flatten()
        .filter_map(|entry| numbers(&entry.ok()?.path()))
        .flat_map(|below| disks_beneath(sys, below, depth - 1))
        .collect();
    if beneath.is_empty() { BTreeSet::from([device]) } else { beneath }
}

fn place(sys: &Path, (major, minor): Device) -> Option<PathBuf> {
    sys.join(format!("dev/block/{major}:{minor}")).canonicalize().ok()
}

fn numbers(at: &Path) -> Option<Device> {
    let text = fs::read_to_string(at.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn is_write_through(sys: &Path, disk: Device) -> bool {
    place(sys, disk)
        .and_then(|at| fs::read_to_string(at.join("queue/write_cache")).ok())
        .is_some_and(|cache| cache.trim() == "write through")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A `/sys` with these devices: numbers, place, and the places that it lies on.
    fn sys(devices: &[(&str, &str, &[&str])]) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        fs::create_dir_all(sys.path().join("dev/block")).unwrap();
        for (numbers, place, slaves) in devices {
            let at = sys.path().join(place);
            fs::create_dir_all(at.join("slaves")).unwrap();
            fs::write(at.join("dev"), format!("{numbers}\n")).unwrap();
            symlink(&at, sys.path().join("dev/block").join(numbers)).unwrap();
            for slave in *slaves {
                let name = slave.rsplit('/').next().unwrap();
                symlink(sys.path().join(slave), at.join("slaves").join(name)).unwrap();
            }
        }
        sys
    }

    #[test]
    fn a_mapped_device_is_the_disks_beneath_its_partitions() {
        let sys = sys(&[
            ("8:0", "sda", &[]),
            ("8:1", "sda/sda1", &[]),
            ("8:16", "sdb", &[]),
            ("253:0", "dm-0", &["sda/sda1", "sdb"]),
        ]);
        fs::write(sys.path().join("sda/sda1/partition"), "1\n").unwrap();
        let beneath = |device| disks_beneath(sys.path(), device, DEPTH_MAX);
        assert_eq!(beneath((253, 0)), BTreeSet::from([(8, 0), (8, 16)]));
        assert_eq!(beneath((8, 1)), BTreeSet::from([(8, 0)]));
        assert_eq!(beneath((8, 16)), BTreeSet::from([(8, 16)]));
        assert_eq!(beneath((0, 26)), BTreeSet::new());
    }

    #[test]
    fn flushes_are_field_16_behind_the_name_and_summed() {
        let diskstats = [
            "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
            "   8      16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 100 17",
            "   9       0 old 1 2 3 4 5 6 7 8 9 10 11",
        ]
        .map(|line| DiskStat::from_line(line).unwrap());
        let of = |disks: &[Device]| flushes(&diskstats, &disks.iter().copied().collect());
        assert_eq!(of(&[(8, 0), (8, 16)]), Some(116));
        assert_eq!(of(&[(9, 0)]), None);
        assert_eq!(of(&[(1, 1)]), None);
    }

    #[test]
    fn a_directory_that_is_no_disk_says_so() {
        let reason = FlushCounter::of(Path::new("/proc")).unwrap_err();
        assert!(reason.contains("data_root"), "{reason}");
        let reason = FlushCounter::of(Path::new("/no/such/place")).unwrap_err();
        assert!(reason.contains("/no/such/place"), "{reason}");
    }
}
