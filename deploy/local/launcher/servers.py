"""What the four servers have in common, and the list of them."""

import shlex
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from . import cache, java, supervisor
from .settings import Stack, cache_folder

# In the order of starting: what needs another stands behind it.
NAMES = ("kafka", "registry", "mysql", "opensearch")


def every(stack: Stack) -> list["Server"]:
    return [one(stack, name) for name in NAMES]


def one(stack: Stack, name: str) -> "Server":
    return getattr(import_module(f".{name}", __package__), name.title())(stack)


class Server:
    """A server. Its module fills in the steps, which are taken in the order written here; most are Java's."""

    name: str
    ports: tuple[str, ...]
    needs: tuple[str, ...] = ()

    def __init__(self, stack: Stack):
        self.stack = stack
        self.home = stack.state / self.name
        self.options = stack.settings[self.name]

    def check(self) -> None:
        """Stops with what the machine lacks."""
        java.jdk(self.stack)
        if not self.program.exists():
            java.check_maven()

    @property
    def program(self) -> Path:
        """The folder of the cache that it runs from, named by all that decides its content."""
        key = cache.fingerprint(*self.ingredients())
        return cache_folder(self.stack) / f"{self.name}-{self.stack.versions[self.name]}-{key}"

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

    def settle(self) -> None:
        """What has to be done once it answers."""

    def addresses(self) -> dict[str, str]:
        """What a client has to know, as environment variables."""
        raise NotImplementedError

    def title(self) -> str:
        return f"{self.name} {self.stack.versions[self.name]}"

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
        return f"#!/bin/sh\necho $$ > {pid_file}\n{exports}exec {shlex.join(self.command())}\n"
