"""Programs of Debian sid in a folder of their own, run by its own loader; the machine's apt is left alone."""

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


def check() -> None:
    missing = [tool for tool in ("apt-get", "dpkg", "dpkg-deb") if not shutil.which(tool)]
    if os.uname().machine != "x86_64" or missing:
        raise Problem("Debian's packages for amd64 are needed: this machine has no apt, or is not amd64")
    if not KEYRING.exists():
        raise Problem("Debian's keys are missing\n  apt-get install debian-archive-keyring")


def unpack(folder: Path, packages: list[str], programs: list[str]) -> None:
    """The newest of these packages, and of what they depend on the libraries."""
    what = ", ".join(packages)
    env = {"APT_CONFIG": str(private_apt(folder / "apt"))}
    cache.run(["apt-get", "-qq", "update"], "the index of Debian sid", env=env)
    wanted = libraries(packages, env) + packages
    debs = folder / "apt/debs"
    cache.run(["apt-get", "-qq", "download", *wanted], f"the download of {what}", env=env, cwd=debs)
    for deb in debs.glob("*.deb"):
        cache.run(["dpkg-deb", "-x", str(deb), str(folder)], f"unpacking {deb.name}")
    check_self_contained(folder, programs)
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


def libraries(packages: list[str], env: dict) -> list[str]:
    """Of all that they depend on only the libraries: perl and its like are for scripts."""
    plan = cache.run(
        ["apt-get", "-s", "install", "--no-install-recommends", *packages],
        f"apt's plan for {', '.join(packages)}", env=env,
    )
    names = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    libraries = [name for name in names if name.startswith(("lib", "zlib")) and "perl" not in name]
    return [name for name in libraries if name not in packages]


def check_self_contained(folder: Path, programs: list[str]) -> None:
    for program in programs:
        text = cache.run([*loaded(folder, "--list"), str(folder / program)], f"the libraries of {program}")
        foreign = [line for line in text.splitlines() if str(folder) not in line and "vdso" not in line]
        if foreign:
            raise Problem(f"{program} of Debian sid lacks libraries here:\n" + "\n".join(foreign))


def loaded(folder: Path, program: str) -> list[str]:
    word = program if program.startswith("--") else str(folder / program)
    return [str(folder / LOADER), "--library-path", str(folder / LIBRARIES), word]
