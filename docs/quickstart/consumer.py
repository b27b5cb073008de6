"""Reads every event of jangbu's catalog up to the end as it is now, and prints each with its key,
version and type. Keeps count of gaps and doubles for each aggregate, as any consumer should.

    pip install confluent-kafka fastavro
    python consumer.py KAFKA REGISTRY      # 127.0.0.1:9092 http://127.0.0.1:8081/apis/ccompat/v7
"""

import io
import json
import struct
import sys
import urllib.request

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

TOPIC = "catalog.events"


def main(kafka: str, registry: str) -> int:
    schemas, versions, ids = Schemas(registry), {}, set()
    events = gaps = doubles = 0
    for message in committed(kafka, {}):
        headers = {name: value.decode() for name, value in message.headers()}
        key, version = message.key().decode(), int(headers["ce_aggregateversion"])
        last = versions.get(key, 0)
        if headers["ce_id"] in ids or version <= last:
            doubles += 1  # taken in already: pass it over
            continue
        if version > last + 1:
            gaps += 1  # this consumer has lost its place: a real one stops here
        event = schemas.decode(message.value())
        ids.add(headers["ce_id"])
        versions[key] = version
        events += 1
        print(key, version, headers["ce_type"], json.dumps(event, ensure_ascii=False, default=str))
    print(f"{events} events of {len(versions)} aggregates, {gaps} gaps, {doubles} doubles")
    return 1 if gaps or doubles else 0


def committed(kafka: str, starts: dict[int, int]):
    """Every committed message from `starts` on, by partition, else from the first, as they
    come, to the end as it is now."""
    settings = {
        "bootstrap.servers": kafka,
        "group.id": "quickstart",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",  # an offset that the log does not have is of another log
    }
    consumer = Consumer(settings)
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, number, starts.get(number, 0)) for number in partitions])
    unfinished = set(partitions)
    while unfinished:
        message = consumer.poll(10)
        if message is None:
            sys.exit(f"neither a message nor an end of the partitions {unfinished} within 10 s")
        if not message.error():
            yield message
        elif message.error().code() == KafkaError._PARTITION_EOF:
            unfinished.discard(message.partition())
        else:
            sys.exit(str(message.error()))
    consumer.close()


class Schemas:
    """The schemas of the registry by id, each asked for once."""

    def __init__(self, registry: str):
        self.registry, self.known = registry, {}

    def decode(self, value: bytes) -> dict:
        magic, number = struct.unpack(">bI", value[:5])
        assert magic == 0, "not framed"
        if number not in self.known:
            with urllib.request.urlopen(f"{self.registry}/schemas/ids/{number}") as answer:
                self.known[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        return fastavro.schemaless_reader(io.BytesIO(value[5:]), self.known[number])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
