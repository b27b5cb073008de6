"""One stack of one checkout: its name, its folders, its settings and its ports."""

import os
import re
import tomllib
from pathlib import Path
from string import Template

HERE = Path(__file__).resolve().parent.parent
CHECKOUT = HERE.parent.parent

# A socket's path has at most 107 bytes; the longest of ours ends in this.
LONGEST_SOCKET = "mysql/mysqld.sock"


class Problem(Exception):
    """Something the reader of the message can put right."""


class Stack:
    def __init__(self, name: str, settings: dict):
        self.name = name
        self.settings = settings
        self.state = CHECKOUT / settings["folders"]["state"] / name
        self.logs = self.state / "logs"
        self.ports: dict[str, int] = {}

    @classmethod
    def load(cls, name: str) -> "Stack":
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
            raise Problem(f"a stack's name is lower-case letters, digits and '-': not {name!r}")
        settings = tomllib.loads((HERE / "stack.toml").read_text())
        for table, overrides in settings.pop("stack", {}).get(name, {}).items():
            settings[table] |= overrides
        stack = cls(name, settings)
        if len(os.fsencode(stack.state / LONGEST_SOCKET)) > 107:
            raise Problem(f"{stack.state} is too long a path for a socket: move the checkout up")
        return stack

    @property
    def versions(self) -> dict[str, str]:
        return self.settings["versions"]


def cache_folder(stack: Stack) -> Path:
    chosen = stack.settings["folders"]["cache"]
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "jangbu"


def fill(template: str, values: dict) -> str:
    """A file of deploy/local with its ${names} filled in."""
    return Template((HERE / template).read_text()).substitute(values)
