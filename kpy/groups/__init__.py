"""Group coordinators: pure machines over the partitions of `__consumer_offsets` that decide, append and replay.

coordinator.py     one machine per partition: the requests, the timers, replay
join.py            JoinGroup in all its cases            membership.py   SyncGroup, Heartbeat, LeaveGroup
rebalance.py       how a classic group gets from one generation to the next
classic_group.py   the members of one classic group      states.py       its states and moves, as data
commits.py         OffsetCommit, OffsetDelete, OffsetFetch    offsets.py what is committed, and when it expires
table.py           the groups by id, and their replay    consumer/        groups of the consumer protocol (KIP-848)
group.py           what offsets and listings need of a group of any protocol
partitioning.py     where a group lives                  java.py         what Kafka owes to Java there, and clients see
"""
