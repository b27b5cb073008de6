"""Processes of this stack, known by their pid files, and signalled only when they are still ours."""

import os
import signal
import time
from pathlib import Path

from .settings import Stack


def running(stack: Stack, name: str) -> int | None:
    """The pid from the pid file, if a process of this stack has it still."""
    try:
        pid = int((stack.state / f"{name}.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if is_ours(stack, pid) else None


def is_ours(stack: Stack, pid: int) -> bool:
    """Pids are given out again: ours has a path of this stack's folder in its command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return False
    # A path stands alone or behind `--option=`. A zombie's command line is empty.
    return any(word[word.find("=") + 1 :].startswith(f"{stack.state}/") for word in words)


def end(stack: Stack, names: list[str], patience: float = 30) -> list[str]:
    """SIGTERM to those that run, SIGKILL to what is left after a while. Gives what it ended."""
    pids = {name: pid for name in names if (pid := running(stack, name))}
    send(stack, pids.values(), signal.SIGTERM)
    if not gone(stack, pids.values(), patience):
        send(stack, pids.values(), signal.SIGKILL)
        gone(stack, pids.values(), 10)
    return list(pids)


def send(stack: Stack, pids, number: signal.Signals) -> None:
    for pid in pids:
        if is_ours(stack, pid):
            os.kill(pid, number)


def gone(stack: Stack, pids, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while any(is_ours(stack, pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def memory(pid: int) -> int:
    """Resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def uptime(pid: int) -> float:
    """Seconds since the process began."""
    behind_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    since_boot = float(Path("/proc/uptime").read_text().split()[0])
    return since_boot - int(behind_name[19]) / os.sysconf("SC_CLK_TCK")
