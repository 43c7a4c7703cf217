"""What one request of a member does to its group: the steps that members of either protocol have in common.

1. `note_member`, `note_pattern`: what the member says of itself. If that changes what the group reads, or if the topics
   have changed, the group comes to a new epoch (`bump_epoch`).
2. `find_target`: a target for that epoch, unless the last one was made a moment ago.
3. `reconcile`: the member's next step towards its target.

The group itself does not change: each step adds records, and knows of what the steps before it decided.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from kpy.groups.consumer import records
from kpy.groups.consumer.group import ConsumerGroup
from kpy.groups.consumer.member import ConsumerMember, MemberState, Target
from kpy.groups.consumer.patterns import PatternResolution, check_pattern
from kpy.groups.consumer.reconciliation import Owned, reconcile
from kpy.groups.consumer.records import ResolvedPattern
from kpy.groups.consumer.settings import ConsumerConfig, SettingsOf
from kpy.groups.consumer.target import new_target
from kpy.groups.consumer.topic_hashes import TopicHashes
from kpy.groups.deciding import Deciding
from kpy.groups.member import session_timer
from kpy.state_machine import Record

logger = logging.getLogger(__name__)

PATTERNS_MIN_INTERVAL_MS = 10_000
"""How long resolved patterns count in any case (GroupMetadataManager.REGEX_BATCH_REFRESH_MIN_INTERVAL_MS)."""


def rebalance_timer(group_id: str, member_id: str) -> tuple[str, ...]:
    """The key of the timer that ends a member which does not give partitions up."""
    return ("rebalance", group_id, member_id)


def rejoin_timer(group_id: str, member_id: str) -> tuple[str, ...]:
    """The key of the timer that ends a member of the classic protocol which was called to join and does not."""
    return ("rejoin", group_id, member_id)


def member_sync_timer(group_id: str, member_id: str) -> tuple[str, ...]:
    """The key of the timer that ends a member of the classic protocol which has joined and does not sync."""
    return ("member sync", group_id, member_id)


def patterns_timer(group_id: str) -> tuple[str, ...]:
    """The key of the timer, without delay, by which a group's patterns are resolved after the reply that wants it."""
    return ("patterns", group_id)


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What decisions about consumer groups depend on besides the group."""

    config: ConsumerConfig
    settings_of: SettingsOf
    new_uuid: Callable[[], str]
    topics: TopicHashes = field(default_factory=TopicHashes)


class PatternChange(Enum):
    """What a request means for the member's subscription by pattern."""

    NONE = auto()
    CHANGED = auto()
    CHANGED_AND_RESOLVED = auto()
    """The topics that it stands for are known, so that they can be assigned at once."""


class MemberUpdate:
    """One member's request. `before` is the member as the group has it, `member` as it is by now."""

    def __init__(
        self,
        group: ConsumerGroup,
        before: ConsumerMember,
        member: ConsumerMember,
        surroundings: Surroundings,
        deciding: Deciding,
    ) -> None:
        self.group = group
        self.before = before
        self.member = member
        self.epoch = group.epoch
        self.target_epoch = group.target_epoch
        self.target: Target = group.target_of(member)
        self._surroundings = surroundings
        self._deciding = deciding

    # --- 1 ---

    def note_member(self) -> bool:
        """Whether the member subscribes to other names than before."""
        if self.member is self.before or self.member == self.before:
            return False
        self._add(records.member_record(self.group.group_id, self.member))
        return self.member.topic_names != self.before.topic_names

    def note_pattern(self) -> PatternChange:
        """What has become of the pattern. Has the group's patterns resolved if that is due."""
        old, new, group = self.before.pattern, self.member.pattern, self.group
        change, is_due = PatternChange.NONE, False
        if old != new:
            change = PatternChange.CHANGED
            if old and group.pattern_members[old] == 1:
                self._add(records.pattern_tombstone(group.group_id, old))
            if new and not group.pattern_members[new]:
                check_pattern(new)
                is_due = True
            elif (new in group.patterns) if new else bool(old):
                change = PatternChange.CHANGED_AND_RESOLVED
        if is_due or group.pattern_members:
            self._resolve_if_due(is_due)
        return change

    def _resolve_if_due(self, is_due: bool) -> None:
        """Patterns are resolved together, so that they cause one rebalance: not too often, and not too seldom."""
        group, now_ms = self.group, self._deciding.now_ms
        last = next(iter(group.patterns.values()), None)
        if last is not None and now_ms <= last.timestamp_ms + PATTERNS_MIN_INTERVAL_MS:
            return
        subscribed = group.pattern_members.copy()
        if self.before.pattern:
            subscribed[self.before.pattern] -= 1
        if self.member.pattern:
            subscribed[self.member.pattern] += 1
        count = sum(members > 0 for members in subscribed.values())
        if (
            last is None
            or count != len(group.patterns)
            or last.version < self._surroundings.topics.version_with_new_topics
            or now_ms > last.timestamp_ms + self._surroundings.config.regex_refresh_interval_ms
        ):
            is_due = True
        if is_due and count:
            self._deciding.start(patterns_timer(group.group_id), 0)

    def bump_epoch(self, *, has_changed: bool) -> None:
        """The group comes to a new epoch if what it reads has changed: the subscriptions, or the topics."""
        group = self.group
        if not has_changed and not group.topics_may_have_changed:
            return
        names = group.subscribed_names([self.before], self.member)
        metadata_hash = self._surroundings.topics.of_group(names)
        if has_changed or metadata_hash != group.metadata_hash:
            self.epoch += 1
            self._add(records.epoch_record(group.group_id, self.epoch, metadata_hash))
            logger.info("group %r: epoch %d", group.group_id, self.epoch)
        group.topics_checked_at_epoch = self.epoch
        if group.has_topics_record:
            self._add(records.topics_tombstone(group.group_id))

    # --- 2 ---

    def find_target(self) -> None:
        """The target as of the group's epoch, or the last one if the time for a new one has not come."""
        group, around, now_ms = self.group, self._surroundings, self._deciding.now_ms
        if group.target_epoch >= self.epoch:
            return
        interval_ms = around.settings_of(group.group_id).assignment_interval_ms
        if group.target_timestamp_ms and interval_ms and now_ms < group.target_timestamp_ms + interval_ms:
            return
        assignor = group.preferred_assignor(self.before, self.member, around.config.assignors[0])
        found, self.target = new_target(
            group, self.member, assignor, epoch=self.epoch, topics=around.topics.topics, now_ms=now_ms
        )
        self._deciding.records += found
        self.target_epoch = self.epoch
        logger.info("group %r: new target by %r for epoch %d", group.group_id, assignor, self.epoch)

    # --- 3 ---

    def reconcile(self, owned: Owned | None, *, subscription_changed: bool) -> None:
        """Move the member on; a member that has to give partitions up has its rebalance timeout to do so."""
        member, group = self.member, self.group
        if not subscription_changed and member.is_reconciled_to(self.target_epoch):
            return
        topics = self._surroundings.topics.topics
        subscribed = {
            topic.topic_id for name in group.names_read_by(member) if (topic := topics.topic(name)) is not None
        }
        self.member = reconcile(
            member,
            self.target,
            self.target_epoch,
            subscribed=subscribed,
            subscription_changed=subscription_changed,
            is_free=group.is_free,
            owned=owned,
        )
        if self.member == member:
            return
        self._add(records.assignment_record(group.group_id, self.member))
        if member.classic is None:
            timer = rebalance_timer(group.group_id, member.member_id)
            if self.member.state is MemberState.UNREVOKED_PARTITIONS:
                self._deciding.start(timer, member.rebalance_timeout_ms)
            else:
                self._deciding.cancel(timer)

    def _add(self, record: Record) -> None:
        self._deciding.records.append(record)


def resolve_patterns(group: ConsumerGroup, topics: TopicHashes, deciding: Deciding) -> None:
    """Look all topics through; the group comes to a new epoch if it reads others now.

    Kafka does so in a thread of its own. Here it is a decision of its own, after the heartbeat that wanted it, and as
    many as it takes for nobody to wait long; what came of it is recorded at once, so that it causes one rebalance.
    """
    resolution = group.resolution or PatternResolution(topics.topics.offset)
    if not resolution.step(group.pattern_members, topics.topics.topics):
        group.resolution = resolution
        deciding.start(patterns_timer(group.group_id), 0)
        return
    group.resolution = None
    subscribers = group.subscribers.copy()
    has_changed = False
    for pattern in group.pattern_members:
        found = ResolvedPattern(resolution.found[pattern], resolution.version, deciding.now_ms)
        before = group.patterns[pattern].topics if pattern in group.patterns else frozenset()
        if found.topics != before:
            has_changed = True
            subscribers.subtract(before)
            subscribers.update(found.topics)
        deciding.records.append(records.pattern_record(group.group_id, pattern, found))
    metadata_hash = topics.of_group(name for name, count in subscribers.items() if count > 0)
    if has_changed or metadata_hash != group.metadata_hash:
        epoch = group.epoch + 1
        deciding.records.append(records.epoch_record(group.group_id, epoch, metadata_hash))
        logger.info("group %r: epoch %d: patterns match other topics", group.group_id, epoch)
        group.topics_checked_at_epoch = epoch


def begin_session(group_id: str, member: ConsumerMember, surroundings: Surroundings, deciding: Deciding) -> None:
    """A member has to be heard of again before its session timeout is over."""
    timeout_ms = surroundings.settings_of(group_id).session_timeout_ms
    if member.classic is not None:
        timeout_ms = member.classic.session_timeout_ms
    deciding.start(session_timer(group_id, member.member_id), timeout_ms)
