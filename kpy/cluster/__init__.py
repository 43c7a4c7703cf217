"""The cluster: what exists (`image`), and the machine that decides about it (`controller`). Pure: no I/O, no clock."""
