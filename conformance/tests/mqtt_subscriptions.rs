//! SUBSCRIBE and UNSUBSCRIBE: which filters there are, what they match, and what is answered.

use conformance::for_both_mqtt_versions;
use conformance::mqtt::{Connect, MqttClient, Publish, Version};
use conformance::mqtt::{packet, puback, reason, subscribe};
use conformance::{Backend, BrokerProcess};
use std::collections::BTreeSet;

for_both_mqtt_versions! {
    filters_match_what_the_standard_says,
    wildcards_do_not_match_dollar_topics,
    dollar_filters_do_not_match_ordinary_topics,
    topics_are_case_sensitive_and_not_normalised,
    suback_has_a_code_for_each_filter_in_order,
    many_filters_in_one_subscribe_are_all_there,
    an_invalid_filter_is_refused,
    overlapping_filters_bring_a_message_with_the_highest_qos,
    two_clients_with_overlapping_filters_each_have_the_message,
    subscribing_again_replaces_the_subscription,
    subscribing_again_brings_a_message_once,
    no_message_is_lost_while_subscribing_again,
    unsubscribing_ends_the_subscription,
    unsubscribing_one_filter_leaves_the_others,
    unsubscribing_is_by_the_filter_and_not_by_what_it_matches,
    unsubscribing_what_was_not_subscribed_is_answered,
    several_filters_may_be_unsubscribed_at_once,
    what_is_under_way_is_finished_after_unsubscribing,
    acknowledging_what_is_not_subscribed_any_more_acknowledges_nothing_else,
    a_message_published_before_subscribing_does_not_come,
    a_subscription_holds_from_its_suback_on,
    a_subscriber_to_all_hears_all,
    very_many_levels_are_fine,
    one_client_may_have_many_subscriptions,
}

/// Filters, and topics that they match or do not.
const MATCHES: [(&str, &[&str], &[&str]); 16] = [
    ("a/b", &["a/b"], &["a", "a/b/", "/a/b", "a/b/c", "a/B"]),
    ("+", &["a", "finance"], &["/a", "a/", "a/b"]),
    ("/+", &["/a", "/"], &["a", "/a/b"]),
    ("+/+", &["a/b", "/a", "a/", "/"], &["a", "a/b/c"]),
    ("a/+", &["a/b", "a/"], &["a", "a/b/c", "b/a"]),
    ("a/+/c", &["a/b/c", "a//c"], &["a/c", "a/b/b/c", "a/b/d"]),
    ("+/b", &["a/b", "/b"], &["b", "a/b/c"]),
    ("+/+/+", &["a/b/c", "//"], &["a/b", "a/b/c/d"]),
    ("#", &["a", "/", "a/b/c", "/a"], &[]),
    ("a/#", &["a", "a/", "a/b", "a/b/c"], &["ab", "b/a", "/a"]),
    ("/#", &["/", "/a", "/a/b"], &["a", "a/"]),
    ("+/#", &["a", "a/b", "/", "/a/b"], &[]),
    ("a/+/#", &["a/b", "a/", "a/b/c/d"], &["a", "b/b"]),
    ("+/b/#", &["a/b", "/b", "a/b/c"], &["b", "a/c"]),
    ("a//b", &["a//b"], &["a/b", "a/x/b"]),
    ("a/+/+/d", &["a/b/c/d", "a///d"], &["a/b/d", "a/b/c/e"]),
];

/// What no filter may be.
const INVALID: [&str; 10] = ["", "a#", "a/#/b", "#/a", "a/b#", "##", "a+", "+a", "a/b+/c", "++"];

fn filters_match_what_the_standard_says(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    for (filter, matching, others) in MATCHES {
        let mut client = MqttClient::connect(&broker, version, "s");
        assert_eq!(client.subscribe(filter, 1), 1, "{filter:?}");
        for topic in others.iter().chain(matching) {
            publisher.publish_text(topic, "m", 1);
        }
        let heard: BTreeSet<_> = matching.iter().map(|_| client.receive().topic).collect();
        let expected: BTreeSet<_> = matching.iter().map(|topic| (*topic).to_owned()).collect();
        assert_eq!(heard, expected, "heard by {filter:?}");
        client.expect_nothing();
    }
}

fn wildcards_do_not_match_dollar_topics(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let mut client = MqttClient::connect(&broker, version, "s");
    for filter in ["#", "+/b", "+/#", "+/+", "+"] {
        client.subscribe(filter, 1);
    }
    // A broker need not take these at all.
    for topic in ["$TopicA/b", "$SYS/b", "$a"] {
        publisher.send_publish(&Publish::new(topic, "m"));
    }
    publisher.publish_text("end", "m", 1);
    assert_eq!(client.receive().topic, "end");
}

fn dollar_filters_do_not_match_ordinary_topics(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let mut client = MqttClient::connect(&broker, version, "s");
    for filter in ["$SYS/#", "$SYS/+", "$none/#"] {
        assert!(client.subscribe(filter, 1) < 0x80, "{filter:?} is a filter as any");
    }
    client.subscribe("end", 1);
    publisher.publish_text("SYS/b", "m", 1);
    publisher.publish_text("end", "m", 1);
    // The broker may tell of itself meanwhile.
    while client.receive().topic != "end" {}
}

fn topics_are_case_sensitive_and_not_normalised(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("Accounts/ümlaut", 1);
    // The last one is spelled with a combining mark.
    for topic in ["ACCOUNTS/ümlaut", "accounts/ümlaut", "Accounts/u\u{308}mlaut"] {
        publisher.publish_text(topic, "m", 1);
    }
    publisher.publish_text("Accounts/ümlaut", "m", 1);
    client.expect_message("Accounts/ümlaut", "m");
    client.expect_nothing();
}

fn suback_has_a_code_for_each_filter_in_order(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    let filters = [("a", 2), ("b", 0), ("c", 1), ("d/#", 2), ("+", 0)];
    assert_eq!(client.subscribe_as(&filters, &[]).codes, [2, 0, 1, 2, 0]);
}

fn many_filters_in_one_subscribe_are_all_there(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    let names: Vec<String> = (0..100).map(|at| format!("t/{at}")).collect();
    let filters: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    assert_eq!(client.subscribe_as(&filters, &[]).codes, [1; 100]);
    for name in names {
        client.publish_text(&name, "m", 1);
        client.expect_message(&name, "m");
    }
}

fn an_invalid_filter_is_refused(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for filter in INVALID {
        let mut client = MqttClient::connect(&broker, version, "s");
        client.send(&subscribe(version, 9, &[("before", 1), (filter, 1), ("behind", 1)], &[]));
        let refusal = if version == Version::V5 { reason::FILTER_INVALID } else { 0x80 };
        match client.read_or_end() {
            // The one filter is refused, and its neighbours are there.
            Some(received) if received.name() == "SUBACK" => {
                assert_eq!(received.suback(version).codes, [1, refusal, 1], "{filter:?}");
                client.publish_text("behind", filter, 1);
                client.expect_message("behind", filter);
            }
            // Or it ends the connection.
            Some(received) if version == Version::V5 => {
                let code = received.disconnect().code;
                let reasons = [refusal, reason::MALFORMED, reason::PROTOCOL_ERROR];
                assert!(reasons.contains(&code), "{filter:?}: {received:?}");
                client.expect_closed();
            }
            Some(received) => panic!("expected SUBACK or the end, found {received:?}"),
            None => assert_eq!(version, Version::V311, "{filter:?}: DISCONNECT says why"),
        }
    }
}

fn overlapping_filters_bring_a_message_with_the_highest_qos(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    let filters = [("TopicA/#", 2), ("TopicA/+", 1), ("TopicA/C", 0)];
    client.subscribe_as(&filters, &[]);
    client.publish_text("TopicA/C", "overlapping", 2);
    let mut qos = vec![client.expect_message("TopicA/C", "overlapping").qos];
    for publish in client.receive_ready() {
        assert_eq!((publish.topic.as_str(), publish.text()), ("TopicA/C", "overlapping"));
        qos.push(publish.qos);
    }
    qos.sort_unstable();
    // One for all, or one for each.
    assert!(qos == [2] || qos == [0, 1, 2], "found messages at QoS {qos:?}");
}

fn two_clients_with_overlapping_filters_each_have_the_message(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut first = MqttClient::connect(&broker, version, "a");
    let mut second = MqttClient::connect(&broker, version, "b");
    first.subscribe("a/+", 1);
    second.subscribe("a/#", 2);
    MqttClient::connect(&broker, version, "p").publish_text("a/b", "m", 2);
    assert_eq!(first.expect_message("a/b", "m").qos, 1);
    assert_eq!(second.expect_message("a/b", "m").qos, 2);
}

fn subscribing_again_replaces_the_subscription(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    for qos in [2, 0, 1] {
        assert_eq!(client.subscribe("t", qos), qos);
        client.publish_text("t", "m", 2);
        assert_eq!(client.expect_message("t", "m").qos, qos);
    }
    client.unsubscribe(&["t"]);
    client.publish_text("t", "m", 1);
    client.expect_nothing();
}

fn subscribing_again_brings_a_message_once(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    assert_eq!(client.subscribe_as(&[("t", 1), ("t", 2)], &[]).codes, [1, 2]);
    client.subscribe("t", 2);
    for text in ["first", "second"] {
        client.publish_text("t", text, 2);
        assert_eq!(client.expect_message("t", text).qos, 2);
    }
    client.expect_nothing();
}

fn no_message_is_lost_while_subscribing_again(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("t", 1);
    let mut bytes = Vec::new();
    for id in 1..=40 {
        bytes.extend(Publish::new("t", format!("{id}")).packet(version).bytes());
        bytes.extend(subscribe(version, id, &[("t", 1 + (id % 2) as u8)], &[]).bytes());
    }
    client.connection.send(&bytes);
    let (mut texts, mut codes) = (Vec::new(), 0);
    while texts.len() < 40 || codes < 40 {
        let received = client.read();
        if received.is_publish() {
            texts.push(received.publish(version).text().to_owned());
        } else {
            codes += received.suback(version).codes.len();
        }
    }
    let expected: Vec<String> = (1..=40).map(|id| format!("{id}")).collect();
    assert_eq!(texts, expected);
    client.expect_nothing();
}

fn unsubscribing_ends_the_subscription(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let mut client = MqttClient::connect(&broker, version, "s");
    for filter in ["t", "+", "#"] {
        client.subscribe(filter, 2);
        publisher.publish_text("t", "before", 1);
        client.expect_message("t", "before");
        let answer = client.unsubscribe(&[filter]);
        if version == Version::V5 {
            assert_eq!(answer.codes, [reason::SUCCESS]);
        }
        for qos in 0..3 {
            publisher.publish_text("t", "behind", qos);
        }
        client.expect_nothing();
    }
}

fn unsubscribing_one_filter_leaves_the_others(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let mut client = MqttClient::connect(&broker, version, "s");
    for topic in ["TopicA", "TopicA/B", "Topic/C"] {
        client.subscribe(topic, 2);
    }
    client.unsubscribe(&["TopicA"]);
    publisher.publish_text("TopicA", "unheard", 1);
    for topic in ["TopicA/B", "Topic/C"] {
        publisher.publish_text(topic, "m", 1);
        client.expect_message(topic, "m");
    }
    client.expect_nothing();
}

fn unsubscribing_is_by_the_filter_and_not_by_what_it_matches(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("a/b", 1);
    client.subscribe("a/+", 1);
    client.unsubscribe(&["#", "a/#", "A/b"]);
    client.unsubscribe(&["a/+"]);
    client.publish_text("a/c", "m", 1);
    client.publish_text("a/b", "m", 1);
    client.expect_message("a/b", "m");
    client.expect_nothing();
}

fn unsubscribing_what_was_not_subscribed_is_answered(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    let answer = client.unsubscribe(&["t"]);
    if version == Version::V5 {
        assert_eq!(answer.codes, [reason::NO_SUBSCRIPTION_EXISTED]);
    }
    client.expect_nothing();
}

fn several_filters_may_be_unsubscribed_at_once(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe_as(&[("a", 1), ("b", 1), ("c", 1)], &[]);
    let answer = client.unsubscribe(&["a", "none", "c"]);
    if version == Version::V5 {
        let expected = [reason::SUCCESS, reason::NO_SUBSCRIPTION_EXISTED, reason::SUCCESS];
        assert_eq!(answer.codes, expected, "a code for each, in order");
    }
    for topic in ["a", "b", "c"] {
        client.publish_text(topic, "m", 1);
    }
    client.expect_message("b", "m");
    client.expect_nothing();
}

fn what_is_under_way_is_finished_after_unsubscribing(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("t", 2);
    client.publish_text("t", "m", 2);
    let publish = client.read_publish();
    client.unsubscribe(&["t"]);
    client.acknowledge(&publish);
    client.expect_nothing();
}

fn acknowledging_what_is_not_subscribed_any_more_acknowledges_nothing_else(
    backend: Backend,
    version: Version,
) {
    // The message of the next subscription went by the same number, and was lost.
    let broker = BrokerProcess::start(backend);
    let connect = Connect::persistent(version, "s");
    let mut client = MqttClient::connect_as(&broker, &connect);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let mut first = Vec::new();
    for topic in ["t", "u"] {
        client.subscribe(topic, 1);
        publisher.publish_text(topic, "m", 1);
        first.push(client.read_publish().id);
        client.unsubscribe(&["t"]);
    }
    client.send(&puback(first[0]));
    client.expect_nothing();
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &connect);
    client.expect_message("u", "m");
}

fn a_message_published_before_subscribing_does_not_come(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    publisher.publish_text("t", "before", 1);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("t", 1);
    publisher.publish_text("t", "behind", 1);
    client.expect_message("t", "behind");
}

fn a_subscription_holds_from_its_suback_on(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let mut client = MqttClient::connect(&broker, version, "s");
    for at in 0..50 {
        let topic = format!("t/{at}");
        client.subscribe(&topic, 0);
        publisher.send_publish(&Publish::new(&topic, "m"));
        client.expect_message(&topic, "m");
    }
}

fn a_subscriber_to_all_hears_all(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("#", 0);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    for at in 0..20 {
        let topic = format!("a/{at}/c");
        publisher.publish_text(&topic, "m", 2);
        assert_eq!(client.expect_message(&topic, "m").qos, 0);
    }
}

fn very_many_levels_are_fine(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    let topic = ["a"; 100].join("/");
    let filters = [topic.clone(), ["+"; 100].join("/"), ["a"; 50].join("/") + "/#"];
    for filter in filters {
        assert_eq!(client.subscribe(&filter, 1), 1, "{filter:?}");
        client.publish_text(&topic, "m", 1);
        client.expect_message(&topic, "m");
        client.unsubscribe(&[&filter]);
    }
}

fn one_client_may_have_many_subscriptions(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    for at in 0..300 {
        // Three levels, so that they meet in any tree that a broker keeps them in.
        assert_eq!(client.subscribe(&format!("{}/+/{at}", at % 7), 1), 1);
    }
    client.publish_text("3/x/151", "unheard", 1);
    for topic in ["3/x/150", "4/x/151"] {
        client.publish_text(topic, "m", 1);
        client.expect_message(topic, "m");
    }
    client.expect_nothing();
    client.send(&packet(0xE0));
    client.expect_closed();
}
