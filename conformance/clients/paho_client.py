"""paho-mqtt: a client in this process."""

import threading

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from speaker import SESSION_S, WAIT_S_MAX, Message, Subscriber

VERSIONS = {"3.1.1": paho.MQTTv311, "5.0": paho.MQTTv5}


class Paho:
    has_its_will_told_when_it_leaves = False

    def __init__(self, version):
        self.version = VERSIONS[version]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def publish(self, broker, topic, payload, qos, retain=False):
        self._publish(broker, topic, [payload], qos, retain)

    def publish_all(self, broker, topic, payloads, qos):
        self._publish(broker, topic, payloads, qos, retain=False)

    def _publish(self, broker, topic, payloads, qos, retain):
        with PahoClient(broker, self.version) as client:
            sent = [client.client.publish(topic, payload, qos, retain) for payload in payloads]
            for one in sent:
                one.wait_for_publish(WAIT_S_MAX)
                assert one.is_published(), f"expected it published within {WAIT_S_MAX} s"

    def subscribe(self, broker, asked, messages=None):
        subscriber = PahoClient(broker, self.version, asked, messages)
        subscriber.subscribe(asked)
        return subscriber


class PahoClient(Subscriber):
    """A connection. Made when it is accepted."""

    def __init__(self, broker, version, asked=None, messages=None):
        super().__init__(messages)
        client_id = asked.client_id if asked else None
        is_v5 = version == paho.MQTTv5
        # Of 5.0, each connection says it.
        clean = {} if is_v5 else {"clean_session": client_id is None}
        api = paho.CallbackAPIVersion.VERSION2
        self.client = paho.Client(api, client_id or "", protocol=version, **clean)
        self.client.on_connect = self._accepted
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._received
        self.accepted, self.subscribed = threading.Event(), threading.Event()
        if asked and asked.will:
            self.client.will_set(*asked.will)
        starts = {}
        if is_v5:
            starts["clean_start"] = client_id is None
            if client_id:
                starts["properties"] = Properties(PacketTypes.CONNECT)
                starts["properties"].SessionExpiryInterval = SESSION_S
        self.client.connect("127.0.0.1", broker.port, **starts)
        self.client.loop_start()
        assert self.accepted.wait(WAIT_S_MAX), f"expected CONNACK within {WAIT_S_MAX} s"
        assert not self.refusal.is_failure, f"expected to be let in, found {self.refusal}"

    def subscribe(self, asked):
        self.client.subscribe(asked.topic_filter, asked.qos)
        assert self.subscribed.wait(WAIT_S_MAX), f"expected SUBACK within {WAIT_S_MAX} s"
        assert self.granted == asked.qos, f"expected {asked.qos} granted, found {self.granted}"

    def _accepted(self, _client, _data, _flags, reason, _properties):
        self.refusal = reason
        self.accepted.set()

    def _subscribed(self, _client, _data, _id, reasons, _properties):
        self.granted = reasons[0].value
        self.subscribed.set()

    def _received(self, _client, _data, message):
        payload = message.payload.decode()
        self.messages.put(Message(message.topic, payload, message.qos, bool(message.retain)))

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        self.is_gone = True
        self.client.loop_stop()
        self.client.socket().close()
