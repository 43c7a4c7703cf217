"""What is not imported, and not compiled, until it is needed: start-up stays short only if somebody watches.

How long a start takes, and where the time goes: `python -m benchmarks.start_up`.
"""

import subprocess
import sys

import pytest


def output(program: str) -> str:
    """What a program prints in an interpreter of its own, which has imported nothing yet."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("imported", "left_alone"),
    [
        ("kpy", {"kpy.config", "kpy.server", "kpy.testing", "dataclasses"}),
        ("kpy.cli", {"trio", "construct", "kpy.config", "kpy.protocol", "logging"}),
        ("kpy.cli.serve", {"trio", "construct", "kpy.protocol", "kpy.server"}),
        ("kpy.testing.pytest_plugin", {"trio", "construct", "kpy.config", "kpy.protocol", "kpy.server"}),
        ("kpy.protocol.messages.produce", {"trio", "crc32c", "cramjam", "kpy.protocol.specialise"}),
        ("kpy.protocol.crc", {"importlib.metadata", "email", "argparse"}),
        ("kpy.server.broker", {"importlib.metadata", "cramjam", "asyncio", "kpy.protocol.specialise"}),
    ],
)
def test_an_import_leaves_alone_what_it_does_not_need(imported: str, left_alone: set[str]) -> None:
    """The command line and the pytest plugin answer without the broker, the messages without their codecs."""
    found = output(f"import sys, {imported}\nprint(*sorted({left_alone!r} & sys.modules.keys()))")

    assert found == ""


def test_declarations_compile_nothing() -> None:
    """Importing the messages generates no code: codecs and constructors are made for what is used, when it is used."""
    compiled = output(
        "import sys\n"
        "from kpy.protocol import group_records, metadata_records\n"
        "from kpy.protocol.messages import declared_apis, request_class\n"
        "def hook(event, arguments):\n"
        "    if event == 'compile' and not str(arguments[1]).endswith('.py'): print(arguments)\n"
        "sys.addaudithook(hook)\n"
        "for api in declared_apis(): request_class(api)\n"
    )

    assert compiled == ""
