"""MySQL: Debian sid's, or the machine's own where that one cannot be had."""

import os
import re
import shlex
import shutil
import socket
from pathlib import Path

from . import cache, debian
from .servers import Server
from .settings import Problem, cache_folder, fill

PACKAGES = ["mysql-server-core", "mysql-client-core"]
PROGRAMS = ["usr/sbin/mysqld", "usr/bin/mysql"]


class Mysql(Server):
    def check(self) -> None:
        if self.options["disk"] and os.getuid() != 0:
            raise Problem("only root can give MySQL a disk of its own: [mysql] disk in stack.toml")
        if not self.program.exists() and not self.own():
            debian.check()

    @property
    def program(self) -> Path:
        return cache_folder(self.stack) / "mysql-sid"

    def fetch(self) -> None:
        try:
            debian.check()
            cache.ensure(self.program, "apt", self.build)
        except Problem as problem:
            if not self.own():
                raise
            print(f"MySQL of Debian sid cannot serve, {self.own()} does instead: {problem}")

    def build(self, folder: Path) -> None:
        debian.unpack(folder, PACKAGES, PROGRAMS)
        found = version_of(debian.loaded(folder, "usr/sbin/mysqld"))
        if found < self.least():
            raise Problem(f"Debian sid has MySQL {found}, which is too old")

    def own(self) -> str | None:
        """The machine's mysqld, if it is MySQL and new enough."""
        path = shutil.which("mysqld", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        return path if path and version_of([path]) >= self.least() else None

    def least(self) -> tuple[int, ...]:
        return numbers(self.stack.versions["mysql_at_least"])

    def files(self) -> dict[Path, str]:
        values = self.options | {
            "installation": options(self.program) if self.program.exists() else "",
            "run_as": "user=root" if os.getuid() == 0 else "",
            "home": self.home,
            "socket": self.socket,
            "port": self.port(),
        }
        return {
            self.home / "my.cnf": fill("mysql/my.cnf", values),
            self.home / "init.sql": fill("mysql/init.sql", self.options),
            self.home / "client.sh": self.client(),
        }

    @property
    def socket(self) -> Path:
        return self.home / "mysqld.sock"

    def prepare(self) -> None:
        (self.home / "tmp").mkdir(exist_ok=True, mode=0o700)
        if self.options["disk"] and not self.data.is_mount():
            self.mount()
        self.once(self.data, self.initialize)

    @property
    def data(self) -> Path:
        return self.home / "data"

    def mount(self) -> None:
        """An empty disk: what was prepared before is not on it."""
        self.data.mkdir(exist_ok=True)
        (self.home / "prepared").unlink(missing_ok=True)
        size = f"size={self.options['disk']},mode=700"
        cache.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.data)], "MySQL's disk")

    def put_away(self) -> None:
        if self.data.is_mount():
            cache.run(["umount", str(self.data)], "taking MySQL's disk away")
            (self.home / "prepared").unlink(missing_ok=True)

    def initialize(self) -> None:
        """Root gets no password, and can come through the socket only."""
        cache.run([*self.mysqld(), "--initialize-insecure"], "the first data of MySQL")

    def command(self) -> list[str]:
        return [*self.mysqld(), f"--init-file={self.home}/init.sql"]

    def client(self) -> str:
        """For a person: `sh .stack/dev/mysql/client.sh` is root."""
        program = debian.loaded(self.program, "usr/bin/mysql") if self.program.exists() else ["mysql"]
        words = [*program, "--no-defaults", "--user=root", f"--socket={self.socket}"]
        return f'exec {shlex.join(words)} "$@"\n'

    def mysqld(self) -> list[str]:
        program = debian.loaded(self.program, "usr/sbin/mysqld") if self.program.exists() else [self.own()]
        return [*program, f"--defaults-file={self.home}/my.cnf"]

    def answers(self) -> bool:
        return greeting(self.port()) is not None

    def addresses(self) -> dict[str, str]:
        user, password, database = (self.options[key] for key in ("user", "password", "database"))
        return {
            "JANGBU_MYSQL": f"mysql://{user}:{password}@127.0.0.1:{self.port()}/{database}",
            "JANGBU_MYSQL_SOCKET": str(self.socket),
        }

    def title(self) -> str:
        return f"mysql {greeting(self.port()) or ''}".rstrip()


def greeting(port: int) -> str | None:
    """The version that a server greets with; one that is full or starting says something else."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as server:
            packet = server.recv(128)
    except OSError:
        return None
    # Four bytes of header, the protocol's number (10), then the version up to a zero.
    return packet[5:].split(b"\0")[0].decode() if packet[4:5] == b"\x0a" else None


def version_of(mysqld: list[str]) -> tuple[int, ...]:
    """The version of a mysqld; of MariaDB, which is another server, none."""
    text = cache.run([*mysqld, "--no-defaults", "--version"], "mysqld --version")
    return numbers("" if "MariaDB" in text else text)


def numbers(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(\.\d+)+", text.rpartition("Ver ")[2])
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def options(folder: Path) -> str:
    """Where a mysqld that is not installed finds its own parts."""
    usr = folder / "usr"
    return "\n".join([
        f"basedir={usr}",
        f"lc_messages_dir={usr}/share/mysql",
        f"character_sets_dir={usr}/share/mysql/charsets",
        f"plugin_dir={usr}/lib/mysql/plugin",
    ])
