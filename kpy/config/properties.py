r"""Java's properties format, which `server.properties` is written in.

The rules are those of java.util.Properties.load: `#` and `!` begin a comment, `=`, `:` or white space end a key, a
backslash at the end of a line continues it, `\uXXXX` is a UTF-16 unit. Of a key that is there twice the last counts.
"""

import re
from collections.abc import Iterator

SPACE = " \t\f"
LINE_END = re.compile(r"\r\n|\r|\n")
KEY = re.compile(r"(?:\\.|[^\\=: \t\f])*", re.DOTALL)
SEPARATOR = re.compile(r"[ \t\f]*[=:]?[ \t\f]*")
ESCAPE = re.compile(r"\\(u.{0,4}|.)", re.DOTALL)
ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
HEXADECIMAL = re.compile(r"[0-9a-fA-F]{4}\Z")


class PropertiesError(Exception):
    """The text is not in the format; the message says where."""


def parse_properties(text: str) -> dict[str, str]:
    """The keys and values of a properties file."""
    properties = {}
    for line_number, line in _logical_lines(text):
        key = KEY.match(line)
        assert key is not None  # an empty key matches, too
        separator = SEPARATOR.match(line, key.end())
        assert separator is not None
        try:
            properties[_unescape(key.group())] = _unescape(line[separator.end() :])
        except PropertiesError as error:
            raise PropertiesError(f"line {line_number}: {error}") from None
    return properties


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations, without comments and blank ones, each with the number of its first line."""
    parts: list[str] = []
    first = 0
    for number, natural_line in enumerate(LINE_END.split(text), start=1):
        line = natural_line.lstrip(SPACE)
        if not parts:
            if not line or line[0] in "#!":
                continue
            first = number
        if _continues(line):
            parts.append(line[:-1])
            continue
        yield first, "".join((*parts, line))
        parts = []
    if any(parts):
        yield first, "".join(parts)


def _continues(line: str) -> bool:
    backslashes = len(line) - len(line.rstrip("\\"))
    return backslashes % 2 == 1


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    unescaped = ESCAPE.sub(_escaped, text)
    return unescaped.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escaped(match: re.Match[str]) -> str:
    escape = match.group(1)
    if escape[0] != "u":
        return ESCAPED.get(escape, escape)
    if not HEXADECIMAL.match(escape[1:]):
        raise PropertiesError(f"\\{escape} is not \\u and four hexadecimal digits")
    return chr(int(escape[1:], 16))
