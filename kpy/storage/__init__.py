"""The log: what is acknowledged here is there tomorrow. Synchronous, without a clock, the disk only through `files`."""
