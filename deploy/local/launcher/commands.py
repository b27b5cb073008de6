"""The commands of stack.py, one function each."""

import shutil
from contextlib import AbstractContextManager

from . import cache, ports, processes, starting, supervisor
from .servers import NAMES, Server, every, one
from .settings import Problem, Stack


def up(stack: Stack) -> int:
    with only_one_at_a_time(stack):
        if supervisor.alive(stack):
            stack.ports = ports.recorded(stack)
        else:
            end_orphans(stack)
            stack.ports = ports.choose(stack)
        servers = every(stack)
        starting.check(stack, servers)
        ports.check_free(stack, not_running(servers))
        stack.logs.mkdir(parents=True, exist_ok=True)
        ports.record(stack)
        starting.supervise(stack)
        return starting.start(servers)


def down(stack: Stack) -> int:
    with only_one_at_a_time(stack):
        end_all(stack)
    return 0


def clean(stack: Stack) -> int:
    with only_one_at_a_time(stack):
        end_all(stack)
        if stack.state.exists():
            shutil.rmtree(stack.state)
            print(f"{stack.name}: data deleted")
    return 0


def start(stack: Stack, name: str) -> int:
    require_up(stack)
    server = one(stack, name)
    require_needs(server)
    ports.check_free(stack, not_running([server]))
    return starting.start([server])


def stop(stack: Stack, name: str) -> int:
    require_up(stack)
    supervisor.stop(stack, [name])
    return 0


def kill(stack: Stack, name: str) -> int:
    require_up(stack)
    if not supervisor.is_running(stack, name):
        raise Problem(f"{name} is not running")
    supervisor.kill(stack, name)
    return 0


def restart(stack: Stack, name: str) -> int:
    require_up(stack)
    require_needs(one(stack, name))
    return stop(stack, name) or start(stack, name)


def env(stack: Stack) -> int:
    require_ports(stack)
    for server in every(stack):
        for key, value in server.addresses().items():
            print(f"{key}={value}")
    return 0


def status(stack: Stack) -> int:
    require_ports(stack)
    print(f"{'SERVER':<12}{'STATE':<14}{'PID':>8}{'PORT':>7}{'MEMORY':>12}{'UPTIME':>10}")
    for server in every(stack):
        pid = processes.running(stack, server.name)
        line = f"{server.name:<12}{state(server, pid):<14}{pid or '-':>8}{server.port():>7}"
        if pid:
            line += f"{processes.memory(pid) >> 20:>8} MiB{duration(processes.uptime(pid)):>10}"
        print(line)
    return 0


def state(server: Server, pid: int | None) -> str:
    if not supervisor.alive(server.stack):
        return "orphan" if pid else "down"
    if not pid:
        return starting.how_it_ended(server) or "down"
    return "ready" if server.answers() else "not ready"


def duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02}m" if minutes >= 60 else f"{minutes}m{rest:02}s"


def only_one_at_a_time(stack: Stack) -> AbstractContextManager:
    stacks = stack.state.parent
    if not stacks.exists():
        stacks.mkdir(parents=True)
        (stacks / ".gitignore").write_text("*\n")
    return cache.locked(stacks / f"{stack.name}.lock")


def require_ports(stack: Stack) -> None:
    stack.ports = ports.recorded(stack)
    if not stack.ports:
        raise Problem(f"the stack {stack.name} was never started: stack.py --name {stack.name} up")


def require_up(stack: Stack) -> None:
    require_ports(stack)
    if not supervisor.alive(stack):
        raise Problem(f"the stack {stack.name} is down: stack.py --name {stack.name} up")


def require_needs(server: Server) -> None:
    for other in server.needs:
        if not supervisor.is_running(server.stack, other):
            raise Problem(f"{server.name} needs {other}, which is not running")


def not_running(servers: list[Server]) -> list[Server]:
    return [server for server in servers if not supervisor.is_running(server.stack, server.name)]


def end_all(stack: Stack) -> None:
    ended = end_supervised(stack) or end_orphans(stack)
    print(f"{stack.name}: {'stopped' if ended else 'nothing was running'}")


def end_supervised(stack: Stack) -> bool:
    if not supervisor.alive(stack):
        return False
    # The registry goes first: without Kafka it would wait instead of ending.
    supervisor.stop(stack, ["registry"])
    supervisor.stop(stack, list(NAMES))
    supervisor.shutdown(stack)
    return True


def end_orphans(stack: Stack) -> bool:
    """What a killed supervisor left behind cannot be supervised again, only ended."""
    ended = processes.end(stack, [supervisor.NAME, *NAMES])
    if ended:
        print(f"ended what ran without a supervisor: {', '.join(ended)}")
    return bool(ended)
