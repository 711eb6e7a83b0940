"""The client that the project grew from, and its publisher and subscriber, as they were.

Takes the broker's port, and prints what the subscriber saw.
"""

import json
import socket
import sys
import uuid


class ClientAPI:
    def __init__(self, host="localhost", port=8080):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.connect((host, port))

    def send(self, message):
        self.socket.sendall((json.dumps(message) + "\n").encode("utf-8"))
        response = b""
        while not response.endswith(b"\n"):
            received = self.socket.recv(1024)
            if not received:
                raise ConnectionError("the broker closed the connection")
            response += received
        return json.loads(response.decode("utf-8"))

    def register_publisher(self):
        return str(uuid.uuid4())

    def register_subscriber(self):
        return str(uuid.uuid4())

    def create_topic(self, pid, topic):
        return self.send({"command": "CREATE", "topic": topic})

    def delete_topic(self, pid, topic):
        return self.send({"command": "DELETE", "topic": topic})

    def publish(self, pid, topic, message):
        return self.send({"command": "PUBLISH", "topic": topic, "message": message})

    def subscribe(self, sid, topic):
        return self.send({"command": "SUBSCRIBE", "topic": topic, "sid": sid})

    def pull_messages(self, sid, topic):
        response = self.send({"command": "PULL", "topic": topic, "sid": sid})
        return response.get("messages", [])


def publish_all(port):
    client = ClientAPI(port=port)
    pid = client.register_publisher()
    for topic in ["News", "Sports", "Technology", "Health", "Entertainment"]:
        print("create", topic, client.create_topic(pid, topic)["status"])
    for topic in ["Health", "Entertainment"]:
        print("delete", topic, client.delete_topic(pid, topic)["status"])
    for topic in ["News", "Sports", "Technology"]:
        for number in range(1, 4):
            message = f"{topic} message {number}"
            print("publish", message, client.publish(pid, topic, message)["status"])


def read_news(port):
    client = ClientAPI(port=port)
    sid = client.register_subscriber()
    print("subscribe News", client.subscribe(sid, "News")["status"])
    for _ in range(2):
        messages = client.pull_messages(sid, "News")
        for message in messages:
            print("received", message)
        if not messages:
            print("No new messages")


if __name__ == "__main__":
    publish_all(int(sys.argv[1]))
    read_news(int(sys.argv[1]))
