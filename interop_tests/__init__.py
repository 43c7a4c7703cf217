"""Scenarios with unmodified Kafka clients on real sockets, against kpy, Apache Kafka or a broker that runs already."""
