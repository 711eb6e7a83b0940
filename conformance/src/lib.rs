//! One behaviour suite, run against every backend over real sockets.
//!
//! The tests start the broker binaries that users run and speak to them with clients of their
//! own, so that a mistake shared by the broker and the client library cannot hide. A story is
//! written once: [`for_both_backends!`] stamps it onto every backend, and [`for_both_dialects!`]
//! onto every backend and every dialect that it is the same in. What holds for topics in memory and
//! on disk alike is stamped onto both by [`for_all_hosts!`] and [`for_all_hosts_and_dialects!`].
//! [`for_both_mqtt_versions!`] stamps a story onto every backend in MQTT 3.1.1 and 5.0.
//!
//! Nothing here sleeps to let something happen: a wait ends when what it waits for is there, and
//! fails after [`WAIT_MAX`]. This library is for tests, so whatever goes wrong in it panics, with
//! what was expected and what was found.

mod backend;
mod broker_process;
mod connection;
mod data_dir;
mod host;
mod json_client;
pub mod mqtt;
mod native_client;
mod native_speech;
mod reply;
mod speaks;
mod stamp;
mod wait;

pub use backend::Backend;
pub use broker_process::{BrokerProcess, Exit, run_to_exit};
pub use connection::Connection;
pub use data_dir::DataDir;
pub use host::Host;
pub use json_client::JsonClient;
pub use native_client::{NativeClient, PUSH, frame_bytes};
pub use reply::{Delivered, Received, Reply};
pub use speaks::{Answer, Headers, Leased, Pulled, Speaks};
pub use wait::{WAIT_MAX, at_once, let_time_pass, wait_until};
