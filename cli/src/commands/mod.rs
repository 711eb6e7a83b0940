//! What each command does.

mod consume;
mod inspect;
mod journal;
mod publish;

pub(crate) use consume::{follow, pull, seek, subscribe, unsubscribe};
pub(crate) use inspect::{info, ping, subscribers, topic};
pub(crate) use journal::journal;
pub(crate) use publish::publish;

use crate::arguments::Arguments;
use client_api::Error;
use client_api::blocking::Client;

/// Connects for a command that asks once.
fn connect_once(arguments: &Arguments) -> Result<Client, Error> {
    Client::connect_with(&arguments.broker, arguments.options_once())
}
