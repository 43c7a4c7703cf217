"""The trio shell: sockets, tasks and timers around the pure parts of kpy."""
