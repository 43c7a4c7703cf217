"""`kpy decode` as a command: what it reads, what it prints, and how it refuses."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpy.cli import main
from kpy.protocol.messages.heartbeat import HeartbeatRequest
from tests.inspect.packet_builder import conversation, pcap, pcapng, request_frame
from tests.inspect.samples import TURNS

README = Path(__file__).parent.parent.parent / "README.md"
FRAMES = b"".join(request + response for request, response in TURNS)
CAPTURE = pcap(conversation(TURNS))

Captured = pytest.CaptureFixture[str]


def run(path: Path, data: bytes, capsys: Captured, *options: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, what was printed, and what was said on stderr."""
    path.write_bytes(data)
    status = main(["decode", str(path), *options])
    output = capsys.readouterr()
    return status, [json.loads(line) for line in output.out.splitlines()], output.err


@pytest.mark.parametrize(
    "data", [FRAMES, CAPTURE, pcapng(conversation(TURNS)), FRAMES.hex().encode(), CAPTURE.hex(" ").encode()]
)
def test_what_it_reads(data: bytes, tmp_path: Path, capsys: Captured) -> None:
    """Frames, captures, and hex dumps of both are told apart without being named."""
    status, shown, errors = run(tmp_path / "file", data, capsys)

    assert (status, errors) == (0, "")
    assert [each["api"] for each in shown] == ["ApiVersions", "Produce", "Heartbeat", "Produce", "Heartbeat"]


@pytest.mark.parametrize(("data", "kind"), [(FRAMES, "frames"), (CAPTURE, "pcap"), (FRAMES.hex().encode(), "hex")])
def test_a_named_format(data: bytes, kind: str, tmp_path: Path, capsys: Captured) -> None:
    """--format is taken at its word."""
    assert run(tmp_path / "file", data, capsys, "--format", kind)[0] == 0


def test_readme(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """What README shows is what is printed."""
    blocks = re.findall(r"^```(sh|json)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (_, command), (_, output) = blocks
    _, dump, _ = re.split(r"<<END\n|END\n", command)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(dump.encode())))

    assert main(["decode", "--pretty", "-"]) == 0
    assert capsys.readouterr().out == output


def test_standard_input() -> None:
    """- is standard input."""
    command = [sys.executable, "-m", "kpy", "decode", "-"]
    result = subprocess.run(command, input=CAPTURE, capture_output=True, timeout=20, check=True)

    assert len(result.stdout.splitlines()) == len(TURNS)


def test_pretty(tmp_path: Path, capsys: Captured) -> None:
    """--pretty is the same, a field on a line."""
    (tmp_path / "file").write_bytes(FRAMES[: len(TURNS[0][0] + TURNS[0][1])])

    assert main(["decode", str(tmp_path / "file"), "--pretty"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert '      "api_key": "ApiVersions",' in [line[2:] for line in lines]


def test_another_port(tmp_path: Path, capsys: Captured) -> None:
    """--port says where the broker is; without it the ports of the capture are named."""
    other = [
        each._replace(
            source=(each.source[0], 19092) if each.source[1] == 9092 else each.source,
            destination=(each.destination[0], 19092) if each.destination[1] == 9092 else each.destination,
        )
        for each in conversation(TURNS)
    ]

    assert len(run(tmp_path / "file", pcap(other), capsys, "--port", "9092", "--port", "19092")[1]) == len(TURNS)
    status, shown, error = run(tmp_path / "file", pcap(other), capsys)
    assert (status, shown) == (1, [])
    assert "nothing in the capture goes to port 9092" in error


def test_nothing_that_a_terminal_would_obey(tmp_path: Path, capsys: Captured) -> None:
    """Letters are shown as they are, control characters are not."""
    request = HeartbeatRequest(group_id="größe", generation_id=1, member_id="\x9b31m")
    (tmp_path / "file").write_bytes(request_frame(request, 0, 1))

    assert main(["decode", str(tmp_path / "file")]) == 0
    assert "\\u009b31m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "there is nothing in it"),
        (b"hello", "line 1 is not hex, two digits a byte: 'hello'"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip: decompress it first (gzip -dc FILE | kpy decode -)"),
        (b"\xff\xff\xff\xff", "there is no frame at byte 0: its size would be -1"),
        (b"\0\0\0\x20abc", "the frame at byte 0 has 32 bytes, of which 3 are there"),
        (CAPTURE[:30], "the file ends in the header of a packet at byte 24: 6 of 16 bytes are there"),
    ],
)
def test_what_it_cannot_read(data: bytes, reason: str, tmp_path: Path, capsys: Captured) -> None:
    """One line that names the file and what is wrong, and exit status 1."""
    assert run(tmp_path / "file", data, capsys) == (1, [], f"kpy: error: {tmp_path / 'file'}: {reason}\n")


def test_a_file_that_is_not_there(tmp_path: Path, capsys: Captured) -> None:
    """Nor is a directory a file."""
    assert main(["decode", str(tmp_path / "missing")]) == 1
    assert main(["decode", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"kpy: error: {tmp_path / 'missing'}: No such file or directory",
        f"kpy: error: {tmp_path}: Is a directory",
    ]


def test_whoever_reads_has_seen_enough() -> None:
    """A pipe that is closed early is no error."""
    program = f"{sys.executable} -m kpy decode - | head -n 1"
    data = FRAMES * 2000
    result = subprocess.run(program, shell=True, input=data, capture_output=True, timeout=20, check=False)

    assert result.stderr == b""
    assert json.loads(result.stdout)["api"] == "ApiVersions"


def test_it_starts_without_the_broker() -> None:
    """Neither trio nor the configuration is imported to read a file."""
    program = (
        "import sys, kpy.cli.decode\nprint({'trio', 'kpy.config', 'kpy.server', 'kpy.storage'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout == "set()\n"


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from([b"", b"\0\0\0", CAPTURE[:24], CAPTURE[:40], pcapng([]), TURNS[0][0], b"00 0"]),
    data=st.binary(max_size=200),
)
def test_random_bytes(start: bytes, data: bytes, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Whatever is in a file, the answer is JSON lines, and one line on stderr if the status is 1."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(start + data)))
    status = main(["decode", "-"])

    output = capsys.readouterr()
    for line in output.out.splitlines():
        json.loads(line)
    assert (status, len(output.err.splitlines())) in ((0, 0), (1, 1))
