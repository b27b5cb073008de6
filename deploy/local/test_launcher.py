"""Tests of the launcher that need no server: python3 -m unittest discover deploy/local"""

import os
import re
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from launcher import cache, commands, java, kafka, ports, processes, servers, supervisor, toxiproxy
from launcher.settings import HERE, Problem, Stack

COMPOSE = (HERE.parent / "compose.yaml").read_text()


def with_ports(name: str) -> Stack:
    """A stack that was never started, as if it had been."""
    stack = Stack.load(name)
    stack.ports = {port: 20000 + at for at, port in enumerate(ports.all_of(servers.every(stack)))}
    return stack


def properties(stack: Stack, broker: str) -> dict[str, str]:
    server = servers.one(stack, broker)
    lines = server.files()[server.home / "server.properties"].splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


class Compose(unittest.TestCase):
    def test_broker_settings_are_those_of_the_local_broker(self):
        # Where it listens and keeps its data is Docker's own affair.
        own = re.compile(r"listener|log\.dirs|controller\.quorum")
        for key, value in properties(with_ports("dev"), "kafka").items():
            if not own.search(key):
                name = f"KAFKA_{key.upper().replace('.', '_')}"
                self.assertRegex(COMPOSE, rf'(?m)^ *{name}: "?{re.escape(value)}"?$')

    def test_versions_are_those_of_the_local_stack(self):
        versions = Stack.load("dev").versions
        for image in ("apache/kafka", "apicurio/apicurio-registry", "opensearchproject/opensearch"):
            server = {"kafka": "kafka", "apicurio-registry": "registry"}.get(image.split("/")[1], "opensearch")
            self.assertIn(f"{image}:{versions[server]}\n", COMPOSE)


class Cluster(unittest.TestCase):
    def setUp(self):
        self.stack = with_ports("cluster")
        self.brokers = [properties(self.stack, name) for name in servers.brokers(self.stack)]

    def test_each_broker_is_one_of_three(self):
        self.assertEqual(servers.names(self.stack)[:4], ["kafka-1", "kafka-2", "kafka-3", "registry"])
        for key in ("node.id", "listeners", "advertised.listeners", "log.dirs"):
            self.assertEqual(len({broker[key] for broker in self.brokers}), 3, key)
        self.assertEqual(len({broker["controller.quorum.bootstrap.servers"] for broker in self.brokers}), 1)

    def test_whatever_a_cluster_keeps_it_keeps_three_times_and_two_in_sync(self):
        for broker in self.brokers:
            for key, value in broker.items():
                if key.endswith("replication.factor"):
                    self.assertEqual(value, "3", key)
                if key.endswith(("min.isr", "min.insync.replicas")):
                    self.assertEqual(value, "2", key)

    def test_a_client_learns_all_brokers_and_how_many_copies_to_make(self):
        found = servers.addresses(self.stack)
        self.assertEqual(len(found["JANGBU_KAFKA"].split(",")), 3)
        self.assertEqual(found["JANGBU_REPLICATION"], "3")
        self.assertNotIn("JANGBU_REPLICATION", servers.addresses(with_ports("dev")))

    def test_a_broker_is_not_started_where_most_would_still_be_missing(self):
        broker = servers.one(self.stack, "kafka-2")
        self.assertIn("kafka-1, kafka-3", broker.lacks(["kafka-2", "registry"]))
        self.assertIsNone(broker.lacks(["kafka-2", "kafka-3"]))
        self.assertIsNone(servers.one(with_ports("dev"), "kafka").lacks([]))

    def test_a_server_of_another_stack_is_refused_by_name(self):
        with self.assertRaisesRegex(Problem, "no server 'kafka', only kafka-1, kafka-2"):
            servers.one(self.stack, "kafka")

    def test_the_brokers_of_a_metadata_answer_are_read(self):
        first = b"\0\0\0\1" b"\0\x09127.0.0.1" b"\0\0\x23\x84" b"\xff\xff"
        third = b"\0\0\0\3" b"\0\x09127.0.0.1" b"\0\0\x23\x86" b"\0\4rack"
        topics = b"\0\0\0\1" b"\0\0\0\0"
        self.assertEqual(kafka.nodes_in(b"\0\0\0\1" b"\0\0\0\2" + third + first + topics), [3, 1])


class Loads(unittest.TestCase):
    SCHEDULED = "INFO CoordinatorRuntime: Scheduling loading of metadata from __consumer_offsets-1 with epoch 2\n"
    FINISHED = "INFO Finished loading of metadata from __consumer_offsets-1 with epoch 2 in 713ms where 4ms was\n"
    FAILED = "ERROR Failed to load metadata from __consumer_offsets-1 with epoch 4 due to Stopped loading\n"
    UNLOADED = "INFO Finished unloading metadata for __consumer_offsets-1 with epoch OptionalInt[39].\n"
    IGNORED = "INFO Ignored load completion from __consumer_offsets-1 because context is in ACTIVE state.\n"
    ACTIVE = "INFO The coordinator __consumer_offsets-1 is already active.\n"

    def test_a_coordinator_is_loaded_once_its_load_has_finished(self):
        self.assertEqual(({}, set()), self.told(""))
        self.assertEqual(({"__consumer_offsets-1": 1}, set()), self.told(self.SCHEDULED))
        self.assertEqual(({}, {"__consumer_offsets-1"}), self.told(self.SCHEDULED + self.FINISHED))
        again = self.SCHEDULED + self.FINISHED + self.SCHEDULED
        self.assertEqual(({}, {"__consumer_offsets-1"}), self.told(again + self.ACTIVE))

    def test_a_load_that_failed_is_waited_for_no_longer_and_its_coordinator_is(self):
        self.assertEqual(({}, set()), self.told(self.SCHEDULED + self.FAILED + self.UNLOADED))
        again = self.SCHEDULED + self.FAILED + self.UNLOADED + self.SCHEDULED + self.FINISHED
        self.assertEqual(({}, {"__consumer_offsets-1"}), self.told(again))

    def test_a_load_that_ends_for_another_one_is_waited_out_and_seen(self):
        log = self.SCHEDULED + self.UNLOADED + self.SCHEDULED + self.FINISHED
        loads = kafka.Loads(log)
        self.assertEqual(({"__consumer_offsets-1": 1}, set()), (loads.under_way, loads.by_half))
        self.assertEqual({"__consumer_offsets-1"}, kafka.Loads(log + self.IGNORED).by_half)

    def told(self, log: str):
        loads = kafka.Loads(log)
        self.assertEqual(set(), loads.by_half)
        return loads.under_way, loads.done


class Proxies(unittest.TestCase):
    def test_clients_find_the_proxies_and_tests_the_servers_too(self):
        stack = with_ports("faults")
        found = toxiproxy.addresses_of_clients(stack)
        for key in ("JANGBU_KAFKA", "JANGBU_REGISTRY", "JANGBU_MYSQL", "JANGBU_OPENSEARCH"):
            server = key.removeprefix("JANGBU_").lower()
            self.assertIn(f":{stack.ports[f'toxiproxy_{server}']}", found[key])
            for client, port in {"DIRECT": server, "HANDLER": f"toxiproxy_{server}.handler"}.items():
                self.assertIn(f":{stack.ports[port]}", found[key.replace("JANGBU_", f"JANGBU_{client}_")])
        self.assertEqual(found["JANGBU_TOXIPROXY"], f"http://127.0.0.1:{stack.ports['toxiproxy']}")

    def test_a_broker_sends_clients_that_come_by_proxy_back_to_the_proxy(self):
        for name in ("faults", "cluster"):
            stack = with_ports(name)
            upstreams = servers.one(stack, "toxiproxy").upstreams()
            for broker in servers.brokers(stack):
                listeners = properties(stack, broker)
                for way, listener in {broker: "PROXIED", f"{broker}.api": "PROXIED_API"}.items():
                    self.assertIn(f"{listener}://127.0.0.1:{upstreams[way]}", listeners["listeners"])
                    proxy = stack.ports[f"toxiproxy_{way}"]
                    self.assertIn(f"{listener}://127.0.0.1:{proxy}", listeners["advertised.listeners"])
                    self.assertIn(f"{listener}:PLAINTEXT", listeners["listener.security.protocol.map"])
                self.assertEqual(listeners["inter.broker.listener.name"], "CLIENTS")

    def test_a_stack_without_proxies_has_the_addresses_of_its_servers_only(self):
        stack = with_ports("dev")
        self.assertEqual(toxiproxy.addresses_of_clients(stack), servers.addresses(stack))
        self.assertNotIn("toxiproxy", servers.names(stack))


class SmallDisk(unittest.TestCase):
    def test_only_root_can_have_one(self):
        with mock.patch("os.getuid", return_value=1000), self.assertRaisesRegex(Problem, "only root"):
            servers.one(Stack.load("small-disk"), "mysql").check()

    def test_what_the_last_disk_held_is_made_anew_on_the_next(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch("launcher.cache.run") as run:
            stack = with_ports("small-disk")
            stack.state = Path(folder)
            mysql = servers.one(stack, "mysql")
            mysql.mysqld = lambda: ["mysqld"]
            mysql.home.mkdir()
            (mysql.home / "prepared").touch()
            mysql.prepare()
            commands_run = [call.args[0] for call in run.call_args_list]
            self.assertEqual(commands_run[0][:5], ["mount", "-t", "tmpfs", "-o", "size=400M,mode=700"])
            self.assertIn("--initialize-insecure", commands_run[1])


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


    def test_a_stack_keeps_its_ports_when_another_server_joins_it(self):
        with tempfile.TemporaryDirectory() as folder:
            stack = with_ports("faults")
            stack.state = Path(folder)
            before = stack.ports
            stack.ports = {name: port for name, port in before.items() if "toxiproxy" not in name}
            ports.record(stack)
            with self.assertRaisesRegex(Problem, "other servers than it was started with"):
                commands.require_ports(stack)
            after = ports.choose(stack, servers.every(stack))
            self.assertEqual(after | stack.ports, after)
            self.assertEqual(after.keys(), before.keys())
            self.assertEqual(len(set(after.values())), len(after))


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
