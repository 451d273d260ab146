"""What newcomers of a group begin with, learnt from the trainer's memory and written for the workers.

It goes with no version: what a version is judged by are personalised lists, and hints order the first ones.
"""

from agents.retry import Retry
from model.ranking.hint_lifts import HintLifts
from model.training.learner import Learner
from streams.reading.user_profiles import HintsFeed
from streams.state.store import State

__all__ = ["HintTeacher"]


class HintTeacher:
    """Learns lifts of hints, and writes them.

    Parameters
    ----------
    feed : what is said of users.
    state : where to.
    retry : waits for Redis.
    """

    def __init__(self, feed: HintsFeed, state: State, retry: Retry) -> None:
        self._feed = feed
        self._state = state
        self._retry = retry

    def learn(self, learner: Learner) -> HintLifts:
        """Return the lifts of what the learner remembers; nothing may observe meanwhile."""
        groups_of = self._feed.groups_of
        return HintLifts.learnt((groups_of(user_id), items) for user_id, items in learner.beginnings())

    async def write(self, lifts: HintLifts) -> None:
        """Let workers follow these; without any group what was written before is taken back."""
        await self._retry.until_available(self._state.put_hint_lifts, lifts)
