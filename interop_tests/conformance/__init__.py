"""Precise questions about edges, answered by a broker, and compared with the answers that Apache Kafka once gave."""
