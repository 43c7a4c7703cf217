"""Conversations about groups in raw requests, as Apache Kafka answered them: what is recorded here, kpy must say too.

conversation.py    requests, replies and states, written down so that two brokers' words can be compared
told.py            conversations that tell of one thing each
random_talk.py     conversations that a seed makes up
recorded/          what Apache Kafka 4.3.1 answered, in minutes of waiting until it had no more to say:
                   pytest interop_tests/test_group_transcripts.py --broker kafka --record
"""
