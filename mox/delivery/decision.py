"""The decision about one incoming message for one destination, as a pure function.

Each decision carries its reason: it is logged, counted, and written into X-Mox-Reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from mox.address import Address, Path
from mox.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What is known of an incoming message before any recipient is looked at."""

    reverse_path: Path
    header_from: Address | None  # None: missing, several, or not an address
    message_id: str  # "" when missing
    size: int  # octets in wire form
    received_fields: int
    has_8bit: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do for one recipient: keep in `mailbox`, or refuse with `reply`."""

    accept: bool
    mailbox: str
    reason: str
    details: tuple[str, ...] = ()
    reply: Reply | None = None


def decide(facts: MessageFacts, mailbox: str) -> Decision:
    """Decide about a message whose destination keeps mail in `mailbox`."""
    details = () if facts.header_from else ("message has no usable From address",)
    return Decision(accept=True, mailbox=mailbox, reason="no-bad-signals", details=details)
