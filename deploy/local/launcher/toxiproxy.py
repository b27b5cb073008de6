"""toxiproxy: a proxy in front of each server, which lets a client see a slow, cut or dead network."""

import copy
import json
import shutil
from pathlib import Path

from . import cache, web
from .servers import CLIENTS, Server, addresses, names, proxied, ways
from .settings import Problem, Stack

MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server"


class Toxiproxy(Server):
    def check(self) -> None:
        if not self.program.exists() and not shutil.which("go"):
            raise Problem("Go is missing, which builds toxiproxy\n  apt-get install golang-go")

    @property
    def more_ports(self) -> list[str]:
        return [way for server in behind(self.stack) for way in ways(self.stack, server)]

    def ingredients(self) -> list[str]:
        return [MODULE]

    def fetch(self) -> None:
        cache.ensure(self.program, "go", self.build)

    def build(self, folder: Path) -> None:
        module = f"{MODULE}@v{self.stack.versions['toxiproxy']}"
        cache.run(["go", "install", module], "the build of toxiproxy", env={"GOBIN": str(folder)})

    def files(self) -> dict[Path, str]:
        proxies = [
            {"name": name, "listen": f"127.0.0.1:{self.port(name)}", "upstream": f"127.0.0.1:{port}", "enabled": True}
            for name, port in self.upstreams().items()
        ]
        return {self.home / "proxies.json": json.dumps(proxies, indent=2) + "\n"}

    def upstreams(self) -> dict[str, int]:
        """A broker tells a client where to come back to, hence a listener of it for each proxy."""
        ports = self.stack.ports
        return {
            way: ports.get(f"{server}_{way}", ports[server])
            for server in behind(self.stack)
            for way in ways(self.stack, server)
        }

    def command(self) -> list[str]:
        proxies = f"-config={self.home}/proxies.json"
        return [f"{self.program}/server", "-host=127.0.0.1", f"-port={self.port()}", proxies]

    def environment(self) -> dict[str, str]:
        return {"LOG_LEVEL": "info"}

    def answers(self) -> bool:
        proxies = json.loads(web.get(f"{self.url()}/proxies") or "{}")
        return all(name in proxies for name in self.more_ports)

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port()}"

    def addresses(self) -> dict[str, str]:
        return {"JANGBU_TOXIPROXY": self.url()}


def behind(stack: Stack) -> list[str]:
    """The servers that have proxies."""
    return [name for name in names(stack) if name != "toxiproxy"]


def addresses_of_clients(stack: Stack) -> dict[str, str]:
    """The proxies' under the usual names, and beside them each client's own and the servers'; without
    proxies, the servers' alone."""
    direct = addresses(stack)
    if not proxied(stack):
        return direct
    usual = addresses(in_front(stack))
    seen = {"direct": direct} | {client: addresses(in_front(stack, f".{client}")) for client in CLIENTS}
    others = {
        key.replace("JANGBU_", f"JANGBU_{client.upper()}_"): value
        for client, found in seen.items()
        for key, value in found.items()
        if value != usual[key]
    }
    return usual | others


def in_front(stack: Stack, client: str = "") -> Stack:
    """The stack as it looks to a client, or to any other that comes through the proxies."""
    seen = copy.copy(stack)
    seen.ports = stack.ports | {name: stack.ports[f"toxiproxy_{name}{client}"] for name in behind(stack)}
    return seen
