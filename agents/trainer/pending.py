"""Which records a trainer has read but not yet stored a version of, in sixteen bytes each.

Rounds that are rejected leave their records waiting, so there may be hundreds of thousands of them; as objects they
would make the trainer grow by a megabyte a minute until the next promotion. The numbers are those of
``model.training.learner``: one for each observed event, ascending.
"""

from array import array
from bisect import bisect_right

from streams.records.positions import Offsets
from streams.records.records import Origin

__all__ = ["Pending"]


class Pending:
    """Records by the number of their event, to be turned into offsets when a version contains them.

    Parameters
    ----------
    most : records of one topic partition that are remembered; where older ones fall out, later ones say more.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._marks: dict[tuple[str, int], tuple[array[int], array[int]]] = {}  # numbers, offsets; both ascending

    def __len__(self) -> int:
        return sum(len(numbers) for numbers, _ in self._marks.values())

    def add(self, number: int, origin: Origin) -> None:
        """Remember where the event of this number, the highest so far, was read."""
        numbers, offsets = self._marks.setdefault((origin.topic, origin.partition), (array("q"), array("q")))
        numbers.append(number)
        offsets.append(origin.offset)
        if len(numbers) > self._most:
            half = len(numbers) // 2
            del numbers[:half], offsets[:half]

    def moved(self, number: int, before: Offsets) -> dict[str, dict[int, int]]:
        """Return the offsets moved past every record up to this number, never back.

        Parameters
        ----------
        number : of the last event that a version contains.
        before : offsets of the version before it.
        """
        moved = {topic: dict(partitions) for topic, partitions in before.items()}
        for (topic, partition), (numbers, offsets) in self._marks.items():
            n = bisect_right(numbers, number)
            if n:
                partitions = moved.setdefault(topic, {})
                partitions[partition] = max(partitions.get(partition, 0), offsets[n - 1] + 1)
        return moved

    def forget(self, number: int) -> None:
        """Forget every record up to this number, as a version contains them."""
        for numbers, offsets in self._marks.values():
            n = bisect_right(numbers, number)
            del numbers[:n], offsets[:n]

    def take(self, number: int, before: Offsets) -> dict[str, dict[int, int]]:
        """Return the offsets as ``moved`` does, and forget the records."""
        moved = self.moved(number, before)
        self.forget(number)
        return moved

    def clear(self) -> None:
        """Forget everything."""
        self._marks.clear()
