"""MySQL, as Debian sid packages it."""

import os
import socket
from pathlib import Path

from . import cache, debian
from .servers import Server
from .settings import cache_folder, fill


class Mysql(Server):
    name = "mysql"
    ports = ("mysql",)

    def check(self) -> None:
        if not self.program.exists():
            debian.check()

    @property
    def program(self) -> Path:
        return cache_folder(self.stack) / "mysql-sid"

    def fetch(self) -> None:
        cache.ensure(self.program, "apt", debian.build)

    def files(self) -> dict[Path, str]:
        values = self.options | {
            "installation": debian.options(self.program),
            "run_as": "user=root" if os.getuid() == 0 else "",
            "home": self.home,
            "socket": self.socket,
            "port": self.port(),
        }
        return {
            self.home / "my.cnf": fill("mysql/my.cnf", values),
            self.home / "init.sql": fill("mysql/init.sql", self.options),
        }

    @property
    def socket(self) -> Path:
        return self.home / "mysqld.sock"

    def prepare(self) -> None:
        (self.home / "tmp").mkdir(exist_ok=True)
        self.once(self.home / "data", self.initialize)

    def initialize(self) -> None:
        """Root gets no password, and can come through the socket only."""
        cache.run([*self.mysqld(), "--initialize-insecure"], "the first data of MySQL")

    def command(self) -> list[str]:
        return [*self.mysqld(), f"--init-file={self.home}/init.sql"]

    def mysqld(self) -> list[str]:
        return [*debian.loaded(self.program, "usr/sbin/mysqld"), f"--defaults-file={self.home}/my.cnf"]

    def answers(self) -> bool:
        return greeting(self.port()) is not None

    def addresses(self) -> dict[str, str]:
        user, password, database = (self.options[key] for key in ("user", "password", "database"))
        return {
            "JANGBU_MYSQL": f"mysql://{user}:{password}@127.0.0.1:{self.port()}/{database}",
            "JANGBU_MYSQL_SOCKET": str(self.socket),
        }

    def title(self) -> str:
        version = self.program / "VERSION"
        return f"mysql {version.read_text() if version.exists() else 'of Debian sid'}"


def greeting(port: int) -> str | None:
    """The version that a server greets with; one that is full or starting says something else."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as server:
            packet = server.recv(128)
    except OSError:
        return None
    # Four bytes of header, the protocol's number (10), then the version up to a zero.
    return packet[5:].split(b"\0")[0].decode() if packet[4:5] == b"\x0a" else None
