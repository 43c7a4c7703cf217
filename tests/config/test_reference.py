"""The documentation of the options is what the tables say."""

from pathlib import Path

from kpy.config.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    """docs/configuration.md is as `make docs` writes it."""
    assert PAGE.read_text(encoding="utf-8") == reference()
