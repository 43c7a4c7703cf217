"""Groups of the consumer protocol (KIP-848), whose coordinator assigns and moves each member on by itself.

member.py          a member, a value                   group.py           a group, as its records tell
reconciliation.py  how a member gets to its target, a pure function
assignors.py       what everybody shall have: range    uniform.py, unequal_subscriptions.py   uniform
target.py          a new target for a group            update.py          what one request of a member changes
heartbeat.py       ConsumerGroupHeartbeat              classic_members.py JoinGroup and its kin, during a migration
requests.py        each request as a whole, and the timers
migration.py       a group of one protocol becomes one of the other
patterns.py        regular expressions of topic names  topic_hashes.py    noticing that topics changed (KIP-1101)
records.py         the records, made                   describe.py        ConsumerGroupDescribe
settings.py        what a group's configuration says
"""
