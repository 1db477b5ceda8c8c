"""The header fields that a message gets in front when it goes into a mailbox."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mox.address import Address, Path
from mox.delivery.authenticate import Client
from mox.delivery.facts import MessageFacts
from mox.delivery.steps.case import Decision, DMARCOverride
from mox.mailauth.authres import authentication_results
from mox.mailauth.receivedspf import received_spf
from mox.message.trace import FoldedField, delivered_to, received, return_path

# Words of details come from messages; what is longer helps nobody.
_MAX_WORD: Final = 200


class Trace:
    """Makes the fields of one message, each only once where recipients share it."""

    __slots__ = ("_facts", "_received", "_results", "_reverse_path", "_spf")

    def __init__(self, facts: MessageFacts, reverse_path: Path) -> None:
        self._facts = facts
        found, trace = facts.authentication, facts.received
        self._received = trace
        self._reverse_path = return_path(reverse_path)
        self._results: dict[tuple[DMARCOverride, ...], bytes] = {}
        self._spf = b""
        if found is not None:
            client = Client.of(trace, reverse_path)
            self._spf = received_spf(
                found.spf,
                remote_ip=client.remote_ip,
                mail_from=reverse_path,
                helo=client.helo,
                hostname=client.hostname,
                smtputf8=trace.smtputf8,
            )

    def prefix(self, decision: Decision, recipient: Path, mailbox_address: Path | Address) -> bytes:
        """Return all fields that are added, in their order, wire form.

        `mailbox_address` is the recipient, or the member that an alias recipient leads to.
        """
        found = self._facts.authentication
        name = found.iprev.hostname if found is not None else ""
        return b"".join(
            (
                reason(decision, smtputf8=self._received.smtputf8),
                delivered_to(mailbox_address),
                self._reverse_path,
                self._authentication_results(decision.overrides),
                self._spf,
                received(replace(self._received, recipient=recipient, reverse_name=name)),
            )
        )

    def _authentication_results(self, overrides: tuple[DMARCOverride, ...]) -> bytes:
        found, trace = self._facts.authentication, self._received
        if found is None or trace.remote_ip is None:
            return b""
        if overrides not in self._results:
            self._results[overrides] = authentication_results(
                trace.hostname,
                trace.remote_ip,
                found,
                overrides=overrides,
                smtputf8=trace.smtputf8,
            )
        return self._results[overrides]


def reason(decision: Decision, *, smtputf8: bool = False) -> bytes:
    """Return the X-Mox-Reason field: why a message was taken or not, one detail a line."""
    field = FoldedField("X-Mox-Reason").add(f"{decision.reason};")
    for detail in decision.details:
        field.newline()
        words = detail.split()
        if len(detail) > _MAX_WORD or not (smtputf8 or detail.isascii()):
            words = [_shown(word, smtputf8=smtputf8) for word in words]
        field.add(*words[:-1], f"{words[-1]};" if words else ";")
    return bytes(field)


def _shown(word: str, *, smtputf8: bool) -> str:
    if not smtputf8 and not word.isascii():
        return "(non-ascii)"
    return word[:_MAX_WORD]
