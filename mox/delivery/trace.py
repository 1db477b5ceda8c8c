"""The header fields that a message gets in front when it goes into a mailbox."""

from __future__ import annotations

from dataclasses import replace

from mox.address import Address, Path
from mox.delivery.decision import Decision
from mox.message.trace import Received, clean, delivered_to, received, return_path


def reason(decision: Decision) -> bytes:
    """Return the X-Mox-Reason field: why the message was accepted, one detail a line."""
    parts = [f"{clean(text)};" for text in (decision.reason, *decision.details)]
    lead = " ".join(parts[:2])
    return ("\r\n\t".join([f"X-Mox-Reason: {lead}", *parts[2:]]) + "\r\n").encode()


def stored_prefix(
    facts: Received,
    decision: Decision,
    reverse_path: Path,
    recipient: Path,
    mailbox_address: Path | Address,
) -> bytes:
    """Return all fields that are added, in their order, wire form.

    `mailbox_address` is the recipient, or the member that an alias recipient leads to.
    """
    return b"".join(
        (
            reason(decision),
            delivered_to(mailbox_address),
            return_path(reverse_path),
            received(replace(facts, recipient=recipient)),
        )
    )
