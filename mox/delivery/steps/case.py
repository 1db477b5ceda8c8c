"""What a decision is about, whom it may ask, and what it comes out with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from mox.address import Path
from mox.config.account import Account
from mox.config.destination import Ruleset
from mox.config.lookup import ToAccount
from mox.delivery.facts import MessageFacts
from mox.delivery.reputation import NOTHING, History, Reputation
from mox.junk import Classification
from mox.mailauth.dnsbl import DNSBLResult
from mox.smtp.reply import Reply
from mox.store.arrivals import Rate
from mox.store.errors import StoreError
from mox.store.origin import Origin

# Said for all that is not to be explained: it looks like trouble of ours, and whoever is in good
# faith tries again and hears of it from the own server in the end.
SUSPECT = Reply(451, "4.3.0", "error processing")

DMARCOverride = Literal["mailing_list", "forwarded", "sampled_out"]


class Questions(Protocol):
    """Whom the decision asks, for one destination. Answers may take time, and raise StoreError."""

    def history(self, mailbox: str) -> History:
        """What is known of senders to this mailbox."""

    def rate(self, network: bytes, now: int) -> Rate:
        """How much came from a network."""

    def classify(self) -> Classification | None:
        """What the content filter says; None when the account has none."""

    def blocklisted(self) -> DNSBLResult | None:
        """The first block list that has the client."""

    def subjectpass_problem(self) -> str:
        """What is wrong with the token in the subject, "" when it lets the message in."""

    def subjectpass_offer(self) -> str:
        """Text with a token for the sender."""

    def chance(self) -> float:
        """A random number, at least 0 and below 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One message for one destination.

    path: the recipient as given in SMTP; for a member of an alias that is the alias.
    """

    facts: MessageFacts
    to: ToAccount
    account: Account
    path: Path
    ask: Questions
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do for one destination: keep in `mailbox`, or refuse with `reply`.

    destined: the mailbox that it would have gone to, when it goes to another for now.
    delays: nothing is known of the sender, so the reply is to wait a while.
    is_reject: it was to be refused; a copy in `mailbox` is for the user to look at.
    keeps_copy: a refused message may be kept among the rejects.
    """

    accept: bool
    mailbox: str
    reason: str
    details: tuple[str, ...] = ()
    reply: Reply | None = None
    destined: str = ""
    origin: Origin | None = None
    overrides: tuple[DMARCOverride, ...] = ()
    delays: bool = False
    is_reject: bool = False
    keeps_copy: bool = True
    error: StoreError | None = None


@dataclass(slots=True)
class State:
    """What the steps have found so far."""

    case: Case
    origin: Origin
    mailbox: str
    ruleset: Ruleset | None = None
    destined: str = ""
    is_suspicious: bool = False  # the client's address has no name that leads back to it
    reputation: Reputation = NOTHING
    overrides: list[DMARCOverride] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    @property
    def is_forward(self) -> bool:
        return self.ruleset is not None and self.ruleset.is_forward

    def note(self, text: str) -> None:
        """Leave a word on what was found, for X-Mox-Reason and the log."""
        self.details.append(text)

    def accept(self, reason: str, *, delays: bool = False) -> Decision:
        return Decision(
            accept=True,
            mailbox=self.mailbox,
            destined=self.destined,
            reason=reason,
            details=tuple(self.details),
            origin=self.origin,
            overrides=tuple(self.overrides),
            delays=delays,
        )

    def reject(
        self,
        reason: str,
        reply: Reply = SUSPECT,
        *,
        keeps_copy: bool = True,
        error: StoreError | None = None,
    ) -> Decision:
        return Decision(
            accept=False,
            mailbox=self.mailbox,
            destined=self.destined,
            reason=reason,
            details=tuple(self.details),
            reply=reply,
            origin=self.origin,
            overrides=tuple(self.overrides),
            keeps_copy=keeps_copy,
            error=error,
        )
