"""The stories, each written once for all clients.

That nothing comes is never waited for: a later message is, and it has to be the first.
"""

from broker import Broker
from speaker import Asked

MEBIBYTE = 1 << 20


def messages_of_each_quality_of_service_arrive(speaker, binary):
    with Broker(binary) as broker:
        for qos in range(3):
            with speaker.subscribe(broker, Asked(f"readings/{qos}", qos)) as subscriber:
                speaker.publish(broker, f"readings/{qos}", "21.5", qos)
                subscriber.expect(f"readings/{qos}", "21.5", qos)


def the_lower_quality_of_service_counts(speaker, binary):
    with Broker(binary) as broker:
        for published, subscribed in [(2, 0), (2, 1), (1, 2), (0, 2)]:
            with speaker.subscribe(broker, Asked("readings/+", subscribed)) as subscriber:
                speaker.publish(broker, "readings/hall", "20", published)
                subscriber.expect("readings/hall", "20", min(published, subscribed))


def messages_of_one_publisher_stay_in_order(speaker, binary):
    payloads = [f"message {number}" for number in range(20)]
    with Broker(binary) as broker, speaker.subscribe(broker, Asked("#", 2)) as subscriber:
        speaker.publish_all(broker, "queue", payloads, 2)
        for payload in payloads:
            subscriber.expect("queue", payload, 2)


def a_retained_message_waits_until_it_is_cleared(speaker, binary):
    with Broker(binary) as broker:
        speaker.publish(broker, "state", "on", 1, retain=True)
        with speaker.subscribe(broker, Asked("state", 1)) as late:
            late.expect("state", "on", 1, retain=True)
            speaker.publish(broker, "state", "", 1, retain=True)
            late.expect("state", "", 1)
        with speaker.subscribe(broker, Asked("state", 1)) as later:
            speaker.publish(broker, "state", "off", 1)
            later.expect("state", "off", 1)


def a_will_is_told_of_who_vanishes_or_asks_for_it(speaker, binary):
    def mourned(name):
        return Asked("nothing", 0, will=("gone", name))

    with Broker(binary) as broker, speaker.subscribe(broker, Asked("gone", 1)) as heir:
        with speaker.subscribe(broker, mourned("who left")):
            pass
        if speaker.has_its_will_told_when_it_leaves:
            heir.expect("gone", "who left", 0)
        with speaker.subscribe(broker, mourned("who vanished")) as subscriber:
            subscriber.vanish()
        heir.expect("gone", "who vanished", 0)


def a_session_and_retained_messages_outlive_the_broker(speaker, binary):
    kept = Asked("kept/#", 2, client_id="keeper")
    with Broker(binary) as broker:
        with speaker.subscribe(broker, kept):
            pass
        speaker.publish(broker, "kept/a", "while away", 1)
        speaker.publish(broker, "other", "retained", 1, retain=True)
        broker.restart()
        speaker.publish(broker, "kept/a", "after the restart", 2)
        with speaker.subscribe(broker, kept) as subscriber:
            subscriber.expect("kept/a", "while away", 1)
            subscriber.expect("kept/a", "after the restart", 2)
        with speaker.subscribe(broker, Asked("other", 1)) as subscriber:
            subscriber.expect("other", "retained", 1, retain=True)


def a_shared_subscription_gives_each_message_to_one(speaker, binary):
    payloads = [f"job {number}" for number in range(20)]
    shared = Asked("$share/workers/jobs", 1)
    with (
        Broker(binary) as broker,
        speaker.subscribe(broker, shared) as one,
        speaker.subscribe(broker, shared, one.messages),
    ):
        speaker.publish_all(broker, "jobs", payloads, 1)
        found = sorted(one.next().payload for _ in payloads)
        assert found == sorted(payloads), f"expected each job once, found {found}"
        speaker.publish(broker, "jobs", "the last", 1)
        one.expect("jobs", "the last", 1)


def a_payload_of_a_mebibyte_arrives_whole(speaker, binary):
    payload = "".join(f"{number:07x}\n" for number in range(MEBIBYTE // 8))
    with Broker(binary) as broker:
        for qos in range(3):
            with speaker.subscribe(broker, Asked("large", qos)) as subscriber:
                speaker.publish(broker, "large", payload, qos)
                subscriber.expect("large", payload, qos)


STORIES = [
    messages_of_each_quality_of_service_arrive,
    the_lower_quality_of_service_counts,
    messages_of_one_publisher_stay_in_order,
    a_retained_message_waits_until_it_is_cleared,
    a_will_is_told_of_who_vanishes_or_asks_for_it,
    a_session_and_retained_messages_outlive_the_broker,
    a_shared_subscription_gives_each_message_to_one,
    a_payload_of_a_mebibyte_arrives_whole,
]
