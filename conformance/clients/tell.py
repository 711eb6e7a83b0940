"""Tells every story through every client to both backends, and counts."""

import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed

from broker import BACKENDS, binaries
from mosquitto import Mosquitto
from mqttjs import MqttJs
from paho_client import Paho
from speaker import VERSIONS
from stories import STORIES

# A teller mostly waits for processes; more of them than this only wait for each other.
TELLERS_MAX = 4

SPEAKERS = [
    ("mosquitto", Mosquitto),
    ("paho-mqtt", Paho),
    ("MQTT.js/tcp", lambda version: MqttJs(version, "mqtt")),
    ("MQTT.js/ws", lambda version: MqttJs(version, "ws")),
]


def tell_all(name, speaker, binary):
    """Tells all stories through one client; gives their names, and what went wrong in each."""
    results = []
    with speaker:
        for story in STORIES:
            title = story.__name__.replace("_", " ")
            try:
                story(speaker, binary)
                results.append((f"{name}: {title}", None))
            except Exception:
                results.append((f"{name}: {title}", traceback.format_exc()))
    return results


def main():
    start = time.monotonic()
    built = binaries()
    passed, failed = 0, 0
    with ThreadPoolExecutor(TELLERS_MAX) as pool:
        telling = [
            pool.submit(tell_all, f"{backend} {client} {version}", make(version), built[backend])
            for client, make in SPEAKERS
            for version in VERSIONS
            for backend in BACKENDS
        ]
        for told in as_completed(telling):
            for title, fault in told.result():
                print(f"{'ok     ' if fault is None else 'FAILED '}{title}", flush=True)
                if fault is None:
                    passed += 1
                else:
                    failed += 1
                    print(fault, flush=True)
    print(f"clients: took {time.monotonic() - start:.0f} s")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
