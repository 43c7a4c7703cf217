"""How the records of a coordinator stand in its topic, whichever coordinator it is.

A record's key is its two-byte type and then the key message, at its only version; its value is the two-byte version and
then the value message in that version, or null to take back what the key was about. The messages of each coordinator
are declared in a module of their own, whose `RECORDS` knows them all by type. The types of different topics have
nothing to do with each other.
"""

import struct
from collections.abc import Callable, Mapping

from kpy.protocol.errors import DecodeError
from kpy.protocol.schema import Data

_PREFIX = struct.Struct(">h")


def newest_version(value: Data) -> int:
    """The last version that the message has."""
    return type(value).versions.maximum


class CoordinatorRecords:
    """Reads and writes records of these types, which are a key and its value each.

    `version_of` says which version a value is written in.
    """

    def __init__(
        self,
        types: Mapping[int, tuple[type[Data], type[Data]]],
        *,
        version_of: Callable[[Data], int] = newest_version,
    ) -> None:
        self.types = types
        self._version_of = version_of
        self._prefixes = {key: _PREFIX.pack(number) for number, (key, _) in types.items()}

    def encode(self, key: Data, value: Data | None) -> tuple[bytes, bytes | None]:
        """A record as it stands in the log; None is the tombstone."""
        encoded_key = self._prefixes[type(key)] + key.encode(0)
        if value is None:
            return encoded_key, None
        version = self._version_of(value)
        return encoded_key, _PREFIX.pack(version) + value.encode(version)

    def decode(self, key: bytes | memoryview, value: bytes | memoryview | None) -> tuple[Data, Data | None] | None:
        """The inverse of `encode`, at every version; None if the key is of a type that is not among these."""
        messages = self.types.get(_prefix(key))
        if messages is None:
            return None
        key_message, value_message = messages
        decoded_key = key_message.decode(key, 0, _PREFIX.size)
        if value is None:
            return decoded_key, None
        return decoded_key, value_message.decode(value, _prefix(value), _PREFIX.size)


def _prefix(data: bytes | memoryview) -> int:
    if len(data) < _PREFIX.size:
        raise DecodeError(f"a coordinator's record of {len(data)} bytes has no room for its type or version")
    number: int = _PREFIX.unpack_from(data)[0]
    return number
