"""Tests of the launcher that need no server: python3 -m unittest discover deploy/local"""

import os
import re
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from launcher import cache, java, ports, processes, supervisor
from launcher.settings import HERE, Stack

COMPOSE = (HERE.parent / "compose.yaml").read_text()


class Compose(unittest.TestCase):
    def test_broker_settings_are_those_of_the_local_broker(self):
        lines = (HERE / "kafka/server.properties").read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        # Where it listens and keeps its data is Docker's own affair.
        own = re.compile(r"listener|log\.dirs|controller\.quorum")
        for key, value in settings.items():
            if not own.search(key):
                name = f"KAFKA_{key.upper().replace('.', '_')}"
                self.assertRegex(COMPOSE, rf'(?m)^ *{name}: "?{re.escape(value)}"?$')

    def test_versions_are_those_of_the_local_stack(self):
        versions = Stack.load("dev").versions
        for image in ("apache/kafka", "apicurio/apicurio-registry", "opensearchproject/opensearch"):
            server = {"kafka": "kafka", "apicurio-registry": "registry"}.get(image.split("/")[1], "opensearch")
            self.assertIn(f"{image}:{versions[server]}\n", COMPOSE)


class Cache(unittest.TestCase):
    def test_an_interrupted_download_is_not_taken_for_a_complete_one(self):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "kafka")
            with self.assertRaises(OSError):
                cache.ensure(target, "maven", interrupted)
            self.assertFalse(target.exists())
            cache.ensure(target, "maven", lambda partial: (partial / "whole.jar").touch())
            self.assertEqual(sorted(os.listdir(folder)), ["kafka", "maven.lock"])
            self.assertEqual(os.listdir(target), ["whole.jar"])


def interrupted(partial: Path) -> None:
    (partial / "half.jar").touch()
    raise OSError


class Processes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.stack = Stack("test", {"folders": {"state": folder.name}})
        self.stack.state.mkdir()

    def run_with(self, argument: str) -> subprocess.Popen:
        process = subprocess.Popen(["sh", "-c", "while :; do sleep 0.1; done", argument])
        self.addCleanup(lambda: (process.kill(), process.wait()))
        (self.stack.state / "kafka.pid").write_text(str(process.pid))
        # The kernel shows the command line only a moment after the start.
        supervisor.wait_for(Path(f"/proc/{process.pid}/cmdline").read_text, "the process has no command line")
        return process

    def test_a_process_of_this_stack_is_ended(self):
        process = self.run_with(f"--config={self.stack.state}/server.properties")
        self.assertEqual(processes.end(self.stack, ["kafka"]), ["kafka"])
        self.assertIsNotNone(process.wait(5))

    def test_a_pid_that_was_given_to_another_program_is_left_alone(self):
        process = self.run_with(f"--config={self.stack.state}-other/server.properties")
        self.assertEqual(processes.end(self.stack, ["kafka"]), [])
        self.assertIsNone(process.poll())


class Ports(unittest.TestCase):
    def test_who_holds_a_port_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertFalse(ports.is_free(port))
            self.assertIn(f"pid {os.getpid()} ", ports.holder(port))


class Jdk(unittest.TestCase):
    def test_a_java_without_a_compiler_is_no_jdk(self):
        with tempfile.TemporaryDirectory() as home:
            Path(home, "release").write_text('JAVA_VERSION="21.0.4"\n')
            self.assertEqual(java.major(Path(home)), 0)
            Path(home, "bin").mkdir()
            Path(home, "bin/javac").touch()
            self.assertEqual(java.major(Path(home)), 21)


if __name__ == "__main__":
    unittest.main()
