"""The same work on kpy, on Apache Kafka and on any other broker, in turn, in one run: `python -m benchmarks --help`.

What is measured is in `workloads`, one module per kind of work; `brokers` starts, stops and reads the processes;
`report` makes the table. Nothing here asserts how quick anything is: docs/performance.md says what was measured where.
"""
