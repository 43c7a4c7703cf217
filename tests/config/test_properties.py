"""`server.properties` is read as java.util.Properties reads it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpy.config.properties import PropertiesError, parse_properties


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("", {}),
        ("# a comment\n! another\n\n   \n  # indented", {}),
        (
            "a=1\nb = 2\nc:3\nd : 4\ne 5\nf\t6\ng\n",
            {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6", "g": ""},
        ),
        ("  key  =  value with  spaces  ", {"key": "value with  spaces  "}),
        ("a==b\nb=:c\nc = = d", {"a": "=b", "b": ":c", "c": "= d"}),
        ("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=one, \\\n     two", {"a": "one, two"}),
        ("a=one\\\n# not a comment\nb=2", {"a": "one# not a comment", "b": "2"}),
        ("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}),
        ("a=1\\", {"a": "1"}),
        ("# a comment does not continue \\\na=1", {"a": "1"}),
        ("a\\ b\\=c=d\\:\\t\\n\\q", {"a b=c": "d:\t\nq"}),
        ("a=\\u00e9\\u4e2d\\uD83D\\uDE00", {"a": "é中😀"}),
        ("a=1\na=2", {"a": "2"}),
        ("=v", {"": "v"}),
    ],
)
def test_parse(text: str, properties: dict[str, str]) -> None:
    """Comments, separators, continuations and escapes are Java's."""
    assert parse_properties(text) == properties


def test_a_malformed_escape_names_its_line() -> None:
    """\\u wants four hexadecimal digits."""
    with pytest.raises(PropertiesError, match=r"^line 2: \\u12x is not"):
        parse_properties("a=1\nb=\\u12x")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text is too strange for a clean answer."""
    with suppress(PropertiesError):
        assert all(isinstance(value, str) for value in parse_properties(text).values())


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_escaped_text_comes_back(properties: dict[str, str]) -> None:
    """Whatever Properties.store would write is read back."""

    def escape(text: str) -> str:
        units = text.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[index : index + 2].hex()}" for index in range(0, len(units), 2))

    text = "\n".join(f"{escape(key)}={escape(value)}" for key, value in properties.items())

    assert parse_properties(text) == properties
