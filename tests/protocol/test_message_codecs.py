"""Every declaration at every version, through the codec and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.errors import DecodeError
from kpy.protocol.framing import FrameReader
from kpy.protocol.messages.api_versions import ApiVersionsResponse
from kpy.protocol.messages.headers import RequestHeader, ResponseHeader
from kpy.protocol.schema import Data, Request, Response
from tests.protocol.declarations import DECLARATIONS, REQUESTS, RESPONSES, every_version, name_of
from tests.protocol.strategies import full_message, messages
from tests.sweeps import examples

EVERY_VERSION = list(every_version(DECLARATIONS))


@pytest.mark.parametrize(("declaration", "version"), EVERY_VERSION, ids=name_of)
def test_full_messages(declaration: type[Data], version: int) -> None:
    """A message that uses all its fields, and has unknown tagged fields in all its structs, survives."""
    message = full_message(declaration, version, unknown_tags=True)
    encoded = message.encode(version)
    decoded, end = declaration.decode_prefix(b"before" + encoded + b"behind", version, len(b"before"))
    assert decoded == message
    assert end == len(b"before") + len(encoded)
    assert decoded.encode(version) == encoded


@pytest.mark.parametrize(("declaration", "version"), EVERY_VERSION, ids=name_of)
def test_truncated_messages(declaration: type[Data], version: int) -> None:
    """A message that ends anywhere before its end is a DecodeError."""
    encoded = full_message(declaration, version, unknown_tags=True).encode(version)
    for size in range(len(encoded)):
        with pytest.raises(DecodeError):
            declaration.decode(encoded[:size], version)


@pytest.mark.parametrize(("declaration", "version"), list(every_version([*REQUESTS, *RESPONSES])), ids=name_of)
def test_frames_a_byte_at_a_time(declaration: type[Request] | type[Response], version: int) -> None:
    """A framed message with its header that comes byte by byte is read when its last byte is there, not before."""
    header_type = RequestHeader if issubclass(declaration, Request) else ResponseHeader
    header = full_message(header_type, declaration.header_version(version), unknown_tags=True)
    message = full_message(declaration, version, unknown_tags=True)
    payload = header.encode(declaration.header_version(version)) + message.encode(version)
    *beginning, last = len(payload).to_bytes(4, "big") + payload
    reader = FrameReader(len(payload))
    for byte in beginning:
        reader.feed(bytes((byte,)))
        assert not list(reader)
    reader.feed(bytes((last,)))
    (frame,) = reader
    read_header, position = header_type.decode_prefix(frame, declaration.header_version(version))
    assert read_header == header
    assert declaration.decode_prefix(frame, version, position) == (message, len(frame))


@pytest.mark.parametrize("declaration", [*REQUESTS, *RESPONSES], ids=name_of)
def test_header_versions(declaration: type[Request] | type[Response]) -> None:
    """A flexible message has a flexible header, but for the ApiVersions response, whose header is always plain."""
    plain = 1 if issubclass(declaration, Request) else 0
    for version in declaration.versions:
        flexible = version >= declaration.flexible_since and declaration is not ApiVersionsResponse
        assert declaration.header_version(version) == plain + flexible


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
@given(data=st.data())
@settings(max_examples=examples(5))  # test_specialise sends more of them both ways
def test_random_messages(declaration: type[Data], data: st.DataObject) -> None:
    """Any message survives, at any version, with unknown tagged fields or without."""
    version = data.draw(st.sampled_from(list(declaration.versions)))
    message = data.draw(messages(declaration, version, unknown_tags=True))
    assert declaration.decode(message.encode(version), version) == message
