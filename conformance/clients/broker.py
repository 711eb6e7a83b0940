"""A broker as users run it, on a port of its own."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from speaker import WAIT_S_MAX, Lines

BACKENDS = ["threaded", "mio"]

# How much of a broker's log a failed story shows, from its end.
LOG_BYTES_SHOWN = 4096


def binaries():
    """Where the backends' binaries lie. Cargo alone knows, and builds nothing that is there."""
    packages = [f"broker-{backend}" for backend in BACKENDS]
    build = ["cargo", "build", "--quiet", "--message-format=json-render-diagnostics"]
    for package in packages:
        build += ["--package", package]
    account = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for line in account.splitlines():
        artifact = json.loads(line)
        name = artifact.get("target", {}).get("name")
        if name in packages and artifact.get("executable"):
            found[name.removeprefix("broker-")] = artifact["executable"]
    return found


class Broker:
    """A running broker that keeps its messages in a directory of its own. It ends with the block
    that it is used in, and a story that fails shows the end of its log."""

    def __init__(self, binary):
        self.binary = binary

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="tandem-clients-")
        self.log = open(Path(self.directory.name, "log"), "w+b")
        self.start()
        return self

    def __exit__(self, fault, *_):
        self.process.kill()
        self.process.wait()
        if fault is not None:
            size = self.log.seek(0, 2)
            self.log.seek(max(0, size - LOG_BYTES_SHOWN))
            print(self.log.read().decode(errors="replace"))
        self.log.close()
        self.directory.cleanup()

    def start(self):
        data = Path(self.directory.name, "data")
        command = [self.binary, "--listen", "127.0.0.1:0", "--data", data]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        ready = Lines(self.process.stdout).next("the broker's ready line")
        self.port = int(re.search(r"listen=127\.0\.0\.1:(\d+)", ready)[1])

    def restart(self):
        """Stops it in order, and starts another on what it stored, on another port."""
        self.process.terminate()
        code = self.process.wait(WAIT_S_MAX)
        assert code == 0, f"expected it to stop with code 0, found {code}"
        self.start()
