"""Kafka: a lone broker, or one of a cluster; each is controller too."""

import base64
import re
import socket
import struct
import time
import uuid
from pathlib import Path

from . import cache, java
from .servers import Server, brokers, ways
from .settings import HERE, Problem, Stack, fill


class Kafka(Server):
    # How much of its log is of before this start; none where it was not started here.
    log_before: int | None = None

    @property
    def more_ports(self) -> list[str]:
        return ["controller", *ways(self.stack, self.name)]

    def check(self) -> None:
        super().check()
        if len(brokers(self.stack)) not in (1, 3):
            raise Problem("a stack has 1 broker or 3: [kafka] brokers in stack.toml")

    def ingredients(self) -> list[str]:
        return [(HERE / "kafka/pom.xml").read_text(), self.stack.versions["kafka_log4j"]]

    def build(self, folder: Path) -> None:
        java.jars(self.stack, "kafka", folder)

    def files(self) -> dict[Path, str]:
        copies = len(brokers(self.stack))
        values = {
            "node": self.node,
            "controllers": ",".join(f"127.0.0.1:{port}" for port in self.controllers()),
            "listeners": listening(self.listeners()),
            "advertised": listening(self.listeners() | self.advertised()),
            "protocols": ",".join(f"{name}:PLAINTEXT" for name in self.listeners()),
            "data": self.home / "data",
            "copies": copies,
            "in_sync": max(1, copies - 1),
        }
        return {
            self.home / "server.properties": fill("kafka/server.properties", values),
            self.home / "log4j2.yaml": fill("kafka/log4j2.yaml", {}),
        }

    @property
    def node(self) -> int:
        return brokers(self.stack).index(self.name) + 1

    def controllers(self) -> list[int]:
        return [self.stack.ports[f"{name}_controller"] for name in brokers(self.stack)]

    def listeners(self) -> dict[str, int]:
        found = {"CLIENTS": self.port(), "CONTROLLER": self.port("controller")}
        return found | {listener(way): self.port(way) for way in ways(self.stack, self.name)}

    def advertised(self) -> dict[str, int]:
        """A client by proxy is told to stay with its proxies."""
        return {listener(way): self.stack.ports[f"toxiproxy_{way}"] for way in ways(self.stack, self.name)}

    def lacks(self, running: list[str]) -> str | None:
        """Most of a cluster's brokers have to run, or none of them can answer."""
        together = brokers(self.stack)
        present = {self.name, *running} & set(together)
        if 2 * len(present) > len(together):
            return None
        others = ", ".join(name for name in together if name not in present)
        return f"{self.name} cannot come up alone: start one of {others} in the same command"

    def prepare(self) -> None:
        self.once(self.home / "data", self.format)
        self.log_before = self.log.stat().st_size if self.log.exists() else 0

    def begun_badly(self) -> str | None:
        """A lone broker that was killed may lead, be fenced and lead again as it starts. A coordinator
        that was still being loaded then goes on with what it has read so far: see decision 25."""
        if self.log_before is None or len(brokers(self.stack)) > 1:
            return None
        kept = {folder.name for folder in (self.home / "data").glob("__consumer_offsets-*")}
        deadline = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < deadline:
            with self.log.open(errors="replace") as log:
                # A log that is shorter was begun anew meanwhile.
                log.seek(self.log_before if self.log.stat().st_size >= self.log_before else 0)
                loads = Loads(log.read())
            if loads.by_half:
                return f"{', '.join(sorted(loads.by_half))} was loaded by half"
            if kept <= loads.done and not loads.under_way:
                break
            time.sleep(0.1)
        return None

    def format(self) -> None:
        cluster = cluster_of(self.stack)
        voters = [
            f"{node}@127.0.0.1:{port}:{short(uuid.uuid5(cluster, str(node)))}"
            for node, port in enumerate(self.controllers(), 1)
        ]
        tool = self.java("-cp", f"{self.program}/*", "kafka.tools.StorageTool", heap="128m")
        cache.run(
            [*tool, "format", f"--initial-controllers={','.join(voters)}", f"--cluster-id={short(cluster)}",
             f"--config={self.home}/server.properties"],
            "the formatting of Kafka's data folder",
        )

    def command(self) -> list[str]:
        return self.java(
            f"-Dlog4j2.configurationFile={self.home}/log4j2.yaml",
            "-cp", f"{self.program}/*", "kafka.Kafka", f"{self.home}/server.properties",
            heap=self.options["heap"],
        )

    def answers(self) -> bool:
        """A broker that the controller has not let in yet is missing in its own answer."""
        return self.node in nodes(self.port())

    def addresses(self) -> dict[str, str]:
        found = {"JANGBU_KAFKA": bootstrap(self.stack)}
        copies = len(brokers(self.stack))
        return found | ({"JANGBU_REPLICATION": str(copies)} if copies > 1 else {})


# How long coordinators may take to load what they keep.
LOAD_SECONDS = 15


class Loads:
    """What a broker's log tells of the coordinators of groups."""

    def __init__(self, log: str):
        self.done, self.under_way, self.by_half = set(), {}, set()
        for what, partition in LOAD.findall(log):
            under_way = self.under_way.pop(partition, 0)
            match what:
                case "Scheduling loading of metadata from":
                    self.under_way[partition] = under_way + 1
                    self.done.discard(partition)
                    continue
                case "Finished unloading metadata for":
                    # What is read for it is read to its end all the same.
                    self.done.discard(partition)
                    if under_way:
                        self.under_way[partition] = under_way
                    continue
                case "Ignored load completion from":
                    self.by_half.add(partition)
                case "Failed to load metadata from":
                    self.done.discard(partition)
                case _:
                    self.done.add(partition)
            if under_way > 1:
                self.under_way[partition] = under_way - 1


LOAD = re.compile(
    r"(Scheduling loading of metadata from|Finished loading of metadata from|Failed to load metadata from"
    r"|Finished unloading metadata for|Ignored load completion from|The coordinator) (__consumer_offsets-\d+)"
    r"(?: with epoch| because context is in ACTIVE| is already active)"
)


def listener(way: str) -> str:
    """The name of the listener for those who come by that proxy."""
    return "_".join(["PROXIED", *way.split(".")[1:]]).upper()


def listening(listeners: dict[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())


def bootstrap(stack: Stack) -> str:
    return ",".join(f"127.0.0.1:{stack.ports[name]}" for name in brokers(stack))


def cluster_of(stack: Stack) -> uuid.UUID:
    """The cluster's id, which its brokers have to be formatted with alike."""
    file = stack.state / "kafka-cluster"
    with cache.locked(stack.state / "kafka-cluster.lock"):
        if not file.exists():
            half = stack.state / "kafka-cluster.half"
            half.write_text(str(uuid.uuid4()))
            half.rename(file)
    return uuid.UUID(file.read_text())


def short(number: uuid.UUID) -> str:
    """As Kafka writes it."""
    return base64.urlsafe_b64encode(number.bytes).decode().rstrip("=")


def nodes(port: int) -> list[int]:
    """The brokers that a metadata request (version 1, of no topic) is answered with."""
    body = struct.pack(">hhihi", 3, 1, 1, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as broker:
            broker.sendall(struct.pack(">i", len(body)) + body)
            size = struct.unpack(">i", exactly(broker, 4))[0]
            return nodes_in(exactly(broker, size))
    except (OSError, struct.error):
        return []


def exactly(broker: socket.socket, size: int) -> bytes:
    return broker.recv(size, socket.MSG_WAITALL)


def nodes_in(answer: bytes) -> list[int]:
    """Behind the request's number and a count: id, host, port and rack of each."""
    found, at = [], 8
    for _ in range(struct.unpack_from(">i", answer, 4)[0]):
        node, host = struct.unpack_from(">ih", answer, at)
        at += 6 + host + 4
        rack = struct.unpack_from(">h", answer, at)[0]
        at += 2 + max(rack, 0)
        found.append(node)
    return found
