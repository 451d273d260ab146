"""How far a consumer is behind, asked while its partitions come and go in another thread."""

from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState

from streams.reading.lag import lag_of
from streams.reading.unreadable import position_of


class Consumer:
    """A consumer as far as its lag needs it: partitions that were assigned to it by hand."""

    def __init__(self, *partitions):
        self._subscription = SubscriptionState()
        self._subscription.assign_from_user(partitions)

    def state(self, partition):
        """Return the state of a partition."""
        return self._subscription.subscription.assignment.state_value(partition)


class Leaving(TopicPartitionState):
    """A partition whose position another thread takes away once somebody has looked whether it has one."""

    @property
    def has_valid_position(self):
        """Tell that it has, and forget it."""
        self._position = None
        return True


async def test_a_partition_that_loses_its_position_meanwhile_is_left_out():
    """The others are told all the same."""
    stays, leaves = TopicPartition("watch-events", 0), TopicPartition("watch-events", 1)
    consumer = Consumer(stays, leaves)
    for at in (stays, leaves):
        consumer.state(at).reset_to(3)
        consumer.state(at).lso = 10
    assert lag_of(consumer) == {("watch-events", 0): 7, ("watch-events", 1): 7}
    consumer.state(leaves).__class__ = Leaving
    assert consumer.state(leaves).has_valid_position
    assert position_of(consumer.state(leaves)) is None
    assert lag_of(consumer) == {("watch-events", 0): 7}
