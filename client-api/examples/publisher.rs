//! Creates five topics, deletes two of them, and publishes three messages to each that is left.
//!
//! `cargo run -p client-api --example publisher -- [ADDRESS]`

#![expect(clippy::print_stdout, reason = "a program that tells what it does")]

use client_api::blocking::Client;
use client_api::{Code, Error};

const CREATED: [&str; 5] = ["News", "Sports", "Technology", "Health", "Entertainment"];
const DELETED: [&str; 2] = ["Health", "Entertainment"];
const MESSAGES_PER_TOPIC: usize = 3;

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:8080".to_owned());
    let mut client = Client::connect(&address)?;
    println!("publisher {} is connected to {address}", client.register_publisher());

    for topic in CREATED {
        match client.create_topic(topic) {
            Ok(()) => println!("created {topic}"),
            Err(error) if error.code() == Some(Code::TopicExists) => println!("found {topic}"),
            Err(error) => return Err(error),
        }
    }
    for topic in DELETED {
        client.delete_topic(topic)?;
        println!("deleted {topic}");
    }
    for topic in CREATED.iter().filter(|topic| !DELETED.contains(topic)) {
        for number in 1..=MESSAGES_PER_TOPIC {
            let offset = client.publish(topic, format!("{topic} message {number}"))?;
            println!("published message {number} to {topic} at offset {offset}");
        }
    }
    Ok(())
}
