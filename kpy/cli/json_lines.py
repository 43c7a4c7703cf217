"""What commands print: JSON, an object on a line, and nothing that a terminal would obey."""

import json
from typing import Any


def json_line(shown: dict[str, Any], *, pretty: bool = False) -> str:
    """Letters as they are, unless there is something among them that is none."""
    text = json.dumps(shown, ensure_ascii=False, indent=2 if pretty else None)
    if text.replace("\n", "").isprintable():
        return text
    return json.dumps(shown, indent=2 if pretty else None)
