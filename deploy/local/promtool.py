#!/usr/bin/env python3
"""promtool, of Debian sid where the machine has none: python3 deploy/local/promtool.py check rules FILE"""

import os
import shutil
import sys

from launcher import cache, debian
from launcher.settings import Problem, Stack, cache_folder

PROGRAM = "usr/bin/promtool"


def promtool() -> list[str]:
    if own := shutil.which("promtool"):
        return [own]
    folder = cache_folder(Stack.load("dev")) / "promtool-sid"
    if not folder.exists():
        debian.check()
    cache.ensure(folder, "apt", lambda partial: debian.unpack(partial, ["promtool"], [PROGRAM]))
    return debian.loaded(folder, PROGRAM)


if __name__ == "__main__":
    try:
        words = promtool()
    except Problem as problem:
        sys.exit(str(problem))
    os.execv(words[0], [*words, *sys.argv[1:]])
