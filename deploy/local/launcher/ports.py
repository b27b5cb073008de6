"""Which ports a stack listens on, and who is in the way."""

import json
import os
import random
import socket
from collections.abc import Collection
from pathlib import Path

from .servers import Server
from .settings import Problem, Stack

OFFSET = "JANGBU_PORT_OFFSET"


def recorded(stack: Stack) -> dict[str, int]:
    """The ports of the last `up`, or none before the first."""
    file = stack.state / "ports.json"
    return json.loads(file.read_text()) if file.exists() else {}


def choose(stack: Stack, servers: list[Server]) -> dict[str, int]:
    """The ports of this `up`: fixed for `dev`; the same as ever for the others."""
    fixed = stack.name == "dev"
    known = stack.settings["ports"] if fixed else recorded(stack)
    missing = [name for name in all_of(servers) if name not in known]
    if fixed and missing:
        raise Problem(f"the stack dev has no port for {', '.join(missing)}: [ports] in deploy/local/stack.toml")
    if fixed:
        return {name: known[name] + offset() for name in all_of(servers)}
    return known | pick(stack, missing, known.values())


def all_of(servers: list[Server]) -> list[str]:
    return [name for server in servers for name in server.ports]


def record(stack: Stack) -> None:
    (stack.state / "ports.json").write_text(json.dumps(stack.ports, indent=2) + "\n")


def offset() -> int:
    text = os.environ.get(OFFSET, "0")
    if not text.isdigit() or int(text) > 50000:
        raise Problem(f"{OFFSET} is a number from 0 to 50000: not {text!r}")
    return int(text)


def pick(stack: Stack, names: list[str], but: Collection[int]) -> dict[str, int]:
    """Free ports drawn at random, so that two checkouts picking at once hardly meet."""
    bounds = stack.settings["port_range"]
    drawn = random.sample(range(bounds["first"], bounds["last"] + 1), 1000)
    free = [port for port in drawn if port not in but and is_free(port)][: len(names)]
    return dict(zip(names, free, strict=True))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do, so that closed connections still waiting are not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def check_free(stack: Stack, servers: list[Server]) -> None:
    """Stops with every port of theirs that somebody holds."""
    taken = [name for name in all_of(servers) if not is_free(stack.ports[name])]
    if not taken:
        return
    lines = [f"port {stack.ports[name]} ({name}) is taken by {holder(stack.ports[name])}" for name in taken]
    if stack.name == "dev":
        lines.append(f"move all ports with {OFFSET}=1000, or one of them in deploy/local/stack.toml under [ports]")
    else:
        lines.append(f"free it, or let the stack pick new ones: stack.py --name {stack.name} clean")
    raise Problem("\n".join(lines))


def holder(port: int) -> str:
    inode = listening_inode(port)
    for link in Path("/proc").glob("[0-9]*/fd/*") if inode else []:
        try:
            if os.readlink(link) == f"socket:[{inode}]":
                pid = link.parts[2]
                words = Path("/proc", pid, "cmdline").read_text(errors="replace").replace("\0", " ").split()
                return f"pid {pid} ({' '.join(words)[:100]})"
        except OSError:
            continue
    return "a process of another user"


def listening_inode(port: int) -> str | None:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            listening = fields[3] == "0A"
            if listening and int(fields[1].rsplit(":", 1)[1], 16) == port:
                return fields[9]
    return None
