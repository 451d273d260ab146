"""How much more a group of people begins with an item than everybody does.

The groups are those of the hints: an age band, a gender, an occupation. What counts are users' first ten events. A
group's share of an item is shrunk towards everybody's, as most groups are small: with ``n`` of its ``N`` events on an
item whose share is ``s`` among all, the lift is ``(n / s + m) / (N + m)``. A user gets the mean of the lifts of the
groups that are given.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from model.feedback import NEWCOMER_EVENTS

__all__ = ["HintConfig", "HintLifts"]


@dataclass(frozen=True, slots=True)
class HintConfig:
    """What a group must be, and what is kept of it.

    Parameters
    ----------
    prior : events that everybody's shares count for in a group.
    least_users : users that make a group; fewer could be told apart.
    groups : the largest groups that are kept.
    items : items with most first events that have a lift.
    """

    prior: float = 300.0
    least_users: int = 20
    groups: int = 64
    items: int = 300


@dataclass(frozen=True, slots=True)
class HintLifts:
    """Lifts by group and item; an item or a group that is not there has none, which is a lift of one."""

    groups: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def learnt(
        cls, beginnings: Iterable[tuple[Sequence[str], Sequence[str]]], config: HintConfig | None = None
    ) -> "HintLifts":
        """Count.

        Parameters
        ----------
        beginnings : of each user the groups, and the items of the first events; beyond ten they are ignored.
        config : bounds.
        """
        config = config or HintConfig()
        everybody: Counter[str] = Counter()
        users: Counter[str] = Counter()
        of_group: dict[str, Counter[str]] = {}
        for groups, items in beginnings:
            first = items[:NEWCOMER_EVENTS]
            everybody.update(first)
            users.update(groups)
            for group in groups:
                of_group.setdefault(group, Counter()).update(first)
        total = everybody.total()
        common = [(item, total / n) for item, n in everybody.most_common(config.items)]
        kept = [group for group, n in users.most_common(config.groups) if n >= config.least_users]
        return cls(
            MappingProxyType(
                {
                    group: MappingProxyType(
                        {
                            item: (of_group[group][item] * rarity + config.prior)
                            / (of_group[group].total() + config.prior)
                            for item, rarity in common
                        }
                    )
                    for group in kept
                }
            )
        )

    @classmethod
    def restored(cls, described: object) -> "HintLifts":
        """Return the lifts whose ``groups`` were written; raise ValueError if these are none."""
        if not isinstance(described, dict) or not all(
            isinstance(lifts, dict) and all(isinstance(lift, int | float) for lift in lifts.values())
            for lifts in described.values()
        ):
            raise ValueError("HintLifts: a lift for each item of each group is required, got something else")
        return cls(MappingProxyType(described))

    def of(self, groups: Iterable[str]) -> Mapping[str, float]:
        """Return the lift of each item for a user of these groups; nothing where none of them is known.

        Lifts that were learnt hold the same items in each group; of others an item that one group lacks has no lift
        there.
        """
        found = [self.groups[group] for group in groups if group in self.groups]
        items = dict.fromkeys(item for lifts in found for item in lifts)
        return {item: sum(lifts.get(item, 1.0) for lifts in found) / len(found) for item in items}
