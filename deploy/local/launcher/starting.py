"""From nothing to servers that answer, side by side."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from . import supervisor
from .servers import Server
from .settings import Problem, Stack


def check(stack: Stack, servers: list[Server]) -> None:
    """Everything that the machine lacks, at once."""
    problems = []
    for checked in (lambda: supervisor.check(stack), *(server.check for server in servers)):
        try:
            checked()
        except Problem as problem:
            problems.append(str(problem))
    if problems:
        raise Problem("\n".join(dict.fromkeys(problems)))


def supervise(stack: Stack) -> None:
    if not supervisor.installation(stack).exists():
        step(lambda: "supervisor", "downloaded", lambda: supervisor.fetch(stack))
    supervisor.ensure(stack)


def start(servers: list[Server]) -> int:
    """Starts each as soon as those it needs answer. Gives 1 if one failed, after saying why."""
    begun: dict[str, Future] = {}
    with ThreadPoolExecutor(len(servers)) as pool:
        for server in servers:
            needed = [begun[name] for name in server.needs if name in begun]
            begun[server.name] = pool.submit(bring_up, server, needed)
    failures = {name: error for name, future in begun.items() if (error := future.exception())}
    for name, error in failures.items():
        print(f"\n{name} failed: {error}", file=sys.stderr)
    return 1 if failures else 0


def bring_up(server: Server, needed: list[Future]) -> None:
    if supervisor.is_running(server.stack, server.name) and server.answers():
        server.settle()
        hint = f", with older settings: restart {server.name} applies the new" if server.settings_differ() else ""
        say(server.title(), f"running{hint}")
        return
    if not server.program.exists():
        step(server.title, "downloaded", server.fetch)
    if any(other.exception() for other in needed):
        raise Problem(f"not started, since it needs {', '.join(server.needs)}")
    step(server.title, f"ready on port {server.port()}", lambda: start_one(server))


def start_one(server: Server) -> None:
    if not supervisor.is_running(server.stack, server.name):
        server.write_files()
        server.prepare()
        supervisor.start(server.stack, server.name)
    wait_until_ready(server)
    if why := server.begun_badly():
        say(server.title(), f"started once more: {why}")
        supervisor.stop(server.stack, [server.name])
        supervisor.start(server.stack, server.name)
        wait_until_ready(server)
    server.settle()


def wait_until_ready(server: Server) -> None:
    patience = server.options["ready_seconds"]
    deadline = time.monotonic() + patience
    while not server.answers():
        if end := how_it_ended(server):
            raise Problem(f"it {end}\n{log_tail(server)}")
        if time.monotonic() > deadline:
            raise Problem(f"it does not answer after {patience} s\n{log_tail(server)}")
        time.sleep(0.1)


def how_it_ended(server: Server) -> str | None:
    """What became of a server that is not running, or nothing while it runs."""
    if supervisor.is_running(server.stack, server.name):
        return None
    info = supervisor.state(server.stack, server.name)
    code = info["exitstatus"]
    if info["statename"] != "EXITED":
        return info["statename"].lower()
    return f"exited ({code})" if code >= 0 else "was killed"


def log_tail(server: Server, lines: int = 15) -> str:
    text = server.log.read_text(errors="replace").splitlines()[-lines:] if server.log.exists() else []
    return "\n".join([f"  {server.log}:", *(f"  | {line[:200]}" for line in text)])


def step(title: Callable[[], str], done: str, action: Callable[[], None]) -> None:
    """Its title is asked for at the end: MySQL's version is known only then."""
    began = time.monotonic()
    action()
    say(title(), f"{done}, {time.monotonic() - began:.1f} s")


def say(title: str, text: str) -> None:
    # One write a line: other threads are speaking too.
    print(f"{title:<20} {text}\n", end="", flush=True)
