"""What is known of the visitor: counters, favourite genres, and the latest events."""

from collections.abc import Mapping
from typing import Any

from web.page.elements import Tag, describe, tag
from web.page.words import described, title_of

__all__ = ["N_RECENT", "History"]

N_RECENT = 12  # events
N_GENRES = 6


class History:
    """A panel with the visitor's profile."""

    def __init__(self) -> None:
        with tag("section", classes="panel") as section:
            heading = tag("h2", "Your history")
            self._body = tag("div", classes="stack")
        describe(section, aria_labelledby=heading.html_id)
        self.show({"unknown": True})

    def show(self, profile: Mapping[str, Any]) -> None:
        """Show a profile as it is now, an unknown one as well."""
        self._body.clear()
        with self._body:
            if profile["unknown"]:
                with tag("div", classes="empty"):
                    tag("p", "Nothing yet. What you rate, watch or hide is listed here, newest first.")
                return
            tag("p", _counted(profile), "small")
            self._genres(profile["genres"])
            with tag("ul", classes="rows small"):
                for event in profile["recent"]:
                    with tag("li"):
                        tag("span", title_of(event), "what")
                        tag("span", described(event), "muted")

    def _genres(self, genres: Mapping[str, float]) -> None:
        liked = list(genres.items())[:N_GENRES]
        most = liked[0][1] if liked else 0.0
        if most <= 0:
            return
        with tag("div", classes="bars"):
            tag("h3", "Favourite genres", "small")
            for genre, affinity in liked:
                self._bar(genre, max(0.0, affinity / most))

    def _bar(self, genre: str, share: float) -> Tag:
        with tag("div", classes="bar") as bar:
            tag("span", genre)
            with tag("span", classes="track", aria_hidden="true"):
                tag("span", classes="fill").style(f"width: {share:.0%}")
        return bar


def _counted(profile: Mapping[str, Any]) -> str:
    mean = "" if profile["mean_rating"] is None else f", {profile['mean_rating']:.1f} stars on average"
    hidden = f", {profile['hidden']} hidden" if profile["hidden"] else ""
    return f"{profile['seen']} items: {profile['watches']} watched, {profile['ratings']} rated{mean}{hidden}"
