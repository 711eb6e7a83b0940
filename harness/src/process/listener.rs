//! Which process listens at an address of this machine.

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, Process, all_processes};
use procfs::{ProcError, net};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Programs that listen for a container, whose own process is elsewhere.
const CONTAINER_PROXIES: [&str; 4] = ["docker-proxy", "rootlessport", "slirp4netns", "pasta"];

/// The first process listens on behalf of others where it starts them on demand.
const INIT: i32 = 1;

/// The process that listens at an address; of several that share the socket, the one that the
/// others descend from, and else the oldest.
///
/// # Errors
/// A sentence that says why there is none to be found, and what to do.
///
/// ```
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let id = harness::process::find_listener(listener.local_addr()?);
/// assert_eq!(id, Ok(std::process::id()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn find_listener(address: SocketAddr) -> Result<u32, String> {
    let advice = "its resources are not sampled; have the harness start it by `command`, on the \
                  machine where it is to be measured";
    if !is_local(address.ip()) {
        return Err(format!("the broker at {address} is on another machine: {advice}"));
    }
    let sockets = listening(address).map_err(|error| {
        format!("cannot read who listens at {address}: {error}; run on Linux with /proc mounted")
    })?;
    if sockets.is_empty() {
        return Err(format!(
            "nobody listens at {address} in this network namespace: {advice}, or check `address`"
        ));
    }
    let Holders { processes, denied } = holders(&sockets);
    match eldest(&processes) {
        Some((_, name)) if CONTAINER_PROXIES.contains(&name.as_str()) => {
            Err(format!("{name} listens at {address} for a broker in a container: {advice}"))
        }
        Some((id, _)) => u32::try_from(id).map_err(|error| error.to_string()),
        None if denied > 0 => Err(format!(
            "the broker at {address} is another user's, and its files may not be read: its \
             resources are not sampled; run the harness as that user"
        )),
        None => Err(format!("no process in sight holds the socket at {address}: {advice}")),
    }
}

/// Only an address of this machine's own can be bound.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The inodes of the sockets that listen at the address, or at every address with its port.
fn listening(address: SocketAddr) -> Result<BTreeSet<u64>, ProcError> {
    let mut entries = net::tcp()?;
    // A kernel without IPv6 has no such file.
    entries.extend(net::tcp6().unwrap_or_default());
    Ok(at_address(&entries, address))
}

fn at_address(entries: &[TcpNetEntry], address: SocketAddr) -> BTreeSet<u64> {
    let listening =
        || entries.iter().filter(|entry| entry.state == TcpState::Listen && entry.inode != 0);
    let inodes = |is_meant: &dyn Fn(SocketAddr) -> bool| -> BTreeSet<u64> {
        listening().filter(|entry| is_meant(entry.local_address)).map(|entry| entry.inode).collect()
    };
    let ip = address.ip().to_canonical();
    let exact = inodes(&|at| at.port() == address.port() && at.ip().to_canonical() == ip);
    if !exact.is_empty() {
        return exact;
    }
    // `::` takes IPv4 too, `0.0.0.0` no IPv6.
    let takes = |at: IpAddr| at.is_unspecified() && (at.is_ipv6() || ip.is_ipv4());
    inodes(&|at| at.port() == address.port() && takes(at.ip()))
}

/// A process that has one of the sockets open.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    parent_id: i32,
    started_ticks: u64,
    name: String,
}

struct Holders {
    processes: BTreeMap<i32, Holder>,
    /// Processes that may not be looked into.
    denied: usize,
}

fn holders(sockets: &BTreeSet<u64>) -> Holders {
    let mut found = Holders { processes: BTreeMap::new(), denied: 0 };
    for process in all_processes().into_iter().flatten().flatten() {
        match holds(&process, sockets) {
            Ok(true) => {
                if let Ok(stat) = process.stat() {
                    let (parent_id, started_ticks) = (stat.ppid, stat.starttime);
                    let holder = Holder { parent_id, started_ticks, name: stat.comm };
                    found.processes.insert(stat.pid, holder);
                }
            }
            Err(ProcError::PermissionDenied(_)) => found.denied += 1,
            Ok(false) | Err(_) => {}
        }
    }
    found
}

fn holds(process: &Process, sockets: &BTreeSet<u64>) -> Result<bool, ProcError> {
    let mut files = process.fd()?;
    let is_one = |target| matches!(target, FDTarget::Socket(inode) if sockets.contains(&inode));
    Ok(files.any(|file| file.is_ok_and(|file| is_one(file.target))))
}

fn eldest(holders: &BTreeMap<i32, Holder>) -> Option<(i32, String)> {
    let is_top = |(_, holder): &(&i32, &Holder)| {
        holder.parent_id == INIT || !holders.contains_key(&holder.parent_id)
    };
    let tops = holders.iter().filter(is_top);
    let by_age = |(id, holder): &(&i32, &Holder)| (**id == INIT, holder.started_ticks, **id);
    tops.min_by_key(by_age).map(|(id, holder)| (*id, holder.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn holder(parent_id: i32, started_ticks: u64) -> Holder {
        Holder { parent_id, started_ticks, name: "broker".to_owned() }
    }

    #[test]
    fn of_several_that_share_a_socket_the_first_is_the_broker() {
        let check = |holders: &[(i32, Holder)], expected| {
            let holders = holders.iter().cloned().collect();
            assert_eq!(eldest(&holders).map(|(id, _)| id), expected);
        };
        check(&[], None);
        check(&[(20, holder(10, 5)), (21, holder(20, 6)), (22, holder(20, 6))], Some(20));
        check(&[(30, holder(9, 7)), (40, holder(9, 6))], Some(40));
        check(&[(1, holder(0, 0)), (50, holder(1, 9))], Some(50));
        check(&[(1, holder(0, 0))], Some(1));
    }

    #[test]
    fn a_listener_at_every_address_is_found_by_any_of_them() {
        for bound in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            // A machine without IPv6 cannot have the last.
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let port = listener.local_addr().unwrap().port();
            let found = find_listener(([127, 0, 0, 1], port).into());
            assert_eq!(found, Ok(std::process::id()), "{bound}");
        }
    }

    #[test]
    fn an_address_elsewhere_or_without_anybody_says_so() {
        // Reserved for documentation (RFC 5737), so no machine has it.
        let reason = find_listener("192.0.2.1:1883".parse().unwrap()).unwrap_err();
        assert!(reason.contains("another machine") && reason.contains("command"), "{reason}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let reason = find_listener(address).unwrap_err();
        assert!(reason.contains("nobody listens"), "{reason}");
    }
}
