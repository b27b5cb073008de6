"""Keeps a table of its own of jangbu's catalog: the lowest list price that each product ever had.
Rows and the offsets they stand for are written in one transaction, so that whatever kills it, nothing
is lost and nothing counts twice. SQLite stands for whatever database you have.

    pip install confluent-kafka fastavro
    python lowest_price.py feed FILE KAFKA REGISTRY     # what came since the last time
    python lowest_price.py rebuild FILE KAFKA REGISTRY  # from the first event, beside the table in use
    python lowest_price.py show FILE                    # product, price and currency of every row
"""

import itertools
import sqlite3
import sys
from contextlib import contextmanager

from consumer import Schemas, committed

STATIC = """
CREATE TABLE IF NOT EXISTS live (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints (version INTEGER, partition INTEGER, next INTEGER NOT NULL,
    PRIMARY KEY (version, partition));
INSERT OR IGNORE INTO live VALUES (1, 1);
"""
ROWS = """CREATE TABLE IF NOT EXISTS lowest_price_v{} (product TEXT PRIMARY KEY, mall TEXT NOT NULL,
    minor INTEGER NOT NULL, currency TEXT NOT NULL, version INTEGER NOT NULL)"""
PRICED = {"jangbu.catalog.ProductRegistered", "jangbu.catalog.ProductRepriced"}


def main(command: str, file: str, *servers: str) -> None:
    db = sqlite3.connect(file, isolation_level=None, timeout=30)
    db.executescript(STATIC)
    (live,) = db.execute("SELECT version FROM live").fetchone()
    if command == "show":
        rows = db.execute(f"SELECT product, minor, currency FROM lowest_price_v{live}")
        print("\n".join(" ".join(map(str, row)) for row in rows))
    elif command == "feed":
        follow(db, live, *servers)
    elif command == "rebuild":
        follow(db, live + 1, *servers)  # killed on the way, it goes on there
        with transaction(db):  # whoever reads sees the one table or the other
            db.execute("UPDATE live SET version = ? WHERE version = ?", [live + 1, live])
        print(f"version {live + 1} is live; version {live} is kept for the way back")
    else:
        sys.exit(__doc__)


def follow(db, version: int, kafka: str, registry: str) -> None:
    """Takes in what the log holds and this version does not."""
    db.execute(ROWS.format(version))
    schemas, checkpoints = Schemas(registry), "SELECT partition, next FROM checkpoints WHERE version = ?"
    applied = dict(db.execute(checkpoints, [version]))
    messages = committed(kafka, applied)
    while batch := list(itertools.islice(messages, 500)):
        moved = {message.partition(): message.offset() + 1 for message in batch}
        with transaction(db):
            for partition, at in moved.items():
                move(db, version, partition, applied.get(partition, 0), at)
            for message in batch:
                apply(db, f"lowest_price_v{version}", schemas, message)
        applied |= moved


def move(db, version: int, partition: int, believed: int, to: int) -> None:
    """Moves a checkpoint from where this process believes it to stand, so that of two one goes on."""
    moved = db.execute(
        "INSERT INTO checkpoints VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET next = excluded.next WHERE next = ?",
        [version, partition, to, believed],
    )
    if moved.rowcount == 0:
        sys.exit(f"another process feeds version {version}")


def apply(db, table: str, schemas: Schemas, message) -> None:
    headers = {name: value.decode() for name, value in message.headers()}
    if headers["ce_aggregatetype"] != "product":
        return
    product, version = message.key().decode(), int(headers["ce_aggregateversion"])
    row = db.execute(f"SELECT version FROM {table} WHERE product = ?", [product]).fetchone()
    last = row[0] if row else 0
    if version <= last:
        return  # taken in already
    if version > last + 1:
        sys.exit(f"{product}: version {version} follows {last}: rebuild")
    if headers["ce_type"] in PRICED:
        price = schemas.decode(message.value())["list_price"]
        db.execute(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET minor = MIN(minor, excluded.minor), version = excluded.version",
            [product, headers["ce_mallid"], price["minor"], price["currency"], version],
        )
    else:  # also a type that nobody knows yet: its version counts
        db.execute(f"UPDATE {table} SET version = ? WHERE product = ?", [version, product])


@contextmanager
def transaction(db):
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 2 else sys.exit(__doc__)
