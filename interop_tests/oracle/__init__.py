"""Apache Kafka 4.3.1, the authority on every answer: fetched, formatted, started, stopped and removed from here."""
