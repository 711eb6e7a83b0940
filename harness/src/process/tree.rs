//! A process with all its descendants, and what each had used, those that have ended included.
//!
//! The kernel adds what a process used to its parent's account when the parent waits for it
//! (`cutime` and `cstime` of proc_pid_stat(5), and the bytes written of proc_pid_io(5)). So the sum
//! over the living, each with its account of children, is the sum of all. What is not handed on,
//! because a parent ignores SIGCHLD or ended first, is kept as it was last seen. Context switches are
//! never handed on, and are always kept.

use super::proc_files::{self, CpuTime, Identity, Kin, Size, Switches};
use procfs::ProcError;
use procfs::process::{Process, all_processes};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How often all are read again since one ended meanwhile. A broker that starts and ends processes
/// faster than they can be read is counted as nearly as it can be.
const PASSES_MAX: u32 = 8;

/// What a tree of processes has used since its first process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) cpu: CpuTime,
    pub(super) switches: Switches,
    /// `None`: it may not be read.
    pub(super) disk_written_bytes: Option<u64>,
}

impl Totals {
    /// Nothing used yet.
    pub(super) const NONE: Self = Self {
        cpu: CpuTime { user_ns: 0, system_ns: 0 },
        switches: Switches { voluntary: 0, involuntary: 0 },
        disk_written_bytes: Some(0),
    };

    /// Of both.
    pub(super) fn plus(self, other: Self) -> Self {
        let (mut cpu, mut switches) = (self.cpu, self.switches);
        cpu += other.cpu;
        switches += other.switches;
        let written = self.disk_written_bytes.zip(other.disk_written_bytes);
        Self { cpu, switches, disk_written_bytes: written.map(|(sum, more)| sum + more) }
    }
}

/// Something that may not be read of a process, so that it is missing in the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unreadable {
    FileDescriptors,
    DiskWrites,
}

/// A process and its descendants.
#[derive(Debug)]
pub(super) struct ProcessTree {
    root: Identity,
    /// Processes in the root's group belong to it, whoever their parent is now.
    leads_group: bool,
    members: BTreeMap<i32, Member>,
    ended: Ended,
    unreadable: BTreeSet<Unreadable>,
}

/// What ended processes had used that is in no living one's account.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    cpu: CpuTime,
    switches: Switches,
    written_bytes: u64,
}

#[derive(Clone, Debug)]
struct Member {
    kin: Kin,
    size: Size,
    /// Of each thread, as last seen.
    threads: HashMap<i32, Switches>,
    threads_ended: Switches,
    written_bytes: Option<u64>,
    file_descriptors: Option<u32>,
}

impl Member {
    fn used(&self) -> CpuTime {
        let mut used = self.kin.own;
        used += self.kin.reaped;
        used
    }

    fn switches(&self) -> Switches {
        let mut sum = self.threads_ended;
        self.threads.values().for_each(|switches| sum += *switches);
        sum
    }

    /// Enters what its threads have now; those not seen any more have ended.
    fn set_threads(&mut self, now: HashMap<i32, Switches>) {
        for (thread, last) in &self.threads {
            let goes_on = now.get(thread).is_some_and(|now| now.voluntary >= last.voluntary);
            if !goes_on {
                self.threads_ended += *last;
            }
        }
        self.threads = now;
    }
}

impl ProcessTree {
    /// The tree below a process, surveyed once.
    pub(super) fn new(process_id: u32) -> Result<Self, ProcError> {
        let process = proc_files::open(i32::try_from(process_id).unwrap_or(i32::MAX))?;
        let kin = proc_files::kin(&process)?;
        let root = kin.identity;
        let mut tree = Self {
            root,
            leads_group: kin.group_id == root.process_id,
            members: BTreeMap::new(),
            ended: Ended::default(),
            unreadable: BTreeSet::new(),
        };
        tree.members.insert(root.process_id, member(&process, kin, &mut tree.unreadable)?);
        tree.survey()?;
        Ok(tree)
    }

    /// Reads time, memory and writes of the processes that are known: three small files each.
    ///
    /// A child that ends while they are read may be in its parent's account or not, so all are read
    /// again until none ended meanwhile. Parents are read before their children: then no child that
    /// was still there can be in its parent's account as well.
    ///
    /// # Errors
    /// [`ProcError`] if the first process is gone.
    pub(super) fn look(&mut self) -> Result<(), ProcError> {
        let before: HashMap<i32, (CpuTime, Option<u64>)> = self
            .members
            .iter()
            .map(|(id, member)| (*id, (member.kin.reaped, member.written_bytes)))
            .collect();
        let mut gone: HashMap<i32, Member> = HashMap::new();
        for _ in 0..PASSES_MAX {
            let gone_before = gone.len();
            for id in self.parents_first() {
                let Some(member) = self.members.get_mut(&id) else { continue };
                match look_again(member, &mut self.unreadable) {
                    Ok(()) => {}
                    Err(error) if id == self.root.process_id => {
                        // All stands as it was last seen.
                        self.members.extend(gone);
                        return Err(error);
                    }
                    Err(_) => gone.extend(self.members.remove(&id).map(|member| (id, member))),
                }
            }
            if gone.len() == gone_before {
                break;
            }
        }
        self.bury(&gone, &before);
        Ok(())
    }

    /// Finds new processes, and reads what takes a file for each thread and each process.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(super) fn survey(&mut self) -> Result<(), ProcError> {
        self.look()?;
        self.find_new()?;
        for (id, member) in &mut self.members {
            // One that ends in between is buried at the next look.
            if let Ok(process) = proc_files::open(*id) {
                survey_member(member, &process, &mut self.unreadable);
            }
        }
        Ok(())
    }

    /// Everything used so far.
    pub(super) fn totals(&self) -> Totals {
        let Ended { cpu, switches, written_bytes } = self.ended;
        let ended = Totals { cpu, switches, disk_written_bytes: Some(written_bytes) };
        self.members.values().fold(ended, |sum, member| {
            sum.plus(Totals {
                cpu: member.used(),
                switches: member.switches(),
                disk_written_bytes: member.written_bytes,
            })
        })
    }

    /// Memory and threads of all; pages that several share count in each.
    pub(super) fn size(&self) -> Size {
        self.members.values().fold(Size::default(), |sum, member| Size {
            resident_bytes: sum.resident_bytes + member.size.resident_bytes,
            resident_bytes_max: sum.resident_bytes_max + member.size.resident_bytes_max,
            threads: sum.threads.saturating_add(member.size.threads),
        })
    }

    /// Open files of all, as of the last survey.
    pub(super) fn file_descriptors(&self) -> Option<u32> {
        self.members
            .values()
            .try_fold(0, |sum: u32, member| Some(sum.saturating_add(member.file_descriptors?)))
    }

    /// Which process it is, if it is one alone.
    pub(super) fn only_member(&self) -> Option<Identity> {
        let mut members = self.members.values();
        let only = members.next()?;
        members.next().is_none().then_some(only.kin.identity)
    }

    pub(super) fn unreadable(&self) -> &BTreeSet<Unreadable> {
        &self.unreadable
    }

    fn find_new(&mut self) -> Result<(), ProcError> {
        let everyone: Vec<Kin> =
            all_processes()?.filter_map(|process| proc_files::kin(&process.ok()?).ok()).collect();
        let known: HashSet<i32> = self.members.keys().copied().collect();
        let group = self.leads_group.then_some(self.root.process_id);
        for kin in new_members(&everyone, &known, group) {
            let id = kin.identity.process_id;
            // One that ended in between is in its parent's account, or too short to matter.
            let unreadable = &mut self.unreadable;
            let found = proc_files::open(id).and_then(|process| member(&process, kin, unreadable));
            if let Ok(member) = found {
                self.members.insert(id, member);
            }
        }
        Ok(())
    }

    fn parents_first(&self) -> Vec<i32> {
        let parent = |member: &Member| member.kin.parent_id;
        let has_parent = |member: &Member| self.members.contains_key(&parent(member));
        let tops = self.members.iter().filter(|(_, member)| !has_parent(member));
        let mut order: Vec<i32> = tops.map(|(id, _)| *id).collect();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for (id, member) in self.members.iter().filter(|(_, member)| has_parent(member)) {
            children.entry(parent(member)).or_default().push(*id);
        }
        let mut next = 0;
        while let Some(id) = order.get(next) {
            order.extend(children.remove(id).unwrap_or_default());
            next += 1;
        }
        order
    }

    /// Keeps what those who ended had used, less what their living ancestors were charged for them.
    ///
    /// What an ancestor itself wrote meanwhile cannot be told from what it was charged, so bytes of
    /// children that nobody waited for may be missing.
    fn bury(&mut self, gone: &HashMap<i32, Member>, before: &HashMap<i32, (CpuTime, Option<u64>)>) {
        let mut shares: HashMap<Option<i32>, (CpuTime, u64)> = HashMap::new();
        for member in gone.values() {
            self.ended.switches += member.switches();
            let mut heir = member.kin.parent_id;
            while let Some(parent) = gone.get(&heir) {
                heir = parent.kin.parent_id;
            }
            let heir = self.members.contains_key(&heir).then_some(heir);
            let (cpu, written_bytes) = shares.entry(heir).or_default();
            *cpu += member.used();
            *written_bytes += member.written_bytes.unwrap_or(0);
        }
        for (heir, (cpu, written_bytes)) in shares {
            let heir = heir.and_then(|id| Some((self.members.get(&id)?, before.get(&id)?)));
            let (charged, charged_bytes) = heir.map_or_else(Default::default, |(now, before)| {
                let written = now.written_bytes.zip(before.1);
                let bytes = written.map_or(0, |(now, before)| now.saturating_sub(before));
                (now.kin.reaped.less(before.0), bytes)
            });
            self.ended.cpu += cpu.less(charged);
            self.ended.written_bytes += written_bytes.saturating_sub(charged_bytes);
        }
    }
}

fn member(
    process: &Process,
    kin: Kin,
    unreadable: &mut BTreeSet<Unreadable>,
) -> Result<Member, ProcError> {
    let mut member = Member {
        kin,
        size: Size::default(),
        threads: HashMap::new(),
        threads_ended: Switches::default(),
        written_bytes: Some(0),
        file_descriptors: Some(0),
    };
    read_member(&mut member, process, unreadable)?;
    Ok(member)
}

fn look_again(member: &mut Member, unreadable: &mut BTreeSet<Unreadable>) -> Result<(), ProcError> {
    let process = proc_files::open(member.kin.identity.process_id)?;
    read_member(member, &process, unreadable)
}

/// All or nothing, so that what was seen last of a process that ends belongs together.
fn read_member(
    member: &mut Member,
    process: &Process,
    unreadable: &mut BTreeSet<Unreadable>,
) -> Result<(), ProcError> {
    let kin = proc_files::kin(process)?;
    if kin.identity != member.kin.identity {
        return Err(ProcError::NotFound(None));
    }
    let size = proc_files::size(process)?;
    member.written_bytes = match process.io() {
        Ok(io) => Some(io.write_bytes),
        Err(_) => {
            // Denied, or not counted by this kernel; unless it is the process that is gone.
            proc_files::kin(process)?;
            unreadable.insert(Unreadable::DiskWrites);
            None
        }
    };
    (member.kin, member.size) = (kin, size);
    Ok(())
}

fn is_denied(error: &ProcError) -> bool {
    matches!(error, ProcError::PermissionDenied(_))
}

fn survey_member(member: &mut Member, process: &Process, unreadable: &mut BTreeSet<Unreadable>) {
    match process.fd_count() {
        Ok(count) => member.file_descriptors = Some(u32::try_from(count).unwrap_or(u32::MAX)),
        Err(error) if is_denied(&error) => {
            unreadable.insert(Unreadable::FileDescriptors);
            member.file_descriptors = None;
        }
        // That of a process about to go: what was seen last stands.
        Err(_) => {}
    }
    if let Ok(threads) = proc_files::switches(process.pid) {
        member.set_threads(threads);
    }
}

/// Those not known yet whose parent, or parent's parent, … is known, or who are in the group.
fn new_members(everyone: &[Kin], known: &HashSet<i32>, group: Option<i32>) -> Vec<Kin> {
    let myself = i32::try_from(std::process::id()).unwrap_or(0);
    let mut children: HashMap<i32, Vec<&Kin>> = HashMap::new();
    everyone.iter().for_each(|kin| children.entry(kin.parent_id).or_default().push(kin));
    let in_group = everyone.iter().filter(|kin| Some(kin.group_id) == group);
    let mut unseen: Vec<i32> =
        known.iter().copied().chain(in_group.map(|kin| kin.identity.process_id)).collect();
    let mut seen: HashSet<i32> = HashSet::new();
    while let Some(id) = unseen.pop() {
        // Whoever measures is nobody's broker, even if the broker started it.
        if id != myself && seen.insert(id) {
            unseen
                .extend(children.get(&id).into_iter().flatten().map(|kin| kin.identity.process_id));
        }
    }
    let is_new = |id: &i32| seen.contains(id) && !known.contains(id);
    everyone.iter().filter(|kin| is_new(&kin.identity.process_id)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kin(process_id: i32, parent_id: i32, group_id: i32) -> Kin {
        let identity = Identity { process_id, started_ticks: 1 };
        let (own, reaped) = (CpuTime::default(), CpuTime::default());
        Kin { identity, parent_id, group_id, own, reaped }
    }

    fn check(known: &[i32], group: Option<i32>, expected: &[i32]) {
        let everyone = [
            kin(10, 1, 10),
            kin(11, 10, 10),
            kin(12, 11, 12),
            // Left behind by its parent, in the group of 10 all the same; and its child.
            kin(13, 1, 10),
            kin(14, 13, 14),
            kin(20, 1, 20),
        ];
        let known = known.iter().copied().collect();
        let found = new_members(&everyone, &known, group);
        let ids: Vec<i32> = found.iter().map(|kin| kin.identity.process_id).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn descendants_are_found_to_any_depth_and_orphans_by_their_group() {
        check(&[10], None, &[11, 12]);
        check(&[10], Some(10), &[11, 12, 13, 14]);
        check(&[10, 11, 12], Some(10), &[13, 14]);
    }

    fn used(process_id: i32, parent_id: i32, own_ns: u64, reaped_ns: u64) -> Member {
        let of = |user_ns| CpuTime { user_ns, system_ns: 0 };
        Member {
            kin: Kin { own: of(own_ns), reaped: of(reaped_ns), ..kin(process_id, parent_id, 1) },
            size: Size::default(),
            threads: HashMap::new(),
            threads_ended: Switches::default(),
            written_bytes: Some(own_ns + reaped_ns),
            file_descriptors: None,
        }
    }

    #[test]
    fn what_ended_is_kept_but_for_what_an_ancestor_was_charged() {
        let check = |charged_ns: u64, kept_ns: u64, parent_id: i32| {
            let mut tree = ProcessTree {
                root: kin(1, 0, 1).identity,
                leads_group: false,
                members: BTreeMap::from([(1, used(1, 0, 0, 100 + charged_ns))]),
                ended: Ended::default(),
                unreadable: BTreeSet::new(),
            };
            let before = CpuTime { user_ns: 100, system_ns: 0 };
            let before = HashMap::from([(1, (before, Some(100)))]);
            // A child, and its child: both are in their living ancestor's account, or none is.
            let gone = HashMap::from([(2, used(2, parent_id, 30, 5)), (3, used(3, 2, 7, 0))]);
            tree.bury(&gone, &before);
            assert_eq!(tree.ended.cpu.user_ns, kept_ns);
            assert_eq!(tree.ended.written_bytes, kept_ns);
        };
        check(42, 0, 1);
        check(50, 0, 1);
        check(0, 42, 1);
        check(35, 7, 1);
        // Nobody in the tree could be charged.
        check(42, 42, 99);
    }

    #[test]
    fn a_thread_that_ended_keeps_its_count() {
        let mut member = Member {
            kin: kin(1, 0, 1),
            size: Size::default(),
            threads: HashMap::new(),
            threads_ended: Switches::default(),
            written_bytes: None,
            file_descriptors: None,
        };
        let of = |voluntary| Switches { voluntary, involuntary: 1 };
        member.set_threads(HashMap::from([(1, of(5)), (2, of(7))]));
        member.set_threads(HashMap::from([(1, of(6))]));
        assert_eq!(member.switches(), Switches { voluntary: 13, involuntary: 2 });
        // The id of a thread that ended is used again.
        member.set_threads(HashMap::from([(1, of(2))]));
        assert_eq!(member.switches(), Switches { voluntary: 15, involuntary: 3 });
    }
}
