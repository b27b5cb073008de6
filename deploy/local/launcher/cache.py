"""Downloads, kept once per machine and shared by all checkouts."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .settings import Problem


def ensure(target: Path, tool: str, build: Callable[[Path], None]) -> None:
    """Builds a folder of the cache unless it is there; what has the final name is complete."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # One lock per tool: neither Maven's nor apt's own store likes two writers.
    with locked(target.parent / f"{tool}.lock"):
        if target.exists():
            return
        for leftover in target.parent.glob(f"{target.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        # A tool that outlived its killed caller may still write under the old name.
        partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
        partial.mkdir()
        build(partial)
        partial.rename(target)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with open(file, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fingerprint(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]


def run(words: list[str], what: str, env: dict | None = None, cwd: Path | None = None) -> str:
    """Runs a tool to its end and gives its output; a failure shows the end of it."""
    done = subprocess.run(
        words, env=os.environ | (env or {}), cwd=cwd, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if done.returncode:
        tail = "\n".join(f"  | {line}" for line in done.stdout.splitlines()[-15:])
        raise Problem(f"{what} failed ({words[0]} gave {done.returncode}):\n{tail}")
    return done.stdout
