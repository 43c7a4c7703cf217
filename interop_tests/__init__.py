"""Scenarios with unmodified Kafka clients on real sockets, against kpy, Apache Kafka or any broker that is already there."""
