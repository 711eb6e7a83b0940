//! What a broker in memory does when many topics that publications made have filled it.

use conformance::mqtt::{MqttClient, Publish, Version};
use conformance::{Backend, BrokerProcess, for_both_backends};

for_both_backends! {
    topics_that_publications_made_give_way_to_new_ones,
}

fn topics_that_publications_made_give_way_to_new_ones(backend: Backend) {
    let limits = ["--memory-bytes-max", "9MiB", "--topic-bytes-max", "9MiB"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = MqttClient::connect(&broker, Version::V5, "p");
    let payload = "x".repeat(1 << 20);
    // Nine times what there is memory for: those refused meanwhile are tried again.
    for number in 0..81 {
        let topic = format!("many/{}", number % 27);
        conformance::wait_until("room for the message", || {
            client.publish(Publish::new(&topic, payload.as_str()).qos(1)) == 0
        });
    }
}
