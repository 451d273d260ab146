"""Where a language model is that speaks the chat completions of OpenAI's protocol: Ollama, vLLM, or a hosted one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from streams.errors import SettingsError

__all__ = ["WordingEndpoint"]

URL, MODEL, KEY, BUDGET = (
    "REELSTREAM_WORDING_URL",
    "REELSTREAM_WORDING_MODEL",
    "REELSTREAM_WORDING_KEY",
    "REELSTREAM_WORDING_BUDGET_MS",
)
BUDGET_MS = 800  # a person who asked for a list still waits gladly; a small model on a graphics card needs half of it


@dataclass(frozen=True, slots=True)
class WordingEndpoint:
    """A model that words lists.

    Parameters
    ----------
    url : up to where ``/chat/completions`` is added, as ``http://127.0.0.1:11434/v1`` (``REELSTREAM_WORDING_URL``).
    model : its name there (``REELSTREAM_WORDING_MODEL``).
    key : sent as a bearer token; none if empty (``REELSTREAM_WORDING_KEY``).
    budget_ms : milliseconds that an answer may take, 1 to 60,000 (``REELSTREAM_WORDING_BUDGET_MS``).

    Raises
    ------
    SettingsError
        If a field cannot be used; the message names its variable.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    budget_ms: int = BUDGET_MS

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise SettingsError(f"settings: {URL} must be an http:// or https:// URL, got {self.url!r}")
        if not self.model:
            raise SettingsError(f"settings: {MODEL} must name the model of {URL}, got none")
        if not 1 <= self.budget_ms <= 60_000:  # noqa: PLR2004 - stated in the message
            raise SettingsError(f"settings: {BUDGET} must be 1 to 60000, got {self.budget_ms!r}")

    @property
    def completions(self) -> str:
        """The address that is asked."""
        return f"{self.url.rstrip('/')}/chat/completions"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self | None:
        """Read the variables; None where no URL is set."""
        environment = os.environ if environment is None else environment
        if not environment.get(URL):
            return None
        budget = environment.get(BUDGET) or str(BUDGET_MS)
        if not budget.isdecimal():
            raise SettingsError(f"settings: {BUDGET} must be a whole number of milliseconds, got {budget!r}")
        return cls(environment[URL], environment.get(MODEL, ""), environment.get(KEY, ""), int(budget))
