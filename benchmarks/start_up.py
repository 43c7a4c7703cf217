"""Where the time of a start goes: `python -m benchmarks.start_up`.

Each line is a process of its own, run in turn with the others, from bytecode; the medians of its rounds. CPU time is
what to compare: it says nearly the same on a machine that is busy otherwise. What `import trio, construct` takes is out
of kpy's hands. `import kpy.protocol` is all of it that a broker imports before it starts, on top of nothing. The last
lines are brokers inside one process, which has imported everything.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from compileall import compile_dir
from dataclasses import dataclass
from functools import cache, partial

from benchmarks.brokers import PACKAGE, Candidate, kpy, running
from kpy.testing import Broker

ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took, in seconds."""

    wall_s: float
    cpu_s: float


def python(*arguments: str) -> Cost:
    """An interpreter from its start to its end."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Cost(wall_s, usage.ru_utime + usage.ru_stime)


def imports(statement: str) -> Cost:
    """An interpreter until it has imported that; what its orderly end would take is left out."""
    return python("-c", f"import os, {statement}; os._exit(0)")


def protocol() -> Cost:
    """The modules of the protocol that a broker begins with, of which no message has a codec yet."""
    return imports(", ".join(protocol_modules()))


@cache
def protocol_modules() -> list[str]:
    """Their names, as an interpreter that imports the broker finds them."""
    program = "import sys, kpy.server.broker; print(*(name for name in sys.modules if name.startswith('kpy.protocol')))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def serve(*, in_memory: bool) -> Cost:
    """`kpy serve` until it has answered an ApiVersions request."""
    with running(Candidate("kpy", kpy(in_memory=in_memory))) as broker:
        return Cost(broker.start_s, broker.cpu_s())


def timed(action: Callable[[], object]) -> Cost:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    action()
    return Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def brokers_in_process(rounds: int) -> dict[str, list[Cost]]:
    """`kpy.testing.Broker`, after a first one that is not counted."""
    with Broker():
        pass
    ready, gone = [], []
    for _ in range(rounds):
        broker = Broker()
        ready.append(timed(broker.start))
        gone.append(timed(broker.stop))
    return {"kpy.testing.Broker().start()": ready, "kpy.testing.Broker().stop()": gone}


PROCESSES: dict[str, Callable[[], Cost]] = {
    "python": partial(imports, "sys"),
    "import trio": partial(imports, "trio"),
    "import trio, construct": partial(imports, "trio, construct"),
    "import construct": partial(imports, "construct"),
    "import kpy.protocol": protocol,
    "import kpy.server.broker": partial(imports, "trio, construct, kpy.server.broker"),
    "kpy serve, to the first answer": partial(serve, in_memory=True),
    "kpy serve --data-dir, to the first answer": partial(serve, in_memory=False),
    "kpy --version": partial(python, "-m", "kpy", "--version"),
    "import pytest": partial(imports, "pytest"),
    "import pytest and our plugin": partial(imports, "pytest, kpy.testing.pytest_plugin"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start_up", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    rounds = parser.parse_args().rounds
    compile_dir(PACKAGE, quiet=1)
    costs: dict[str, list[Cost]] = {name: [] for name in PROCESSES}
    for _ in range(rounds):
        for name, measure in PROCESSES.items():
            costs[name].append(measure())
    costs |= brokers_in_process(rounds)
    print(f"{'':42} {'CPU ms':>8} {'wall ms':>8}")
    for name, measured in costs.items():
        cpu_ms = statistics.median(cost.cpu_s for cost in measured) * 1000
        wall_ms = statistics.median(cost.wall_s for cost in measured) * 1000
        print(f"{name:42} {cpu_ms:8.1f} {wall_ms:8.1f}")


if __name__ == "__main__":
    main()
