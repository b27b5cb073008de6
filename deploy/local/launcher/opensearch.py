"""OpenSearch with the Korean analyzer, a single node."""

from pathlib import Path

from . import cache, java, web
from .servers import Server
from .settings import HERE, fill


class Opensearch(Server):
    more_ports = ("transport",)

    def ingredients(self) -> list[str]:
        sources = [(HERE / "opensearch" / file).read_text() for file in ("pom.xml", "LocalNode.java")]
        return [*sources, self.stack.versions["opensearch_log4j"]]

    def build(self, folder: Path) -> None:
        java.jars(self.stack, "opensearch", folder / "lib")
        least = str(self.stack.versions["jdk_at_least"])
        cache.run(
            [f"{java.jdk(self.stack)}/bin/javac", "--release", least, "-cp", f"{folder}/lib/*",
             "-d", f"{folder}/classes", str(HERE / "opensearch/LocalNode.java")],
            "the compilation of LocalNode.java",
        )

    def files(self) -> dict[Path, str]:
        values = {"name": self.stack.name, "port": self.port(), "transport_port": self.port("transport")}
        return {
            self.home / "config/opensearch.yml": fill("opensearch/opensearch.yml", values),
            self.home / "config/log4j2.properties": fill("opensearch/log4j2.properties", {}),
        }

    def prepare(self) -> None:
        (self.home / "tmp").mkdir(exist_ok=True)

    def command(self) -> list[str]:
        return self.java(
            "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
            f"-Djava.io.tmpdir={self.home}/tmp",
            "-cp", f"{self.program}/classes:{self.program}/lib/*", "LocalNode", str(self.home),
            heap=self.options["heap"],
        )

    def answers(self) -> bool:
        # The first answer after a restart is red: the indices are still being opened.
        health = "_cluster/health?wait_for_status=yellow&timeout=2s"
        return web.get(f"{self.addresses()['JANGBU_OPENSEARCH']}/{health}") is not None

    def addresses(self) -> dict[str, str]:
        return {"JANGBU_OPENSEARCH": f"http://127.0.0.1:{self.port()}"}
