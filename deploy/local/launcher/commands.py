"""The commands of stack.py, one function each."""

import shutil
from contextlib import AbstractContextManager

from . import cache, ports, processes, starting, supervisor, toxiproxy
from .servers import Server, every, names, one
from .settings import Problem, Stack


def up(stack: Stack) -> int:
    with only_one_at_a_time(stack):
        servers = every(stack)
        if supervisor.alive(stack):
            require_ports(stack)
        else:
            end_orphans(stack)
            stack.ports = ports.choose(stack, servers)
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


def start(stack: Stack, chosen: list[str]) -> int:
    servers = some(stack, chosen)
    require_others(stack, servers)
    ports.check_free(stack, not_running(servers))
    return starting.start(servers)


def stop(stack: Stack, chosen: list[str]) -> int:
    some(stack, chosen)
    supervisor.stop(stack, chosen)
    return 0


def kill(stack: Stack, chosen: list[str]) -> int:
    if dead := not_running(some(stack, chosen)):
        raise Problem(f"{dead[0].name} is not running")
    supervisor.kill(stack, chosen)
    return 0


def restart(stack: Stack, chosen: list[str]) -> int:
    require_others(stack, some(stack, chosen))
    return stop(stack, chosen) or start(stack, chosen)


def env(stack: Stack) -> int:
    require_ports(stack)
    for key, value in toxiproxy.addresses_of_clients(stack).items():
        print(f"{key}={value}")
    return 0


def status(stack: Stack) -> int:
    require_ports(stack)
    print(f"{'SERVER':<12}{'STATE':<14}{'PID':>8}{'PORT':>7}{'MEMORY':>12}{'UPTIME':>10}")
    all_ready = True
    for server in every(stack):
        pid = processes.running(stack, server.name)
        is_in = state(server, pid)
        all_ready = all_ready and is_in == "ready"
        line = f"{server.name:<12}{is_in:<14}{pid or '-':>8}{server.port():>7}"
        if pid:
            line += f"{processes.memory(pid) >> 20:>8} MiB{duration(processes.uptime(pid)):>10}"
        print(line)
    return 0 if all_ready else 1


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
    if not set(ports.all_of(every(stack))) <= stack.ports.keys():
        again = f"stack.py --name {stack.name} down, then up"
        raise Problem(f"the stack {stack.name} has other servers than it was started with: {again}")


def some(stack: Stack, chosen: list[str]) -> list[Server]:
    """Servers of a stack that is up, in the order of starting."""
    require_up(stack)
    named = {name: one(stack, name) for name in chosen}
    return [named[name] for name in names(stack) if name in named]


def require_up(stack: Stack) -> None:
    require_ports(stack)
    if not supervisor.alive(stack):
        raise Problem(f"the stack {stack.name} is down: stack.py --name {stack.name} up")


def require_others(stack: Stack, servers: list[Server]) -> None:
    running = [name for name in names(stack) if supervisor.is_running(stack, name)]
    for server in servers:
        if lack := server.lacks([*running, *(other.name for other in servers)]):
            raise Problem(lack)


def not_running(servers: list[Server]) -> list[Server]:
    return [server for server in servers if not supervisor.is_running(server.stack, server.name)]


def end_all(stack: Stack) -> None:
    ended = end_supervised(stack) or end_orphans(stack)
    for server in every(stack):
        server.put_away()
    print(f"{stack.name}: {'stopped' if ended else 'nothing was running'}")


def end_supervised(stack: Stack) -> bool:
    if not supervisor.alive(stack):
        return False
    # The registry goes first: without Kafka it would wait instead of ending.
    supervisor.stop(stack, ["registry"])
    supervisor.stop(stack, names(stack))
    supervisor.shutdown(stack)
    return True


def end_orphans(stack: Stack) -> bool:
    """What a killed supervisor left behind cannot be supervised again, only ended."""
    ended = processes.end(stack, [supervisor.NAME, *names(stack)])
    if ended:
        print(f"ended what ran without a supervisor: {', '.join(ended)}")
    return bool(ended)
