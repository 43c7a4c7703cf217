"""Records are found in a batch where they are, with all that compaction asks of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.records import HEADER_BYTES, InvalidRecord, Record, RecordBatch, build_batch
from kpy.storage.record_spans import record_spans, write_with_timestamp_delta
from tests.sweeps import examples

TIMES = st.integers(-(1 << 40), 1 << 40)
RECORDS = st.lists(
    st.builds(
        Record,
        st.none() | st.binary(max_size=200),
        st.none() | st.binary(max_size=200),
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2).map(tuple),
        TIMES,
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=examples(100))
@given(RECORDS, TIMES)
def test_against_the_reader(records: list[Record], base: int) -> None:
    """They say what the reader of batches says; written with other deltas, all but the timestamps is the same."""
    batch = build_batch(records)
    data = bytes(batch[HEADER_BYTES:])
    spans = list(record_spans(data, len(records)))
    read = list(RecordBatch(batch))
    first = RecordBatch(batch).header.base_timestamp
    assert [(span.key, span.has_value, first + span.timestamp_delta, span.offset_delta) for span in spans] == [
        (record.key, record.value is not None, record.timestamp, record.offset) for record in read
    ]
    assert b"".join(data[span.start : span.end] for span in spans) == data

    out = bytearray()
    for span in spans:
        write_with_timestamp_delta(out, data, span, span.timestamp_delta + base)
    shifted = list(record_spans(bytes(out), len(records)))
    assert [span.timestamp_delta - base for span in shifted] == [span.timestamp_delta for span in spans]
    assert [bytes(out[span.offset_delta_start : span.end]) for span in shifted] == [
        data[span.offset_delta_start : span.end] for span in spans
    ]


@pytest.mark.parametrize("damage", ["cut", "more", "too few"])
def test_what_does_not_parse(damage: str) -> None:
    """Records that do not fill their batch are an error."""
    data = bytes(build_batch([(b"k", b"v"), (b"l", b"w")])[HEADER_BYTES:])
    damaged = {"cut": data[:-1], "more": data + b"\x00", "too few": data[: len(data) // 2]}[damage]
    with pytest.raises(InvalidRecord):
        list(record_spans(damaged, 2))
