"""The JDK that runs three of the four servers, and Maven that brings their jars."""

import os
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from . import cache as downloads
from .settings import HERE, Problem, Stack


def jdk(stack: Stack) -> Path:
    """$JAVA_HOME if it is new enough, else the newest installed."""
    least = stack.versions["jdk_at_least"]
    home = newest(os.environ.get("JAVA_HOME"), least)
    if home is None:
        raise Problem(
            f"no JDK of version {least} or newer: neither $JAVA_HOME, nor under /usr/lib/jvm, nor on PATH\n"
            f"  {how_to_install(least)}"
        )
    return home


def how_to_install(least: int) -> str:
    search = ["apt-cache", "search", "--names-only", "^openjdk-[0-9]+-jdk-headless$"]
    known = downloads.run(search, "apt-cache") if shutil.which("apt-cache") else ""
    versions = [int(number) for number in re.findall(r"^openjdk-(\d+)-", known, re.MULTILINE)]
    if max(versions, default=0) >= least:
        return f"apt-get install openjdk-{max(versions)}-jdk-headless"
    return f"apt-get install temurin-{least}-jdk   (from the apt repository of adoptium.net), or set JAVA_HOME"


@cache
def newest(java_home: str | None, least: int) -> Path | None:
    if java_home and major(Path(java_home)) >= least:
        return Path(java_home)
    home = max(installed(), key=major, default=None)
    return home if home and major(home) >= least else None


def installed() -> Iterator[Path]:
    yield from Path("/usr/lib/jvm").glob("*/")
    if on_path := shutil.which("javac"):
        yield Path(on_path).resolve().parent.parent


def major(home: Path) -> int:
    """The version of a JDK; 0 for what is none."""
    release = home / "release"
    if not release.exists() or not (home / "bin/javac").exists():
        return 0
    found = re.search(r'JAVA_VERSION="(\d+)', release.read_text())
    return int(found[1]) if found else 0


def check_maven() -> None:
    if not shutil.which("mvn"):
        raise Problem("Maven is missing\n  apt-get install maven")


def jars(stack: Stack, server: str, into: Path) -> None:
    """Copies what the server's pom.xml names."""
    properties = [f"-D{name}={version}" for name, version in stack.versions.items()]
    downloads.run(
        ["mvn", "-q", "-B", "-f", str(HERE / server / "pom.xml"), *properties,
         "dependency:copy-dependencies", f"-DoutputDirectory={into}", "-DincludeScope=runtime"],
        f"the download of {server}", env={"JAVA_HOME": str(jdk(stack))},
    )
