import pytest

from kpy.protocol import crc
from kpy.protocol.crc import crc32c


def test_known_values() -> None:
    """The checksums of RFC 3720, appendix B.4, come out."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_any_buffer() -> None:
    """A view is read in place, and a checksum can be continued."""
    data = bytearray(b"before123456789behind")
    assert crc32c(memoryview(data)[6:15]) == 0xE3069283
    assert crc32c(b"56789", crc32c(b"1234")) == 0xE3069283


def test_extension_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of crc32c that keeps its extension in another place is imported whole, and does the same."""
    monkeypatch.setattr(crc, "find_spec", lambda _name: None)

    assert crc._load()(b"123456789", 0) == 0xE3069283
