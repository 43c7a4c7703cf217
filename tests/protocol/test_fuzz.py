"""The fuzz targets of `fuzz.py`: a little of each, the same in every run, and far more in a soak."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.compression import Codec
from kpy.protocol.schema import Data
from tests.protocol import fuzz
from tests.protocol.declarations import DECLARATIONS, REQUESTS, name_of
from tests.sweeps import far_examples

ORDERS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 0xFFFF), st.integers(0, 0xFF)), min_size=1, max_size=4
).map(lambda orders: b"".join(bytes((kind, *place.to_bytes(2, "big"), value)) for kind, place, value in orders))


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
@settings(max_examples=far_examples(10))
@given(data=st.data())
def test_damaged_messages(declaration: type[Data], data: st.DataObject) -> None:
    """Messages that were sound once are the same to both codecs, or are refused by both."""
    version = data.draw(st.sampled_from(list(declaration.versions)))
    sound = fuzz.sound_message(declaration, version, bare=data.draw(st.booleans()))
    fuzz.check_message(declaration, version, fuzz.damage(sound, data.draw(ORDERS)))


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
@settings(max_examples=far_examples(10))
@given(noise=st.binary(max_size=64), data=st.data())
def test_noise(declaration: type[Data], noise: bytes, data: st.DataObject) -> None:
    """So are bytes that mean nothing."""
    fuzz.check_message(declaration, data.draw(st.sampled_from(list(declaration.versions))), noise)


@settings(max_examples=far_examples(200))
@given(choice=st.integers(0, len(fuzz.EVERY_REQUEST) - 1), orders=ORDERS)
def test_requests(choice: int, orders: bytes) -> None:
    """Requests with their headers, damaged in either."""
    fuzz.fuzz_request(choice, True, orders)


@pytest.mark.parametrize("codec", Codec)
@settings(max_examples=far_examples(60))
@given(sound=st.booleans(), data=ORDERS | st.binary(max_size=200))
def test_records(codec: Codec, sound: bool, data: bytes) -> None:
    """Batches of every codec, and what is none of it behind the header of one."""
    fuzz.fuzz_records(codec, sound, data)


@settings(max_examples=far_examples(200))
@given(choice=st.integers(0, 0xFFFF), sound=st.booleans(), data=st.binary(max_size=64))
def test_frames(choice: int, sound: bool, data: bytes) -> None:
    """Streams of frames, in whatever pieces they come."""
    fuzz.fuzz_frames(choice, sound, data)


@settings(max_examples=far_examples(200))
@given(st.binary(max_size=120))
def test_any_input(data: bytes) -> None:
    """Whatever a coverage-guided fuzzer would begin with."""
    fuzz.one_input(data)


def test_every_request_is_a_target() -> None:
    """The fuzzer can reach each version of each message, and each request with its header."""
    assert len(fuzz.EVERY_VERSION) == sum(len(list(declaration.versions)) for declaration in DECLARATIONS)
    assert {request for request, _ in fuzz.EVERY_REQUEST} == set(REQUESTS)
    assert len(fuzz.EVERY_VERSION) < 1 << 16
