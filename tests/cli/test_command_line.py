"""The command line: help, version, and mistakes that are answered in one line."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kpy import __version__

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_version(kpy: Run) -> None:
    """kpy --version is one line."""
    assert kpy("--version").stdout == f"kpy {__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help")])
def test_help(kpy: Run, arguments: tuple[str, ...]) -> None:
    """--help explains and exits 0."""
    result = kpy(*arguments)

    assert result.returncode == 0
    assert result.stdout.startswith("usage: kpy")
    assert result.stderr == ""


def test_help_costs_no_import_of_the_broker() -> None:
    """--version imports neither trio nor construct nor the configuration."""
    program = (
        "import sys\n"
        "from kpy.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print({'trio', 'construct', 'kpy.config', 'logging'} & set(sys.modules))"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.splitlines()[1] == "set()"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sevre",),
        ("serve", "--prot", "1"),
        ("serve", "--port", "65536"),
        ("serve", "--port", "a"),
        ("serve", "--data-dir", ""),
    ],
)
def test_mistakes_of_the_command_line(kpy: Run, arguments: tuple[str, ...]) -> None:
    """What the command line does not have ends with status 2 and the usage."""
    result = kpy(*arguments)

    assert result.returncode == 2
    assert "usage: kpy" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def refusal(result: "subprocess.CompletedProcess[str]") -> str:
    """The one line that a start was refused with."""
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("kpy: error: ")
    return line.removeprefix("kpy: error: ")


def test_a_bad_value(kpy: Run) -> None:
    """Name, value and what is allowed are in the line."""
    line = refusal(kpy("serve", "-c", "num.partitions=0"))

    assert line == (
        "-c: Invalid value 0 for configuration num.partitions:"
        " Value must be at least 1 (allowed: an integer, 1 or more)"
    )


def test_an_unknown_option(kpy: Run) -> None:
    """The nearest name is offered."""
    assert (
        refusal(kpy("serve", "-c", "num.partition=3"))
        == "-c: unknown option num.partition; did you mean num.partitions?"
    )


def test_files_that_cannot_be_read(kpy: Run, tmp_path: Path) -> None:
    """A missing file and a malformed one are named."""
    malformed = tmp_path / "malformed.properties"
    malformed.write_text("a=\\u12")

    assert refusal(kpy("serve", "--config", str(tmp_path / "missing"))).endswith("missing: No such file or directory")
    assert refusal(kpy("serve", "--config", str(malformed))).startswith(f"{malformed}: line 1: ")


def test_what_guards_something(kpy: Run, tmp_path: Path) -> None:
    """A file that asks for security is not served without."""
    file = tmp_path / "server.properties"
    file.write_text("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n")

    assert "kpy has no authorization yet" in refusal(kpy("serve", "--config", str(file)))


def test_a_meta_address_is_not_advertised(kpy: Run) -> None:
    """Clients could not connect to it."""
    assert "meta-address" in refusal(kpy("serve", "--advertise", "0.0.0.0:9092"))


def test_a_port_in_use(kpy: Run) -> None:
    """The line names the address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        assert f":{port} is in use" in refusal(kpy("serve", "--port", str(port)))


def test_a_directory_that_cannot_be_made(kpy: Run, tmp_path: Path) -> None:
    """The line names the directory and what the system said."""
    (tmp_path / "file").touch()
    directory = tmp_path / "file" / "data"

    assert (
        refusal(kpy("serve", "--port", "0", "--data-dir", str(directory))) == f"cannot use {directory}: Not a directory"
    )
