"""How golden bytes are written: hexadecimal, a field a line, and behind a bar what the line says.

The bytes were written by hand from the protocol guide (https://kafka.apache.org/protocol), not printed by a codec. What
to know to read them:

- Numbers are big-endian. A string begins with the int16 of its length, bytes and arrays with an int32; -1 is null.
- In flexible versions (KIP-482) lengths and counts are one more than they say, as an unsigned varint; 00 is null.
  Every struct ends with its tagged fields: how many there are, and for each its tag, its size and its bytes.
"""

from typing import NamedTuple
from uuid import UUID

from kpy.protocol.schema import Data

TOPIC_ID = UUID("00112233-4455-6677-8899-aabbccddeeff")


class Golden(NamedTuple):
    """A message, the version it is written in, and its bytes."""

    message: Data
    version: int
    wire: str

    @property
    def encoded(self) -> bytes:
        return b"".join(bytes.fromhex(line.partition("|")[0]) for line in self.wire.splitlines())
