"""A message and a destination as tests of decisions want them, and answers to its questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import msgspec

from mox.address import NULL_PATH, Path, parse_address, parse_domain
from mox.config.account import Account, JunkFilter, JunkParams, SubjectPass
from mox.config.destination import Destination, Ruleset
from mox.config.lookup import ToAccount
from mox.delivery.decision import decide
from mox.delivery.facts import MessageFacts, origin_of
from mox.delivery.headers import Headers
from mox.delivery.steps.case import Case, Decision
from mox.junk import Classification
from mox.mailauth.dnsbl import DNSBLResult
from mox.mailauth.results import Authentication
from mox.message.trace import Received
from mox.store.arrivals import Rate
from tests.delivery.histories import NOW, FakeHistory
from tests.delivery.results import authentication

RECIPIENT = "mjl@example.org"
CLIENT = "198.51.100.7"
MESSAGE = b"From: a@sender.example\nTo: mjl@example.org\nSubject: hi\n\nbody\n"
FILTER = JunkFilter(
    threshold=0.9,
    params=JunkParams(onegrams=True, max_power=0.01, top_words=10, ignore_words=0.1, rare_words=2),
)


def path(text: str) -> Path:
    if not text:
        return NULL_PATH
    address = parse_address(text)
    return Path(address.localpart, address.domain)


@dataclass
class Answers:
    """Answers to the questions of a decision; `asked` says which were put."""

    known: FakeHistory = field(default_factory=FakeHistory)
    histories: dict[str, FakeHistory] = field(default_factory=dict)
    probability: float = 0.5
    significant: bool = True
    listed: DNSBLResult | None = None
    subject_problem: str = "no token"
    luck: float = 0.5
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def history(self, mailbox: str) -> FakeHistory:
        self.asked.append(f"history of {mailbox}")
        if self.error is not None:
            raise self.error
        return self.histories.get(mailbox, self.known)

    def rate(self, network: bytes, now: int) -> Rate:
        return self.known.rate(network, now)

    def classify(self) -> Classification | None:
        self.asked.append("classify")
        return Classification(self.probability, self.significant)

    def blocklisted(self) -> DNSBLResult | None:
        self.asked.append("blocklisted")
        return self.listed

    def subjectpass_problem(self) -> str:
        self.asked.append("subjectpass")
        return self.subject_problem

    def subjectpass_offer(self) -> str:
        return "say (pass:token)"

    def chance(self) -> float:
        return self.luck


def facts(
    message: bytes = MESSAGE,
    *,
    found: Authentication | None = None,
    mail_from: str = "a@sender.example",
    client: str = CLIENT,
    tls: bool = True,
    size: int = 1000,
    is_ours: bool = False,
    is_sampled: bool = True,
    helo: str = "mta.sender.example",
) -> MessageFacts:
    headers = Headers(message)
    return MessageFacts(
        reverse_path=path(mail_from),
        header_from=headers.single_from(),
        message_id=headers.message_id,
        size=size,
        headers=headers,
        received=Received(
            helo=parse_domain(helo),
            remote_ip=ip_address(client),
            hostname=parse_domain("mail.example.org"),
            local_ip=ip_address("192.0.2.1"),
            protocol="ESMTP",
            id="id",
            tls="TLS1.3 X" if tls else "",
            when=NOW,
        ),
        authentication=None if is_ours else found or authentication(),
        is_sampled=is_sampled,
    )


def destination(*rulesets: Ruleset, **settings: Any) -> Destination:
    return Destination(rulesets=rulesets, **settings)


def account(**settings: Any) -> Account:
    return Account(domain="example.org", **settings)


SUBJECTPASS = SubjectPass(period=timedelta(hours=12))


def judge(
    message: MessageFacts | None = None,
    answers: Answers | None = None,
    *,
    to: Destination | None = None,
    config: Account | None = None,
    recipient: str = RECIPIENT,
) -> Decision:
    case = Case(
        facts=message or facts(),
        to=ToAccount("mjl", to or Destination(), RECIPIENT),
        account=config or account(),
        path=path(recipient),
        ask=answers or Answers(),
        now=NOW,
    )
    return decide(case)


def known(message: MessageFacts, verdicts: str, **changes: Any) -> FakeHistory:
    """A history in which such messages were judged before."""
    origin = msgspec.structs.replace(origin_of(message, path(RECIPIENT)), **changes)
    return FakeHistory().add(origin, verdicts)
