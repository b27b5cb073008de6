"""MySQL from Debian sid in a folder of its own, run by its own loader; the machine's apt is left alone."""

import os
import re
import shutil
from pathlib import Path

from . import cache
from .settings import Problem

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "JANGBU_DEBIAN_MIRROR"
LOADER = "usr/lib64/ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
PROGRAMS = ("usr/sbin/mysqld", "usr/bin/mysql")


def check() -> None:
    missing = [tool for tool in ("apt-get", "dpkg", "dpkg-deb") if not shutil.which(tool)]
    if os.uname().machine != "x86_64" or missing:
        raise Problem("MySQL comes from Debian's packages for amd64: this machine has no apt, or is not amd64")
    if not KEYRING.exists():
        raise Problem("Debian's keys are missing\n  apt-get install debian-archive-keyring")


def build(folder: Path, least: tuple[int, ...]) -> None:
    apt = private_apt(folder / "apt")
    env = {"APT_CONFIG": str(apt)}
    cache.run(["apt-get", "-qq", "update"], "the index of Debian sid", env=env)
    packages = libraries(env) + ["mysql-server-core", "mysql-client-core"]
    debs = folder / "apt/debs"
    cache.run(["apt-get", "-qq", "download", *packages], "the download of MySQL", env=env, cwd=debs)
    for deb in debs.glob("*.deb"):
        cache.run(["dpkg-deb", "-x", str(deb), str(folder)], f"unpacking {deb.name}")
    check_self_contained(folder)
    found = version_of(loaded(folder, "usr/sbin/mysqld"))
    if found < least:
        raise Problem(f"Debian sid has MySQL {found}, which is too old")
    shutil.rmtree(folder / "apt")


def private_apt(folder: Path) -> Path:
    """Settings under which apt sees one source, no installed package, and nothing of the machine."""
    for part in ("lists/partial", "cache/archives/partial", "none.d", "debs"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sid.list").write_text(f"deb [arch=amd64 signed-by={KEYRING}] {mirror()} sid main\n")
    settings = {
        "Dir::Etc::sourcelist": f"{folder}/sid.list",
        "Dir::Etc::sourceparts": f"{folder}/none.d",
        "Dir::Etc::preferences": f"{folder}/none",
        "Dir::Etc::preferencesparts": f"{folder}/none.d",
        "Dir::State::lists": f"{folder}/lists",
        "Dir::State::status": f"{folder}/status",
        "Dir::Cache": f"{folder}/cache",
        "APT::Architecture": "amd64",
        "APT::Architectures::": "amd64",
        "APT::Sandbox::User": "",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    conf = folder / "apt.conf"
    conf.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    return conf


def mirror() -> str:
    """Where this machine gets Debian from."""
    if chosen := os.environ.get(MIRROR):
        return chosen
    lines = cache.run(["apt-get", "indextargets", "--format", "$(LABEL) $(SITE)", "Created-By: Packages"], "apt")
    sites = [line.split(maxsplit=1)[1] for line in lines.splitlines() if line.startswith("Debian ")]
    if not sites:
        raise Problem(f"apt knows no mirror of Debian: run apt-get update, or set {MIRROR} to one's address")
    return sites[0]


def libraries(env: dict) -> list[str]:
    """Of all that MySQL depends on only the libraries: perl and its like are for its scripts."""
    plan = cache.run(
        ["apt-get", "-s", "install", "--no-install-recommends", "mysql-server-core", "mysql-client-core"],
        "apt's plan for MySQL", env=env,
    )
    names = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    return [name for name in names if name.startswith(("lib", "zlib")) and "perl" not in name]


def check_self_contained(folder: Path) -> None:
    for program in PROGRAMS:
        text = cache.run([*loaded(folder, "--list"), str(folder / program)], f"the libraries of {program}")
        foreign = [line for line in text.splitlines() if str(folder) not in line and "vdso" not in line]
        if foreign:
            raise Problem("MySQL from Debian sid lacks libraries here:\n" + "\n".join(foreign))


def loaded(folder: Path, program: str) -> list[str]:
    word = program if program.startswith("--") else str(folder / program)
    return [str(folder / LOADER), "--library-path", str(folder / LIBRARIES), word]


def version_of(mysqld: list[str]) -> tuple[int, ...]:
    """The version of a mysqld; of MariaDB, which is another server, none."""
    text = cache.run([*mysqld, "--no-defaults", "--version"], "mysqld --version")
    return numbers("" if "MariaDB" in text else text)


def numbers(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(\.\d+)+", text.rpartition("Ver ")[2])
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def options(folder: Path) -> str:
    """Where a mysqld that is not installed finds its own parts."""
    usr = folder / "usr"
    return "\n".join([
        f"basedir={usr}",
        f"lc_messages_dir={usr}/share/mysql",
        f"character_sets_dir={usr}/share/mysql/charsets",
        f"plugin_dir={usr}/lib/mysql/plugin",
    ])
