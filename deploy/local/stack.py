#!/usr/bin/env python3
"""The local stack: Kafka, a schema registry, MySQL and OpenSearch as supervised processes."""

import argparse
import signal
import sys

if sys.version_info < (3, 11):
    sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")

from launcher import commands
from launcher.settings import Problem, Stack


def main() -> int:
    arguments = parse(sys.argv[1:])
    # An interrupted command ends at once: whatever was begun is taken up again by the next.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        stack = Stack.load(arguments.name)
        if arguments.command in ON_SERVERS:
            return ON_SERVERS[arguments.command](stack, arguments.servers)
        return ON_ALL[arguments.command](stack)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1


ON_ALL = {
    "up": commands.up,
    "down": commands.down,
    "status": commands.status,
    "clean": commands.clean,
    "env": commands.env,
}

ON_SERVERS = {
    "start": commands.start,
    "stop": commands.stop,
    "kill": commands.kill,
    "restart": commands.restart,
}

HELP = {
    "up": "start what is not running and wait until all of it answers",
    "down": "stop everything, keep the data",
    "status": "show each server's state, process, port, memory and uptime; 1 where one is not ready",
    "clean": "stop everything and delete the data",
    "env": "print the addresses as KEY=value lines",
    "start": "start one server or more and wait until they answer",
    "stop": "stop one server or more in order",
    "kill": "SIGKILL one server or more; they stay down until they are started",
    "restart": "stop and start one server or more",
}


def parse(words: list[str]) -> argparse.Namespace:
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("--name", default=argparse.SUPPRESS, help="which stack (default: dev)")
    parser = argparse.ArgumentParser(description=__doc__, parents=[name])
    commands_of = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, text in HELP.items():
        one = commands_of.add_parser(command, help=text, parents=[name])
        if command in ON_SERVERS:
            one.add_argument("servers", nargs="+", metavar="SERVER", help="as `status` shows it")
    arguments = parser.parse_args(words)
    arguments.name = getattr(arguments, "name", "dev")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
