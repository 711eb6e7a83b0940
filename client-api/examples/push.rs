//! Follows a topic with a push subscription, and publishes to it from another task.
//!
//! `cargo run -p client-api --example push -- [ADDRESS]`

#![expect(clippy::print_stdout, reason = "a program that tells what it does")]

use client_api::asynchronous::Client;
use client_api::{AckMode, Code, Error, Lifetime, PushTerms, Pushed};

const TOPIC: &str = "Ticks";
const MESSAGES: u32 = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:8080".to_owned());
    let client = Client::connect(&address).await?;
    match client.create_topic(TOPIC).await {
        Err(error) if error.code() != Some(Code::TopicExists) => return Err(error),
        _ => println!("{TOPIC} is there"),
    }

    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        for number in 1..=MESSAGES {
            publisher.publish(TOPIC, format!("tick {number}")).await?;
        }
        Ok::<(), Error>(())
    });

    let terms = PushTerms::new().ack_mode(AckMode::Cumulative).lifetime(Lifetime::Connection);
    let subscriber = client.register_subscriber();
    let mut ticks = client.subscribe_push(TOPIC, &subscriber, terms).await?;
    let mut left = MESSAGES;
    while left > 0 {
        let Some(arrival) = ticks.next().await else { break };
        match arrival? {
            Pushed::Delivered(message) => {
                println!("{}: {}", message.offset, String::from_utf8_lossy(&message.payload));
                ticks.ack(message.offset);
                left -= 1;
            }
            Pushed::Lost(lost) => println!("{} messages were lost", lost.count),
        }
    }
    publishing.await.expect("publishing does not panic")
}
