"""Reads every event that was ever committed, with what any language offers: a Kafka client, the
registry over HTTP, and an Avro library. Prints counts; fails on a gap, a double or a bad record."""

import argparse
import io
import json
import struct
import sys
import urllib.request
from collections import Counter, defaultdict

import fastavro
from confluent_kafka import Consumer, TopicPartition

TOPIC = "catalog.events"
EVERY_EVENT_HAS = (
    "ce_specversion ce_id ce_type ce_source ce_subject ce_time ce_mallid ce_actor "
    "ce_aggregatetype ce_aggregateversion ce_commandid ce_causationid ce_correlationid "
    "traceparent content-type"
).split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--registry", required=True)
    arguments = parser.parse_args()

    schemas = Schemas(arguments.registry)
    seen = Seen()
    for message in committed(arguments.kafka):
        schemas.decode(message.value())
        seen.take(message)
    print(
        f"{sum(seen.types.values())} events of {len(seen.versions)} aggregates, "
        f"{len(seen.ids)} ids, {len(schemas.known)} schemas: {dict(seen.types)}"
    )
    faults = seen.faults + seen.gaps()
    for fault in faults[:20]:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def committed(brokers: str):
    """Every message up to the end as it is now."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "a-stranger",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, number, 0) for number in partitions])
    unfinished = set(partitions)
    while unfinished:
        message = consumer.poll(10)
        if message is None:
            sys.exit(f"no message and no end of {unfinished} within 10 s")
        if not message.error():
            yield message
        elif message.error().name() == "_PARTITION_EOF":
            unfinished.discard(message.partition())
        else:
            sys.exit(str(message.error()))
    consumer.close()


class Schemas:
    """The registry's schemas by id, each asked for once."""

    def __init__(self, registry: str):
        self.registry = registry
        self.known = {}

    def decode(self, value: bytes) -> dict:
        magic, number = struct.unpack(">bI", value[:5])
        assert magic == 0, "not framed"
        if number not in self.known:
            with urllib.request.urlopen(f"{self.registry}/schemas/ids/{number}") as answer:
                schema = json.loads(json.load(answer)["schema"])
            self.known[number] = fastavro.parse_schema(schema)
        return fastavro.schemaless_reader(io.BytesIO(value[5:]), self.known[number])


class Seen:
    """What was seen, and what should not have been."""

    def __init__(self):
        self.types = Counter()
        self.ids = set()
        self.versions = defaultdict(list)
        self.faults = []

    def take(self, message) -> None:
        headers = {name: value.decode() for name, value in message.headers()}
        where = f"{message.partition()}:{message.offset()}"
        missing = [name for name in EVERY_EVENT_HAS if name not in headers]
        if missing:
            self.faults.append(f"{where} lacks {missing}")
            return
        if headers["ce_id"] in self.ids:
            self.faults.append(f"{where} repeats the id {headers['ce_id']}")
        if headers["ce_subject"] != message.key().decode():
            self.faults.append(f"{where} has another subject than key")
        self.ids.add(headers["ce_id"])
        self.types[headers["ce_type"]] += 1
        self.versions[headers["ce_subject"]].append(int(headers["ce_aggregateversion"]))

    def gaps(self) -> list[str]:
        return [
            f"the versions of {product} are {versions}"
            for product, versions in self.versions.items()
            if versions != list(range(1, len(versions) + 1))
        ]


if __name__ == "__main__":
    sys.exit(main())
