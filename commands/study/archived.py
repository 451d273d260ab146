"""Archived events to train on: with what the topics say of items and people, also while the training runs."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click

from commands.parts.log_options import read_log
from streams.errors import SettingsError, TopicError

if TYPE_CHECKING:
    from model.catalogue import Catalogue
    from replay.datasets.dataset import Dataset
    from streams.reading.data_requests import DataRequestsFeed
    from streams.settings import Settings

__all__ = ["ArchivedEvents"]

RETRY_S = 2.0  # until Kafka is asked again for which a trained version waits


class ArchivedEvents:
    """The events of an installation, and who was forgotten since they were read.

    Parameters
    ----------
    url : of the archive.
    catalogue : the recorded log that describes the items; None for the topic.
    given : the address options, which are taken out. Kafka is asked for items where no catalogue is named, and whose
        guests are whose and who was forgotten there too, or where its address is given.
    """

    def __init__(self, url: str, catalogue: str | None, given: dict[str, Any]) -> None:
        from commands.parts.options import given_settings

        self._url = url
        self._catalogue = catalogue
        self._asks = catalogue is None or bool(given.get("kafka"))
        self._settings = given_settings(given)
        self._known: DataRequestsFeed | None = None

    def read(self) -> "Dataset":
        """Return the events with their items; guests' are their accounts', and what was forgotten is left out."""
        from replay.datasets.archive import read_archive
        from streams.people.asking import read_once

        settings = self._settings
        items = _topic_items(settings) if self._catalogue is None else read_log(self._catalogue, seed=0).catalogue
        if not self._asks:
            return read_archive(self._url, items, settings.prefix, settings.kinds, items.renames)
        self._known = known = read_once(settings)
        accounts = known.merges.accounts()
        return read_archive(self._url, items, settings.prefix, settings.kinds, items.renames, accounts, known.forgotten)

    def forgotten_since(self) -> dict[str, str]:
        """Return who was forgotten since the events were read, with what stands in each one's place.

        What was trained waits for Kafka where that is away.
        """
        if self._known is None:
            return {}
        before = self._known.forgotten
        found = _asked_at_last(self._settings).forgotten.all()
        return {user_id: one.nobody for user_id, one in found if not before.is_nobody(one.nobody)}


def _asked_at_last(settings: "Settings") -> "DataRequestsFeed":
    """Return what was asked by now, as soon as Kafka says so; it did when the events were read."""
    from streams.people.asking import read_once

    while True:
        try:
            return read_once(settings)
        except (TopicError, SettingsError) as error:  # whatever it is, an operator may mend it
            click.echo(f"waiting for Kafka to say who was forgotten meanwhile: {error}", err=True)
            time.sleep(RETRY_S)


def _topic_items(settings: "Settings") -> "Catalogue":
    from streams.kafka.topics import verify_topics
    from streams.reading.catalogue import CatalogueFeed

    async def read() -> "Catalogue":
        feed = CatalogueFeed(settings, lambda _: None)
        try:
            await feed.start()
        finally:
            await feed.stop()
        return feed.catalogue

    try:
        verify_topics(settings)
        return asyncio.run(read())
    except TopicError as error:
        raise TopicError(f"{error}; or take the items from a recorded log with --catalogue") from error
