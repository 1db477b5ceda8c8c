"""Native threads for work that blocks: reading and writing files, parsing large messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple

from gevent.threadpool import ThreadPool

T = TypeVar("T")
Args = TypeVarTuple("Args")


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class BlockingPool:
    """Runs functions on native threads while the event loop goes on."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPool(threads)

    def apply(self, fn: Callable[[*Args], T], args: tuple[*Args] = ()) -> T:  # type: ignore[assignment]
        """Run `fn(*args)` on a thread and wait for its result; raises what it raised."""
        outcome = self._pool.apply(_attempt, (fn, args))
        if isinstance(outcome, _Failed):
            raise outcome.error
        return outcome  # type: ignore[no-any-return]

    def start(self, fn: Callable[[*Args], object], args: tuple[*Args] = ()) -> None:  # type: ignore[assignment]
        """Run `fn(*args)` on a thread some time soon; what it raises is nobody's concern."""
        self._pool.spawn(_attempt, fn, args)

    def close(self) -> None:
        """Wait for what runs, then end the threads."""
        self._pool.join()
        self._pool.kill()


def _attempt(fn: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Carry an exception over as a value: gevent prints those that leave a pool's thread."""
    try:
        return fn(*args)
    except Exception as e:
        return _Failed(e)
