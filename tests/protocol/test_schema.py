"""What a declaration means: versions, defaults, ignorable and tagged fields, constructors."""

import uuid
from typing import Any

import pytest

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import DecodeError, EncodeError
from kpy.protocol.primitives import (
    ZERO_UUID,
    Array,
    Bool,
    Int16,
    Int32,
    NullableArray,
    NullableBytes,
    NullableRecords,
    NullableString,
    NullableStruct,
    String,
    Uuid,
)
from kpy.protocol.schema import (
    MAX_DEPTH,
    NO_VERSIONS,
    Data,
    Request,
    Response,
    Struct,
    VersionRange,
    between,
    field,
    layout,
    since,
    tagged,
    until,
)


class Leader(Struct):
    leader_id: Int32 = field(default=-1)
    leader_epoch: Int32 = field(default=-1)


class Sample(Data, versions="1-4", flexible="3+"):
    name: String
    old: Int32 = until(2, default=5)
    new: NullableString = since(2)
    brief: Int16 = between(2, 3, ignorable=True)
    numbers: Array[Int32] = since(2)
    maybe: NullableArray[Int32] = since(2, default=None)
    topic_id: Uuid = since(4)
    leader: Leader = tagged(0, since=3)
    cursor: NullableStruct[Leader] = tagged(2, since=4, default=None)


def sample(**fields: Any) -> Sample:
    return Sample(name="n", **fields)


def test_constructor_fills_in_defaults() -> None:
    """A field that is left out has Kafka's default, or the zero of its type."""
    message = sample()
    assert message == Sample(
        name="n",
        old=5,
        new="",
        brief=0,
        numbers=[],
        maybe=None,
        topic_id=ZERO_UUID,
        leader=Leader(leader_id=-1, leader_epoch=-1),
        cursor=None,
    )
    assert message.unknown_tagged_fields == {}


def test_constructor_gives_every_message_its_own_list() -> None:
    """Messages do not share their lists."""
    first, second = sample(), sample()
    first.numbers.append(1)
    assert second.numbers == []


def test_constructor_refusals() -> None:
    """A field without a specifier must be given, by name, and no others can be."""
    with pytest.raises(TypeError, match="name"):
        Sample()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Sample("n")  # type: ignore[misc]
    with pytest.raises(TypeError, match="nonsense"):
        sample(nonsense=1)
    with pytest.raises(AttributeError):
        sample().nonsense = 1  # type: ignore[attr-defined]


def test_default_struct_is_shared_and_cannot_be_changed() -> None:
    """The default of a struct is one object for all messages: it equals its like, and refuses to be changed."""
    first, second = sample(), sample()
    assert first.leader is second.leader
    assert isinstance(first.leader, Leader)
    with pytest.raises(AttributeError, match="leader_id"):
        first.leader.leader_id = 1
    assert first.leader == Leader()
    assert repr(first.leader) == "Leader(leader_id=-1, leader_epoch=-1)"


def test_equality_and_repr() -> None:
    """Messages are equal field by field, unknown tagged fields too; another class is never equal."""

    class Other(Struct):
        leader_id: Int32
        leader_epoch: Int32

    message = Leader(leader_id=1)
    assert message == Leader(leader_id=1, leader_epoch=-1)
    assert message != Leader(leader_id=2)
    assert message != Other(leader_id=1, leader_epoch=-1)
    assert message != 1
    message.unknown_tagged_fields = {9: b"x"}
    assert message != Leader(leader_id=1)
    assert repr(message) == "Leader(leader_id=1, leader_epoch=-1, unknown_tagged_fields={9: b'x'})"
    with pytest.raises(TypeError):
        hash(message)


def test_absent_field_reads_as_its_default() -> None:
    """What a version does not have decodes as the default."""
    assert Sample.decode(b"\0\1n\0\0\0\7", 1) == sample(old=7)


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (1, {"new": "x"}),
        (1, {"new": None}),
        (1, {"numbers": [1]}),
        (1, {"maybe": []}),
        (3, {"old": 0}),
        (3, {"topic_id": uuid.UUID(int=1)}),
        (2, {"leader": Leader(leader_id=1)}),
        (3, {"cursor": Leader()}),
    ],
)
def test_no_place_in_the_version(version: int, fields: dict[str, Any]) -> None:
    """A value that is not the default, in a version without the field, is an error that names it."""
    with pytest.raises(EncodeError, match=next(iter(fields))):
        sample(**fields).encode(version)
    assert sample().encode(version)


def test_ignorable() -> None:
    """An ignorable field is left out where it has no place."""
    assert sample(brief=3).encode(1) == sample().encode(1)


def test_nullable_versions() -> None:
    """Null can be written only in the versions that allow it."""

    class Sometimes(Data, versions="0-2"):
        text: NullableString = field(nullable="1+")

    assert Sometimes(text=None).encode(1) == b"\xff\xff"
    assert Sometimes.decode(b"\xff\xff", 2) == Sometimes(text=None)
    with pytest.raises(EncodeError, match="text"):
        Sometimes(text=None).encode(0)
    with pytest.raises(DecodeError):
        Sometimes.decode(b"\xff\xff", 0)


def test_tagged_fields() -> None:
    """A tagged field is on the wire when it is not the default, in the order of tags, between unknown ones."""
    message = sample(old=5, leader=Leader(leader_id=1, leader_epoch=2), cursor=Leader(leader_id=3))
    message.unknown_tagged_fields = {1: b"one", 9: b""}
    body = bytes.fromhex("02 6e  01 01 00") + bytes(16)
    tags = bytes.fromhex("04  00 09 00000001 00000002 00  01 03") + b"one"
    tags += bytes.fromhex("02 0a 01 00000003 ffffffff 00  09 00")
    assert message.encode(4) == body + tags
    assert Sample.decode(body + tags, 4) == message
    assert sample().encode(4) == body + b"\0"


def test_unknown_tag_that_is_known() -> None:
    """An unknown tagged field under the number of a known one would be read as that: it is an error."""
    message = sample()
    message.unknown_tagged_fields = {0: b""}
    with pytest.raises(EncodeError, match="leader"):
        message.encode(3)


def test_unknown_tags_need_a_flexible_version() -> None:
    """Versions that are not flexible have no tagged fields."""
    message = sample()
    message.unknown_tagged_fields = {9: b""}
    with pytest.raises(EncodeError):
        message.encode(2)


def test_decode_leaves_what_follows() -> None:
    """Bytes behind a message are left alone, as Kafka does; decode_prefix says where they begin."""
    encoded = sample().encode(3)
    assert Sample.decode(encoded + b"more", 3) == sample()
    assert Sample.decode_prefix(b"some" + encoded + b"more", 3, 4) == (sample(), 4 + len(encoded))


@pytest.mark.parametrize("version", [-1, 0, 5])
def test_unknown_version(version: int) -> None:
    """A version that was not declared is an error."""
    with pytest.raises(DecodeError, match=f"Sample has no version {version}"):
        Sample.decode(b"", version)
    with pytest.raises(EncodeError, match=f"Sample has no version {version}"):
        sample().encode(version)


class FileRange:
    size_bytes = 300


def test_records_as_parts() -> None:
    """Records stay the buffers and parts they are; what is around them is joined, and comes first and last."""

    class Reply(Data, versions="0-1", flexible="1+"):
        before: Int16
        records: NullableRecords
        after: Int16

    part, view = FileRange(), memoryview(b"view")
    message = Reply(before=1, records=[part, view], after=2)  # type: ignore[list-item]
    assert message.encode_parts(0) == [b"\0\1\0\0\1\x30", part, view, b"\0\2"]
    assert message.encode_parts(1) == [b"\0\1\xb1\2", part, view, b"\0\2\0"]
    with pytest.raises(EncodeError, match="not in memory"):
        message.encode(0)
    assert Reply(before=1, records=part, after=2).encode_parts(0) == [b"\0\1\0\0\1\x2c", part, b"\0\2"]
    assert Reply(before=1, records=None, after=2).encode(0) == b"\0\1\xff\xff\xff\xff\0\2"
    assert Reply(before=1, records=[b"a", view], after=2).encode(0) == b"\0\1\0\0\0\5aview\0\2"


def test_records_at_the_end() -> None:
    """The first part is bytes even if a message begins with its records, and no part is empty at the end."""

    class Bare(Data, versions="0"):
        records: NullableRecords

    part = FileRange()
    assert Bare(records=part).encode_parts(0) == [b"\0\0\1\x2c", part]


def test_other_parts_are_joined() -> None:
    """A message without records is one part."""
    assert sample(numbers=list(range(1000))).encode_parts(3) == [sample(numbers=list(range(1000))).encode(3)]


def test_header_versions() -> None:
    """Flexible versions have the flexible headers; the ApiVersions response always the plain one (KIP-511)."""

    class SomeRequest(Request, api=ApiKey.HEARTBEAT, versions="0-4", flexible="4+"):
        flag: Bool

    class SomeResponse(Response, api=ApiKey.HEARTBEAT, versions="0-4", flexible="4+"):
        flag: Bool

    class ApiVersions(Response, api=ApiKey.API_VERSIONS, versions="0-4", flexible="3+"):
        flag: Bool

    assert [SomeRequest.header_version(version) for version in (3, 4)] == [1, 2]
    assert [SomeResponse.header_version(version) for version in (3, 4)] == [0, 1]
    assert [ApiVersions.header_version(version) for version in (2, 4)] == [0, 0]
    assert SomeRequest.api is ApiKey.HEARTBEAT


def test_declared_fields_can_be_read() -> None:
    """A declaration is data: names, versions, defaults, tags."""
    fields = {declared.name: declared for declared in Sample.fields}
    assert list(fields) == ["name", "old", "new", "brief", "numbers", "maybe", "topic_id", "leader", "cursor"]
    assert fields["name"].required
    assert not fields["old"].required
    assert str(fields["old"].versions) == "0-2"
    assert fields["new"].nullable_versions == VersionRange(2)
    assert fields["old"].nullable_versions == NO_VERSIONS
    assert fields["cursor"].tag == 2
    assert fields["cursor"].tagged_versions == VersionRange(4)
    assert fields["brief"].ignorable
    assert str(Sample.versions) == "1-4"
    assert Sample.flexible_since == 3


@pytest.mark.parametrize(("text", "versions"), [("3+", (3, 32767)), ("0-4", (0, 4)), ("2", (2, 2)), ("none", (0, -1))])
def test_version_ranges(text: str, versions: tuple[int, int]) -> None:
    """Versions are written as in Kafka's message files."""
    parsed = VersionRange.parse(text)
    assert (parsed.minimum, parsed.maximum) == versions
    assert str(parsed) == text
    assert parsed == VersionRange(*versions)
    assert hash(parsed) == hash(VersionRange(*versions))
    assert list(VersionRange.parse("2-4")) == [2, 3, 4]
    assert 5 not in VersionRange.parse("2-4")


def test_depth() -> None:
    """A declaration deeper than the limit is refused when its layout is made."""
    inner: Any = Leader
    for _ in range(MAX_DEPTH):
        inner = type(Leader)("Deeper", (Struct,), {"__annotations__": {"inner": inner}})
    outer: Any = type(Leader)("Outer", (Data,), {"__annotations__": {"inner": Array[inner]}}, versions="0")
    with pytest.raises(TypeError, match="deep"):
        layout(outer, 0)


def test_nullable_bytes_keep_empty_and_null_apart() -> None:
    """Empty is not null."""

    class Blob(Data, versions="0-1", flexible="1+"):
        data: NullableBytes

    for version in Blob.versions:
        assert Blob.decode(Blob(data=b"").encode(version), version).data == b""
        assert Blob.decode(Blob(data=None).encode(version), version).data is None
