//! Subscribes to News, pulls, and prints its messages.
//!
//! `cargo run -p client-api --example subscriber -- [ADDRESS]`

#![expect(clippy::print_stdout, reason = "a program that tells what it does")]

use client_api::Error;
use client_api::blocking::Client;

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:8080".to_owned());
    let mut client = Client::connect(&address)?;
    let subscriber = client.register_subscriber();
    client.subscribe("News", &subscriber)?;
    println!("subscriber {subscriber} is subscribed to News");

    let pulled = client.pull("News", &subscriber)?;
    if pulled.messages.is_empty() {
        println!("No new messages");
    }
    for message in pulled.messages {
        println!("{}", String::from_utf8_lossy(&message.payload));
    }
    Ok(())
}
