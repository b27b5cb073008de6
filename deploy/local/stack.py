#!/usr/bin/env python3
"""The local stack: Kafka, a schema registry, MySQL and OpenSearch as supervised processes."""

import argparse
import signal
import sys

if sys.version_info < (3, 11):
    sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")

from launcher import commands
from launcher.servers import NAMES
from launcher.settings import Problem, Stack


def main() -> int:
    arguments = parse(sys.argv[1:])
    # An interrupted command ends at once: whatever was begun is taken up again by the next.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        stack = Stack.load(arguments.name)
        if arguments.command in ON_ONE_SERVER:
            return ON_ONE_SERVER[arguments.command](stack, arguments.server)
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

ON_ONE_SERVER = {
    "start": commands.start,
    "stop": commands.stop,
    "kill": commands.kill,
    "restart": commands.restart,
}

HELP = {
    "up": "start what is not running and wait until all of it answers",
    "down": "stop everything, keep the data",
    "status": "show each server's state, process, port, memory and uptime",
    "clean": "stop everything and delete the data",
    "env": "print the addresses as KEY=value lines",
    "start": "start one server and wait until it answers",
    "stop": "stop one server in order",
    "kill": "SIGKILL one server; it stays down until it is started",
    "restart": "stop and start one server",
}


def parse(words: list[str]) -> argparse.Namespace:
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("--name", default=argparse.SUPPRESS, help="which stack (default: dev)")
    parser = argparse.ArgumentParser(description=__doc__, parents=[name])
    commands_of = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, text in HELP.items():
        one = commands_of.add_parser(command, help=text, parents=[name])
        if command in ON_ONE_SERVER:
            one.add_argument("server", choices=NAMES)
    arguments = parser.parse_args(words)
    arguments.name = getattr(arguments, "name", "dev")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
