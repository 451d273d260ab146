"""What whoever looks at the page may do: read sees, write rates, operate chooses versions and replays."""

from fastapi import Request

from streams.errors import StreamError
from web.api.keys import SCOPES, Scope
from web.api.sign_in import VISIT, Visit

__all__ = ["NotAllowedError", "Rights", "rights_of"]


class NotAllowedError(StreamError):
    """Whoever looks may not do this."""


class Rights:
    """What one session may, asked anew each time, as a key may be taken away meanwhile.

    Parameters
    ----------
    visit : who looks.
    """

    def __init__(self, visit: Visit) -> None:
        self._may = visit.may
        self._name = visit.name

    @property
    def has_session(self) -> bool:
        """Whether somebody has signed in, and may sign out."""
        return self._name is not None

    @property
    def by(self) -> str:
        """Who decides, as the history of versions says it."""
        return "page" if self._name is None else f"{self._name}@page"

    def require(self, scope: Scope) -> None:
        """Raise NotAllowedError unless what needs a scope may be done."""
        if self._may(scope):
            return
        if not any(self._may(one) for one in SCOPES):
            raise NotAllowedError("You are signed in no more; open the page again.")
        raise NotAllowedError(f"A key with the scope {scope} is required.")


def rights_of(request: Request) -> Rights:
    """Return what whoever asks may; the process that answers has said so of every request."""
    return Rights(request.scope[VISIT])
