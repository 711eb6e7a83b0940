"""MQTT.js: one process of Node.js for each speaker, that makes clients as it is told."""

import itertools
import json
import os
import pathlib
import queue
import subprocess
import threading

from speaker import SESSION_S, WAIT_S_MAX, Message, Subscriber

SCRIPT = pathlib.Path(__file__).with_name("mqttjs.cjs")


class MqttJs:
    """`scheme` is `mqtt` for TCP, or `ws` for WebSocket."""

    has_its_will_told_when_it_leaves = False

    def __init__(self, version, scheme):
        self.version = 5 if version == "5.0" else 4
        self.scheme = scheme

    def __enter__(self):
        environment = {**os.environ, "NODE_PATH": f"{os.environ['TANDEM_CLIENTS']}/node_modules"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(["node", SCRIPT], stdin=pipe, stdout=pipe, env=environment)
        self.numbers = itertools.count()
        self.answers = queue.Queue()
        self.subscribers = {}
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def _read(self):
        with self.process.stdout as lines:
            for line in lines:
                told = json.loads(line)
                if told["told"] != "message":
                    self.answers.put(told)
                    continue
                message = Message(told["topic"], told["payload"], told["qos"], told["retain"])
                self.subscribers[told["client"]].put(message)

    def _do(self, action, client, **how):
        command = json.dumps({"do": action, "client": client, **how})
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()
        try:
            answer = self.answers.get(timeout=WAIT_S_MAX)
        except queue.Empty:
            raise AssertionError(f"expected {action} done within {WAIT_S_MAX} s") from None
        assert answer["told"] == "done", f"expected {action} done, found {answer}"

    def _connect(self, broker, messages, **options):
        client = next(self.numbers)
        self.subscribers[client] = messages
        url = f"{self.scheme}://127.0.0.1:{broker.port}/mqtt"
        options |= {"protocolVersion": self.version, "reconnectPeriod": 0}
        self._do("connect", client, url=url, options=options)
        return client

    def publish(self, broker, topic, payload, qos, retain=False):
        self._publish(broker, topic, [payload], qos, retain)

    def publish_all(self, broker, topic, payloads, qos):
        self._publish(broker, topic, payloads, qos, retain=False)

    def _publish(self, broker, topic, payloads, qos, retain):
        client = self._connect(broker, None)
        self._do("publish", client, topic=topic, payloads=payloads, qos=qos, retain=retain)
        self._do("end", client)

    def subscribe(self, broker, asked, messages=None):
        return JsSubscriber(self, broker, asked, messages)


class JsSubscriber(Subscriber):
    def __init__(self, speaker, broker, asked, messages):
        super().__init__(messages)
        self.speaker = speaker
        options = {}
        if asked.client_id:
            options |= {"clientId": asked.client_id, "clean": False}
            if speaker.version == 5:
                options["properties"] = {"sessionExpiryInterval": SESSION_S}
        if asked.will:
            topic, payload = asked.will
            options["will"] = {"topic": topic, "payload": payload, "qos": 0, "retain": False}
        self.client = speaker._connect(broker, self.messages, **options)
        speaker._do("subscribe", self.client, filter=asked.topic_filter, qos=asked.qos)

    def leave(self):
        self.speaker._do("end", self.client)

    def vanish(self):
        self.is_gone = True
        self.speaker._do("vanish", self.client)
