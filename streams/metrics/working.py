"""How long the event loop works on something, apart from how long that takes.

What waits for Redis or Kafka takes long and works little, and meanwhile the loop works on other things. A step counts
what its own task does between two waits; what it lets other tasks or threads do is theirs.
"""

import time
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

__all__ = ["Working"]

T = TypeVar("T")


class Working(Generic[T]):
    """A coroutine to be awaited once, of which it is told how long its thread worked on it.

    Parameters
    ----------
    coroutine : does the work.
    told : takes seconds of processor time, at each wait and at the end.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], told: Callable[[float], None]) -> None:
        self._coroutine = coroutine
        self._told = told

    def __await__(self) -> Generator[Any, Any, T]:
        step: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            began = time.thread_time()
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            finally:
                self._told(time.thread_time() - began)
            try:
                answer = yield waits_for
            except BaseException as error:  # noqa: BLE001 - the coroutine's, a cancellation too
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, answer)
