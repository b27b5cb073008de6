"""Apicurio Registry, which keeps its schemas in Kafka."""

import json
from pathlib import Path

from . import cache, java, web
from .kafka import bootstrap
from .servers import Server, brokers
from .settings import HERE


class Registry(Server):
    more_ports = ("management",)

    @property
    def needs(self) -> list[str]:
        return brokers(self.stack)

    def ingredients(self) -> list[str]:
        return [(HERE / "registry/pom.xml").read_text()]

    def build(self, folder: Path) -> None:
        java.jars(self.stack, "registry", folder)
        [archive] = folder.glob("*.tar.gz")
        cache.run(["tar", "-xzf", str(archive), "-C", str(folder)], "unpacking the registry")
        archive.unlink()

    def prepare(self) -> None:
        (self.home / "snapshots").mkdir(exist_ok=True)

    def command(self) -> list[str]:
        return self.java("-jar", f"{self.program}/quarkus-run.jar", heap=self.options["heap"])

    def environment(self) -> dict[str, str]:
        return {
            "APICURIO_STORAGE_KIND": "kafkasql",
            "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": bootstrap(self.stack),
            # A start waits this long twice for a snapshot that is not there; the default is 5 s.
            "APICURIO_KAFKASQL_CONSUMER_POLL_TIMEOUT": "500",
            "APICURIO_STORAGE_SNAPSHOT_LOCATION": f"{self.home}/snapshots",
            "QUARKUS_HTTP_HOST": "127.0.0.1",
            "QUARKUS_HTTP_PORT": str(self.port()),
            "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
            "QUARKUS_MANAGEMENT_PORT": str(self.port("management")),
        }

    def answers(self) -> bool:
        return web.get(f"http://127.0.0.1:{self.port('management')}/health/ready") is not None

    def settle(self) -> None:
        """Apicurio begins with no compatibility rule at all."""
        config = f"{self.addresses()['JANGBU_REGISTRY']}/config"
        wanted = self.options["compatibility"]
        if json.loads(web.get(config) or "{}").get("compatibilityLevel") != wanted:
            web.put(config, {"compatibility": wanted})

    def addresses(self) -> dict[str, str]:
        return {"JANGBU_REGISTRY": f"http://127.0.0.1:{self.port()}/apis/ccompat/v7"}
