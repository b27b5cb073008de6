"""Kafka, a single node that is broker and controller."""

import base64
import socket
import struct
import uuid
from pathlib import Path

from . import cache, java
from .servers import Server
from .settings import HERE, fill


class Kafka(Server):
    name = "kafka"
    ports = ("kafka", "kafka_controller")

    def ingredients(self) -> list[str]:
        return [(HERE / "kafka/pom.xml").read_text(), self.stack.versions["kafka_log4j"]]

    def build(self, folder: Path) -> None:
        java.jars(self.stack, "kafka", folder)

    def files(self) -> dict[Path, str]:
        values = {"port": self.port(), "controller_port": self.port("controller"), "data": self.home / "data"}
        return {
            self.home / "server.properties": fill("kafka/server.properties", values),
            self.home / "log4j2.yaml": fill("kafka/log4j2.yaml", {}),
        }

    def prepare(self) -> None:
        self.once(self.home / "data", self.format)

    def format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = self.java("-cp", f"{self.program}/*", "kafka.tools.StorageTool", heap="128m")
        cache.run(
            [*tool, "format", "--standalone", f"--cluster-id={cluster}", f"--config={self.home}/server.properties"],
            "the formatting of Kafka's data folder",
        )

    def command(self) -> list[str]:
        return self.java(
            f"-Dlog4j2.configurationFile={self.home}/log4j2.yaml",
            "-cp", f"{self.program}/*", "kafka.Kafka", f"{self.home}/server.properties",
            heap=self.options["heap"],
        )

    def answers(self) -> bool:
        return brokers(self.port()) > 0

    def addresses(self) -> dict[str, str]:
        return {"JANGBU_KAFKA": f"127.0.0.1:{self.port()}"}


def brokers(port: int) -> int:
    """How many brokers a metadata request (version 1, of no topic) is answered with."""
    body = struct.pack(">hhihi", 3, 1, 1, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as broker:
            broker.sendall(struct.pack(">i", len(body)) + body)
            reply = broker.recv(12, socket.MSG_WAITALL)
    except OSError:
        return 0
    return struct.unpack(">iii", reply)[2] if len(reply) == 12 else 0
