"""A message at the end of DATA, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mox.address import Domain, Path
from mox.delivery.ahead import Ahead
from mox.delivery.authenticate import Checks
from mox.delivery.facts import MessageFacts
from mox.delivery.recipients import Recipient
from mox.delivery.steps.case import Decision
from mox.mailauth.results import SPFStatus
from mox.message.trace import Received
from mox.smtp.dsnparameters import FAILURE, SUCCESS
from mox.smtp.reply import Reply
from mox.store.errors import StoreError

if TYPE_CHECKING:
    from mox.store.spool import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """What is to be asked about a message of another server.

    ahead: what DNS was asked already. is_exempt: the client is a program near a localserve
    instance; DNS is not asked about it.
    """

    checks: Checks
    ahead: Ahead | None = None
    dns_blocklists: tuple[Domain, ...] = ()
    first_time_delay_s: float = 0.0
    is_exempt: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """A complete message with its envelope. `foreign` None: one of our users wrote it.

    `ret` and `envid` as in RFC 3461.
    """

    reverse_path: Path
    recipients: tuple[Recipient, ...]
    spool: Spool
    received: Received  # facts of the trace field, without recipient
    has_8bit: bool = False
    foreign: Foreign | None = None
    ret: str = ""
    envid: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with the account it is for."""

    account: str
    path: Path
    decision: Decision


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the message for one recipient. `reply` None: delivered."""

    recipient: Recipient
    reply: Reply | None
    result: str  # label of the metric
    reason: str
    error: StoreError | None = None  # why it could not be stored, for the log
    decisions: tuple[Decided, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What the sender is told (after `delay_s`), and the outcomes behind it."""

    reply: Reply
    facts: MessageFacts
    outcomes: tuple[Outcome, ...] = ()
    delay_s: float = 0.0

    @property
    def delivered(self) -> int:
        return sum(outcome.reply is None for outcome in self.outcomes)

    @property
    def to_be_told(self) -> tuple[Outcome, ...]:
        """Return the recipients that the sender is to get a DSN about, none when all failed."""
        if not self.delivered:
            return ()  # the reply says it
        authentication = self.facts.authentication
        is_known = authentication and authentication.spf.status is SPFStatus.PASS
        return tuple(one for one in self.outcomes if _is_to_be_told(one, is_known=bool(is_known)))


def _is_to_be_told(outcome: Outcome, *, is_known: bool) -> bool:
    notify = outcome.recipient.request.notify
    if outcome.reply is not None:
        # RFC 3461 §4.1: by default failures are told.
        return not notify or FAILURE in notify
    # Deviation from RFC 3461 §4.1: of success only to a sender that is who it says it is (SPF),
    # because anybody could have mail sent to others by us.
    return is_known and SUCCESS in notify
