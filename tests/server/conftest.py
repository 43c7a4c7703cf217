"""Fixtures of the server's tests."""

from tests.server.failing_files import disk

__all__ = ["disk"]
