from uuid import UUID

import pytest

from kpy.storage import checkpoints
from kpy.storage.checkpoints import CheckpointCorrupt


def test_format() -> None:
    """A checkpoint is a version, a count, and a line for each entry."""
    offsets = {("topic", 0): 5, ("other-topic", 12): 0}
    data = checkpoints.encode_offsets(offsets)
    assert data == b"0\n2\ntopic 0 5\nother-topic 12 0\n"
    assert checkpoints.decode_offsets(data) == offsets
    assert checkpoints.encode([]) == b"0\n0\n"
    assert checkpoints.decode_offsets(b"0\n0\n") == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0",
        b"1\n0\n",
        b"x\n0\n",
        b"0\n2\na 0 1\n",
        b"0\n1\na 0 1",
        b"0\n1\na 0\n",
        b"0\n1\na b c\n",
        b"\xff\n0\n",
        b"0\nx\n",
    ],
)
def test_corrupt(data: bytes) -> None:
    """Anything but a whole checkpoint is refused."""
    with pytest.raises(CheckpointCorrupt):
        checkpoints.decode_offsets(data)


def test_properties() -> None:
    """Properties are lines of key and value; comments, as Java writes them, are skipped."""
    assert checkpoints.encode_properties({"a": "1", "b.c": "x"}) == b"a=1\nb.c=x\n"
    assert checkpoints.encode_properties({"version": "0"}, ": ") == b"version: 0\n"
    assert checkpoints.decode_properties(b"#\n#Mon Jan 01\na=1\n\nb.c = x=y\n") == {"a": "1", "b.c": "x=y"}
    assert checkpoints.decode_properties(b"version: 0\ntopic_id: abc", ":") == {"version": "0", "topic_id": "abc"}


def test_uuids() -> None:
    """UUIDs are written in base64, as Kafka's Uuid."""
    assert checkpoints.uuid_text(UUID(int=1)) == "AAAAAAAAAAAAAAAAAAAAAQ"
    value = UUID("fefefefe-0102-0304-0506-07ffffffffff")
    assert checkpoints.parse_uuid(checkpoints.uuid_text(value)) == value
    with pytest.raises(ValueError, match=r"base64|16"):
        checkpoints.parse_uuid("short")
