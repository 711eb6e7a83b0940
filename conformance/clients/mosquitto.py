"""mosquitto_pub and mosquitto_sub: a process for each client."""

import json
import subprocess
import threading

from speaker import SESSION_S, WAIT_S_MAX, Lines, Message, Subscriber

VERSION_FLAGS = {"3.1.1": "mqttv311", "5.0": "mqttv5"}


class Mosquitto:
    def __init__(self, version):
        self.is_v5 = version == "5.0"
        self.version = ["-V", VERSION_FLAGS[version]]
        # mosquitto_sub gives the reason 0x04 for that, which 3.1.1 does not have.
        self.has_its_will_told_when_it_leaves = self.is_v5

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def _command(self, program, broker):
        return [program, "-h", "127.0.0.1", "-p", str(broker.port), *self.version]

    def publish(self, broker, topic, payload, qos, retain=False):
        # -s sends standard input as one message, and knows no empty one.
        what = ["-s"] if payload else ["-n"]
        self._publish(broker, topic, qos, payload, what + (["-r"] if retain else []))

    def publish_all(self, broker, topic, payloads, qos):
        self._publish(broker, topic, qos, "".join(f"{payload}\n" for payload in payloads), ["-l"])

    def _publish(self, broker, topic, qos, sent, flags):
        command = self._command("mosquitto_pub", broker) + ["-t", topic, "-q", str(qos), *flags]
        told = subprocess.run(
            command,
            input=sent.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=WAIT_S_MAX,
            check=False,
        )
        assert told.returncode == 0, f"expected {command} to publish, found {told.stdout!r}"

    def subscribe(self, broker, asked, messages=None):
        command = self._command("mosquitto_sub", broker)
        # It says when its subscription is confirmed, and messages are one object a line.
        command += ["-d", "-F", "%j", "-t", asked.topic_filter, "-q", str(asked.qos)]
        if asked.client_id:
            command += ["-c", "-i", asked.client_id]
            command += ["-x", str(SESSION_S)] if self.is_v5 else []
        if asked.will:
            topic, payload = asked.will
            command += ["--will-topic", topic, "--will-payload", payload]
        return MosquittoSub(command, messages)


class MosquittoSub(Subscriber):
    def __init__(self, command, messages):
        super().__init__(messages)
        # Lines are to come as they are written, not a buffer at a time.
        command = ["stdbuf", "-oL", *command]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT)
        self.lines = Lines(self.process.stdout)
        while not (line := self.lines.next("a subscription")).startswith("Subscribed"):
            self._take(line)
        threading.Thread(target=self._take_all, daemon=True).start()

    def _take_all(self):
        while (line := self.lines.lines.get()) is not None:
            self._take(line)

    def _take(self, line):
        if line.startswith("{"):
            told = json.loads(line)
            # No payload is null.
            payload, retain = told["payload"] or "", bool(told["retain"])
            self.messages.put(Message(told["topic"], payload, told["qos"], retain))

    def leave(self):
        self.process.terminate()
        self.process.wait(WAIT_S_MAX)

    def vanish(self):
        self.is_gone = True
        self.process.kill()
        self.process.wait(WAIT_S_MAX)
