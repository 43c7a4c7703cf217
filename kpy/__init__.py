"""kpy, a Kafka-compatible broker in Python.

`kpy serve` runs it; `kpy.testing.Broker` runs it inside a test. Everything else is importable, but only what the
documentation names is kept stable.
"""

__version__ = "0.1.0"
