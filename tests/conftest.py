"""What all tests share: property tests draw the same examples in every run, and are judged by their result only."""

from hypothesis import settings

settings.register_profile("same every time", derandomize=True, deadline=None, database=None, print_blob=False)
settings.load_profile("same every time")
