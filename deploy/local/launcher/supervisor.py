"""supervisord, which holds the servers: how it is installed, started and spoken to."""

import http.client
import os
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from . import cache, processes
from .settings import Problem, Stack, cache_folder

NAME = "supervisord"


def installation(stack: Stack) -> Path:
    python = f"py{sys.version_info.major}.{sys.version_info.minor}"
    return cache_folder(stack) / f"supervisor-{stack.versions['supervisor']}-{python}"


def check(stack: Stack) -> None:
    if not installation(stack).exists() and not find_spec("ensurepip"):
        raise Problem("Python's venv is missing\n  apt-get install python3-venv")


def fetch(stack: Stack) -> None:
    def build(folder: Path) -> None:
        cache.run([sys.executable, "-m", "venv", str(folder)], "a private Python environment")
        cache.run(
            [f"{folder}/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check",
             f"supervisor=={stack.versions['supervisor']}"],
            "the download of supervisor",
        )

    cache.ensure(installation(stack), "pip", build)


def ensure(stack: Stack) -> None:
    """Starts supervisord unless it runs."""
    if not alive(stack):
        (stack.state / "programs").mkdir(exist_ok=True)
        (stack.state / "supervisord.conf").write_text(configuration(stack))
        # An environment of its own: the registry takes settings from any variable it finds.
        environment = [f"{key}={os.environ[key]}" for key in ("PATH", "HOME", "TZ") if key in os.environ]
        # Not its script, whose first line names the folder it was built in.
        supervisord = [f"{installation(stack)}/bin/python", "-m", "supervisor.supervisord"]
        cache.run(
            ["env", "-i", "LANG=C.UTF-8", *environment, *supervisord, "-c", f"{stack.state}/supervisord.conf"],
            "supervisord",
        )
        wait_for(lambda: alive(stack), "supervisord does not answer")


def configuration(stack: Stack) -> str:
    return f"""\
[supervisord]
logfile={stack.logs}/supervisord.log
pidfile={stack.state}/supervisord.pid
childlogdir={stack.logs}
{"user=root" if os.getuid() == 0 else ""}
[unix_http_server]
file={stack.state}/supervisord.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[include]
files = programs/*.conf
""".replace("%", "%%")


def program(stack: Stack, name: str) -> str:
    """A server's part of the configuration. One that dies stays down: a crash is to be seen, not mended."""
    logs = stack.settings["logs"]
    return f"""\
[program:{name}]
command=/bin/sh "{stack.state}/{name}.sh"
directory={stack.state}
autostart=false
autorestart=false
startsecs=0
startretries=0
stopwaitsecs=30
redirect_stderr=true
stdout_logfile={stack.logs}/{name}.log
stdout_logfile_maxbytes={logs["max_size"]}
stdout_logfile_backups={logs["backups"]}
""".replace("%", "%%")


def alive(stack: Stack) -> bool:
    try:
        return speak(stack).getState()["statename"] == "RUNNING"
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return False


def speak(stack: Stack):
    server = xmlrpc.client.ServerProxy("http://local/RPC2", transport=OverSocket(stack))
    return server.supervisor


class OverSocket(xmlrpc.client.Transport):
    def __init__(self, stack: Stack):
        super().__init__()
        self.path = str(stack.state / "supervisord.sock")

    def make_connection(self, host):
        connection = http.client.HTTPConnection(host)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(self.path)
        return connection


def state(stack: Stack, name: str) -> dict:
    """What supervisord says of a server; one it has not heard of is stopped."""
    try:
        return speak(stack).getProcessInfo(name)
    except (OSError, xmlrpc.client.Fault):
        return {"statename": "STOPPED", "exitstatus": 0}


def is_running(stack: Stack, name: str) -> bool:
    return state(stack, name)["statename"] in ("STARTING", "RUNNING", "STOPPING")


def start(stack: Stack, name: str) -> None:
    """Starts a server with its present settings, whatever they were before."""
    calls = speak(stack)
    added, changed, _ = calls.reloadConfig()[0]
    if name in changed:
        calls.removeProcessGroup(name)
    if name in added + changed:
        calls.addProcessGroup(name)
    calls.startProcess(name, False)


def stop(stack: Stack, names: list[str]) -> None:
    for name in names:
        if is_running(stack, name):
            speak(stack).stopProcess(name, False)
    wait_for(lambda: not any(is_running(stack, name) for name in names), "a server does not stop", 60)


def kill(stack: Stack, names: list[str]) -> None:
    for name in names:
        speak(stack).signalProcess(name, "KILL")
    wait_for(lambda: not any(is_running(stack, name) for name in names), f"{', '.join(names)} does not die")


def shutdown(stack: Stack) -> None:
    pid = processes.running(stack, NAME)
    speak(stack).shutdown()
    if pid and not processes.gone(stack, [pid], 60):
        raise Problem(f"supervisord (pid {pid}) does not end")


def wait_for(condition: Callable[[], object], otherwise: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Problem(otherwise)
        time.sleep(0.05)
