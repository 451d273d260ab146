"""Dead letters for people who look: counted by cause, and sent back as they are; run in a thread, as reading waits."""

from collections.abc import Iterator
from typing import Any

from streams.dead_letters.reading import LetterFilter, LetterReader, summarize
from streams.dead_letters.replaying import LetterSender, MendedRecord, mend_wanted, replayed_origins
from streams.settings import Settings

__all__ = ["count_letters", "replay_letters"]

N_NEWEST = 5  # letters that are told in full


def count_letters(settings: Settings) -> dict[str, Any]:
    """Return how many records died, by cause and by topic, and the newest of them.

    Raises
    ------
    TopicError
        If Kafka does not answer, or the topic is missing.
    """
    with LetterReader(settings) as reader:
        found = summarize(reader.entries(), LetterFilter(), N_NEWEST)
    newest = [
        {
            "id": one.letter.letter_id,
            "topic": one.letter.origin.topic,
            "cause": one.letter.cause,
            "reason": one.letter.reason,
            "at_ms": one.letter.timestamp,
            "replayed": one.replayed,
        }
        for one in found.newest
    ]
    return {
        "letters": found.letters,
        "replayed": found.replayed,
        "causes": dict(found.causes),
        "topics": dict(found.topics),
        "newest": newest,
    }


def replay_letters(settings: Settings, cause: str) -> dict[str, int]:
    """Send the letters of one cause back as they are, each once; what still breaks its contract is not sent.

    Raises
    ------
    TopicError
        If Kafka does not answer, or the topic is missing.
    """
    with LetterReader(settings) as notes:
        before = replayed_origins(notes.entries())
    counts = {"sent": 0, "replayed_before": 0, "refused": 0}
    wanted = LetterFilter(causes=frozenset([cause]))
    with LetterReader(settings) as reader, LetterSender(settings) as sender:

        def fit() -> Iterator[MendedRecord]:
            results = mend_wanted(reader.entries(), wanted, before, None, settings.prefix, settings.kinds)
            for outcome, result in results:
                counts["replayed_before"], counts["refused"] = outcome.before, outcome.refused.total()
                if isinstance(result, MendedRecord):
                    yield result

        for record in fit():
            sender.send(record)
    counts["sent"], counts["refused"] = sender.sent, counts["refused"] + len(sender.refused)
    return counts
