"""The result of an attempt for one message, and what produces it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mox.queue.verdict import Verdict
from mox.store.outgoing_records import QueueMessage

DialedIPs = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message. `dialed_ips` as for its record; None: as before."""

    verdict: Verdict
    dialed_ips: DialedIPs | None = None


class Carrier(Protocol):
    """What takes messages of one next hop there. Nothing that others do wrong makes it raise."""

    @property
    def is_down(self) -> bool:
        """Whether the last delivery failed before it was about any message."""

    def connect(self) -> bool:
        """Get ready before there is a message; false when that is not possible now."""

    def deliver(self, messages: Sequence[QueueMessage]) -> list[Delivery]:
        """Deliver messages that can share a transaction; a result for each, in order."""

    def close(self) -> None:
        """Say goodbye. May be called more than once."""
