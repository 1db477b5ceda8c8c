"""Localparts that make a localserve instance fail on purpose, for tests of sending programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

TIMEOUT_S = 3600.0


class Stage(Enum):
    """Where a special localpart takes effect; it is chosen by the localpart's prefix."""

    MAIL = "mailfrom"
    RCPT = "rcptto"
    QUEUE = "queue"  # submission succeeds, delivery by the queue fails
    DATA = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure that a localpart asks for: wait `delay_s`, then answer `code`."""

    code: int
    delay_s: float = 0.0

    @property
    def enhanced(self) -> str:
        return f"{self.code // 100}.0.0"

    @property
    def text(self) -> str:
        return f"failure with code {self.code} due to special localpart"


_BY_SUFFIX = (
    ("temperror", Failure(451)),
    ("permerror", Failure(550)),
    ("timeout", Failure(451, TIMEOUT_S)),
)


def stage_of(localpart: str) -> Stage:
    """Return where a failure that this localpart asks for is due."""
    for stage in (Stage.MAIL, Stage.RCPT, Stage.QUEUE):
        if localpart.startswith(stage.value):
            return stage
    return Stage.DATA


def failure(localpart: str) -> Failure | None:
    """Return the failure that the end of `localpart` asks for, whatever the stage."""
    for suffix, result in _BY_SUFFIX:
        if localpart.endswith(suffix):
            return result
    digits = localpart[-3:]
    if len(digits) == 3 and digits.isascii() and digits.isdigit() and 400 <= int(digits) <= 599:
        return Failure(int(digits))
    return None


def failure_at(stage: Stage, localpart: str) -> Failure | None:
    """Return the failure that `localpart` asks for at this stage."""
    return failure(localpart) if stage_of(localpart) is stage else None
