"""The plan of the house, kept: who imports whom, where the surprises of the world come in, and how large things get."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kpy"

LAYERS = (
    {"__main__"},
    {"cli", "console", "testing"},
    {"server"},
    {"groups", "transactions", "cluster", "storage", "security", "inspect"},
    {"state_machine"},
    {"protocol", "config", "metrics"},
)
TRIO_ROOMS = {"server", "console", "testing", "cli"}
NEWER_STDLIB = {"annotationlib"}  # Python 3.14
PROTOCOL_PACKAGES = {"construct", "crc32c", "cramjam"}
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

# What reaches out of the process, and the modules that may.
CONFINED = {
    "open": {"storage/disk_files.py"},
    "os.open": {"cli/decode.py", "cli/dump_log.py", "storage/descriptors.py", "storage/disk_files.py"},
    "read_text": {"cli/serve.py", "server/machine.py", "storage/disk_files.py"},
    "write_text": {"cli/serve.py", "storage/disk_files.py"},
    "read_bytes": {"storage/disk_files.py"},
    "write_bytes": {"storage/disk_files.py"},
    "os.sendfile": {"server/network.py", "storage/descriptors.py"},
    "socket.socket": {"server/network.py"},
    "time.time": {"server/clock.py"},
    "time.time_ns": {"server/clock.py"},
    "datetime.now": set(),
    "datetime.utcnow": set(),
    "uuid.uuid1": set(),
    "uuid.uuid4": set(),
    "os.urandom": set(),
    "random.Random": set(),
    "SystemRandom": {"server/broker.py"},
    "print": {"cli/__init__.py", "cli/decode.py", "cli/dump_log.py", "cli/serve.py"},
}
FORBIDDEN_MODULES = {"secrets", "asyncio", "selectors"}
RANDOM_NAMES = {"Random", "SystemRandom"}

# What a text in the repository never says: where somebody's machine keeps things, and what is left for later.
FORBIDDEN_WORDS = ("/" + "work/", "/" + "root/", "/" + "home/", "TO" + "DO", "FIX" + "ME")


@dataclass(frozen=True)
class Module:
    """One module of kpy, parsed."""

    path: Path
    tree: ast.Module

    @property
    def name(self) -> str:
        """The path inside the package, as the rules above write it."""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def room(self) -> str:
        return self.path.relative_to(PACKAGE).parts[0].removesuffix(".py")

    def imports(self) -> Iterator[str]:
        """The full names of what is imported anywhere in the module, inside functions too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}:{node.lineno}: relative import"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def calls(self) -> Iterator[tuple[int, str]]:
        """Where something is called, and its dotted name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, ast.unparse(node.func)


@cache
def modules() -> tuple[Module, ...]:
    return tuple(Module(path, ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py")))


def layer(room: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if room in rooms)


def room_of(imported: str) -> str | None:
    """The room that an imported name of kpy lives in; None for the package itself and for other packages."""
    parts = imported.split(".")
    if parts[0] != "kpy" or len(parts) == 1:
        return None
    is_room = (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()
    return parts[1] if is_room else None


def test_every_room_has_its_layer() -> None:
    """A new room is put into the plan before it is built."""
    rooms = {module.room for module in modules()} - {"__init__"}

    assert not rooms - set.union(*LAYERS)


def test_arrows_point_down_only() -> None:
    """A module imports from its own room and from the layers below, never from beside or above."""
    wrong = [
        f"{module.name} imports {imported}"
        for module in modules()
        if module.room != "__init__"
        for imported in module.imports()
        if (room := room_of(imported)) is not None and room != module.room and layer(room) <= layer(module.room)
    ]

    assert wrong == []


def test_trio_stays_in_the_shell() -> None:
    """Only the rooms that do things import trio; the rooms that decide have no I/O and no clock."""
    wrong = [
        module.name
        for module in modules()
        if module.room not in TRIO_ROOMS and any(name.split(".")[0] == "trio" for name in module.imports())
    ]

    assert wrong == []


def test_protocol_imports_little() -> None:
    """The wire format can be used without the broker: the standard library, construct, CRC-32C and compression."""
    foreign = {
        f"{module.name} imports {imported}"
        for module in modules()
        if module.room == "protocol"
        for imported in module.imports()
        if imported.split(".")[0] not in sys.stdlib_module_names | NEWER_STDLIB | PROTOCOL_PACKAGES | {"kpy"}
    }

    assert foreign == set()


def test_the_world_comes_in_through_its_doors() -> None:
    """Files, sockets, wall time and chance are each reached in one place, where a test can put another in its stead."""
    wrong = []
    for module in modules():
        for line, called in module.calls():
            names = {called, called.rpartition(".")[2]} if "." in called else {called}
            for name in names & CONFINED.keys():
                if called.endswith(".open") or module.name in CONFINED[name]:
                    continue
                wrong.append(f"{module.name}:{line} calls {called}")

    assert wrong == []


def test_chance_is_injected() -> None:
    """Nobody draws from the random module's own generator, and nobody waits in a way that trio does not know."""
    wrong = [
        f"{module.name} imports {imported}"
        for module in modules()
        for imported in module.imports()
        if imported.split(".")[0] in FORBIDDEN_MODULES
        or (imported.startswith("random.") and imported.removeprefix("random.") not in RANDOM_NAMES)
    ]
    wrong += [
        f"{module.name}:{line} calls {called}"
        for module in modules()
        for line, called in module.calls()
        if called.startswith("random.") and "random" in module.imports()
    ]

    assert wrong == []


def test_sizes() -> None:
    """A module fits in a reading, a function on a screen."""
    large = [
        f"{module.name} has {lines} lines"
        for module in modules()
        if (lines := len(module.path.read_text().splitlines())) > MODULE_LINES_MAX
    ]
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    large.append(f"{module.name}:{node.lineno} {node.name} has {lines} lines")

    assert large == []


def test_handlers_are_named_as_their_messages() -> None:
    """The two listings of APIs, what is said and what is done, have the same names."""
    handlers = {path.name for path in (PACKAGE / "server" / "handlers").glob("*.py")}
    messages = {path.name for path in (PACKAGE / "protocol" / "messages").glob("*.py")}

    assert handlers - messages - {"__init__.py"} == set()


def texts() -> Iterator[Path]:
    """What is in the repository, or would be with the next commit."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    yield from (path for name in listing.stdout.splitlines() if (path := ROOT / name).is_file())


def test_no_text_says_what_only_one_machine_knows() -> None:
    """No path of somebody's machine and no note to oneself gets into the repository."""
    wrong = []
    for path in texts():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{path.relative_to(ROOT)}: {word}" for word in FORBIDDEN_WORDS if word in text]

    assert wrong == []
