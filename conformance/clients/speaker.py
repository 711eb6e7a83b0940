"""What a story needs of a client, whoever wrote it."""

import queue
import threading
from dataclasses import dataclass

VERSIONS = ["3.1.1", "5.0"]

# How long anything may take before a story fails. No client needs a tenth of it.
WAIT_S_MAX = 15

# How long a session is kept whose client asks for it.
SESSION_S = 3600


@dataclass(frozen=True)
class Message:
    """A message as a subscriber has it."""

    topic: str
    payload: str
    qos: int
    retain: bool


@dataclass(frozen=True)
class Asked:
    """How a subscriber comes: what it reads, who it is, and what is said if it vanishes."""

    topic_filter: str
    qos: int
    # Whoever has one has a session that is kept.
    client_id: str | None = None
    will: tuple[str, str] | None = None


class Subscriber:
    """A client that reads. Made when its subscription is confirmed; leaves in order with the block
    that it is used in, unless it vanished before."""

    def __init__(self, messages=None):
        # Several may share one, where a story does not care which of them is sent a message.
        self.messages = queue.Queue() if messages is None else messages
        self.is_gone = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.is_gone:
            self.leave()

    def leave(self):
        raise NotImplementedError

    def vanish(self):
        """Goes without a word."""
        raise NotImplementedError

    def next(self):
        try:
            return self.messages.get(timeout=WAIT_S_MAX)
        except queue.Empty:
            raise AssertionError(f"expected a message within {WAIT_S_MAX} s, found none") from None

    def expect(self, topic, payload, qos, retain=False):
        expected, found = Message(topic, payload, qos, retain), self.next()
        assert found == expected, f"expected {shown(expected)}, found {shown(found)}"


def shown(message):
    """A message, without most of a long payload."""
    return repr(message) if len(message.payload) < 200 else repr(message)[:200] + "…"


class Lines:
    """The lines that a process writes, each to be waited for."""

    def __init__(self, output):
        self.lines = queue.Queue()
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def _read(self, output):
        with output:
            for line in output:
                self.lines.put(line.decode().rstrip("\n"))
        self.lines.put(None)

    def next(self, awaited):
        """The next one; `awaited` is what a story that waits in vain is told of."""
        try:
            line = self.lines.get(timeout=WAIT_S_MAX)
        except queue.Empty:
            raise AssertionError(f"expected {awaited} within {WAIT_S_MAX} s") from None
        assert line is not None, f"expected {awaited}, found the end of the output"
        return line
