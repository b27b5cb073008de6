"""What the servers have in common, and the list of them."""

import shlex
import shutil
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from . import cache, java, supervisor
from .settings import Problem, Stack, cache_folder


def names(stack: Stack) -> list[str]:
    """In the order of starting: what needs another stands behind it."""
    return [*brokers(stack), "registry", "mysql", "opensearch", *(["toxiproxy"] if proxied(stack) else [])]


def brokers(stack: Stack) -> list[str]:
    """A lone broker is called kafka, those of a cluster kafka-1, kafka-2 and on."""
    count = stack.settings["kafka"]["brokers"]
    return ["kafka"] if count == 1 else [f"kafka-{number + 1}" for number in range(count)]


def proxied(stack: Stack) -> bool:
    """Whether clients come through toxiproxy."""
    return stack.settings["toxiproxy"]["enabled"]


# Those who can lose the network alone; all others share the proxies of nobody.
CLIENTS = ["api", "handler", "projector", "indexer"]


def ways(stack: Stack, server: str) -> list[str]:
    """The names of the proxies in front of a server: one for each client, and one for all others."""
    return [server, *(f"{server}.{client}" for client in CLIENTS)] if proxied(stack) else []


def every(stack: Stack) -> list["Server"]:
    return [one(stack, name) for name in names(stack)]


def one(stack: Stack, name: str) -> "Server":
    if name not in names(stack):
        raise Problem(f"the stack {stack.name} has no server {name!r}, only {', '.join(names(stack))}")
    kind = name.partition("-")[0]
    return getattr(import_module(f".{kind}", __package__), kind.title())(stack, name)


def addresses(stack: Stack) -> dict[str, str]:
    """What a client has to know of all of them."""
    return {key: value for server in every(stack) for key, value in server.addresses().items()}


class Server:
    """A server. Its module fills in the steps, which are taken in the order written here; most are Java's."""

    more_ports: Sequence[str] = ()

    def __init__(self, stack: Stack, name: str):
        self.stack = stack
        self.name = name
        self.kind = name.partition("-")[0]
        self.home = stack.state / name
        self.options = stack.settings[self.kind]

    @property
    def ports(self) -> list[str]:
        """The names of its ports, its own first."""
        return [self.name, *(f"{self.name}_{name}" for name in self.more_ports)]

    @property
    def needs(self) -> list[str]:
        """Servers that are started before it."""
        return []

    def lacks(self, running: list[str]) -> str | None:
        """Why it could not come up beside what is running."""
        if self.needs and not set(self.needs) & set(running):
            return f"{self.name} needs {' or '.join(self.needs)}, which is not running"
        return None

    def check(self) -> None:
        """Stops with what the machine lacks."""
        java.jdk(self.stack)
        if not self.program.exists():
            java.check_maven()

    @property
    def program(self) -> Path:
        """The folder of the cache that it runs from, named by all that decides its content."""
        key = cache.fingerprint(*self.ingredients())
        return cache_folder(self.stack) / f"{self.kind}-{self.stack.versions[self.kind]}-{key}"

    def ingredients(self) -> list[str]:
        raise NotImplementedError

    def fetch(self) -> None:
        cache.ensure(self.program, "maven", self.build)

    def build(self, folder: Path) -> None:
        raise NotImplementedError

    def files(self) -> dict[Path, str]:
        """Its settings, written anew before each start."""
        return {}

    def prepare(self) -> None:
        """What has to be there before the first start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def answers(self) -> bool:
        """Whether a real request is answered."""
        raise NotImplementedError

    @property
    def log(self) -> Path:
        return self.stack.logs / f"{self.name}.log"

    def begun_badly(self) -> str | None:
        """Why it has to be started once more although it answers."""
        return None

    def settle(self) -> None:
        """What has to be done once it answers."""

    def put_away(self) -> None:
        """What has to be undone once the stack is down."""

    def addresses(self) -> dict[str, str]:
        """What a client has to know, as environment variables."""
        raise NotImplementedError

    def title(self) -> str:
        return f"{self.name} {self.stack.versions[self.kind]}"

    def port(self, name: str = "") -> int:
        return self.stack.ports[f"{self.name}_{name}" if name else self.name]

    def once(self, data: Path, action: Callable[[], None]) -> None:
        """Makes the first data; what an interrupted attempt left is thrown away."""
        done = self.home / "prepared"
        if not done.exists():
            shutil.rmtree(data, ignore_errors=True)
            action()
            done.touch()

    def java(self, *words: str, heap: str) -> list[str]:
        # The first word is read by nobody but us: it marks the process as this stack's.
        mark = f"-Djangbu.stack={self.stack.state}/"
        memory = [f"-Xms{heap}", f"-Xmx{heap}"]
        return [f"{java.jdk(self.stack)}/bin/java", mark, *memory, *self.options.get("jvm", []), *words]

    def write_files(self) -> None:
        self.home.mkdir(exist_ok=True)
        for file, text in self.all_files().items():
            file.parent.mkdir(exist_ok=True)
            # In one step, since supervisord may be reading it for the sake of another server.
            half = file.with_name(f"{file.name}.half")
            half.write_text(text)
            half.rename(file)

    def settings_differ(self) -> bool:
        return any(not file.exists() or file.read_text() != text for file, text in self.all_files().items())

    def all_files(self) -> dict[Path, str]:
        return self.files() | {
            self.stack.state / f"{self.name}.sh": self.script(),
            self.stack.state / "programs" / f"{self.name}.conf": supervisor.program(self.stack, self.name),
        }

    def script(self) -> str:
        """Leaves the pid behind, so that the server is found even when its supervisor was killed."""
        pid_file = shlex.quote(f"{self.stack.state}/{self.name}.pid")
        exports = "".join(f"export {key}={shlex.quote(text)}\n" for key, text in self.environment().items())
        command = ["nice", "-n", str(self.options.get("nice", 0)), *self.command()]
        return f"#!/bin/sh\necho $$ > {pid_file}\n{exports}exec {shlex.join(command)}\n"
