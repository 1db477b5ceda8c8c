"""Which DMARC evaluations are kept for reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mox.address import parse_domain
from mox.config import Config
from mox.config.destination import Destination, Ruleset
from mox.config.lookup import Reports, ToAccount
from mox.delivery.arrival import Decided, Outcome, Result
from mox.delivery.evaluations import keep
from mox.delivery.facts import MessageFacts
from mox.delivery.recipients import Recipient
from mox.delivery.replies import DELIVERED
from mox.delivery.steps.case import Decision
from mox.mailauth.dmarcevaluation import DMARCEvaluation
from mox.mailauth.dmarcrecord import parse_record
from mox.mailauth.results import Authentication
from mox.store import Store, evaluations, open_store
from mox.store.origin import Origin
from mox.store.spool import Spool
from tests.delivery.cases import NOW, RECIPIENT, facts, judge, path
from tests.delivery.results import authentication
from tests.store.origins import deliver_from, origin_of

RECORD = "v=DMARC1; p=reject; rua=mailto:r@sender.example"
FORWARDED = Ruleset(mailbox="Inbox", verified_domain="fwd.example", is_forward=True)


def found(*, rejects: bool = False, record: str = RECORD, **settings: str) -> Authentication:
    made = authentication(dmarc="fail" if rejects else "pass", rejects=rejects, **settings)  # type: ignore[arg-type]
    domain = parse_domain("sender.example")
    dmarc = replace(
        made.dmarc, header_from=domain, record_domain=domain, record=parse_record(record)
    )
    return replace(made, dmarc=dmarc)


class Desk:
    """Decides about messages as incoming mail does, and has their evaluations kept."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config

    def decide(self, message: MessageFacts, *rulesets: Ruleset) -> Decision:
        return judge(message, to=Destination(rulesets=rulesets))

    def keep(
        self, message: MessageFacts, *decisions: Decision, reports: Reports = ""
    ) -> list[DMARCEvaluation]:
        """Keep what is to be reported about one recipient; all that is kept after."""
        accepted = [decision for decision in decisions if decision.accept]
        first = accepted[0] if accepted else decisions[0]
        outcome = Outcome(
            Recipient(path(RECIPIENT), ToAccount("mjl", Destination(), RECIPIENT, reports)),
            None if accepted else first.reply,
            "delivered" if accepted else "reject",
            first.reason,
            decisions=tuple(Decided("mjl", path(RECIPIENT), each) for each in decisions),
        )
        keep(self.store, self.config, Result(first.reply or DELIVERED, message, (outcome,)))
        self.store.finish_background()
        return evaluations.of_domain(self.store, "sender.example", NOW + 1)


@pytest.fixture
def desk(tmp_path: Path, config: Config) -> Iterator[Desk]:
    store = open_store(tmp_path / "data")
    yield Desk(store, config)
    store.close()


def spool(desk: Desk, *, to: str = "mjl@example.org") -> Spool:
    made = desk.store.spool()
    made.write(f"To: {to}\r\nSubject: x\r\n\r\nx\r\n".encode())
    return made


def test_accepted_message(desk: Desk) -> None:
    message = facts(found=found())
    [kept] = desk.keep(message, desk.decide(message))
    assert (kept.policy_domain, kept.when, kept.interval_hours) == ("sender.example", NOW, 24)
    assert (kept.disposition, kept.overrides, kept.optional) == ("none", (), False)
    assert (kept.envelope_to, kept.envelope_from) == ("example.org", "sender.example")
    assert kept.source_ip == "198.51.100.7"


def test_null_reverse_path_has_no_domain(desk: Desk) -> None:
    message = facts(found=found(), mail_from="")
    [kept] = desk.keep(message, desk.decide(message))
    assert kept.envelope_from == ""


def test_refused_because_of_the_policy(desk: Desk) -> None:
    message = facts(found=found(rejects=True))
    decision = desk.decide(message)
    assert decision.reason == "dmarc-policy"
    [kept] = desk.keep(message, decision)
    assert (kept.disposition, kept.overrides, kept.optional) == ("reject", (), True)


def test_refused_for_another_reason(desk: Desk) -> None:
    message = facts(found=found(spf="fail"))
    decision = replace(desk.decide(message), accept=False, reason="junk", reply=DELIVERED)
    assert desk.keep(message, decision) == []


def test_put_among_the_rejects_is_not_accepted(desk: Desk) -> None:
    ruleset = Ruleset(
        mailbox="Inbox",
        smtp_mail_from_regexp="a@sender[.]example",
        accept_rejects_to_mailbox="Rejects",
    )
    message = facts(found=found(rejects=True))
    decision = desk.decide(message, ruleset)
    assert (decision.accept, decision.is_reject) == (True, True)
    assert desk.keep(message, decision) == []


def test_why_the_policy_was_not_followed(desk: Desk) -> None:
    message = facts(found=found(rejects=True, spf_domain="fwd.example"))
    decision = desk.decide(message, FORWARDED)
    # Of an alias, one member reads this by way of a forward and takes it for the other.
    other = replace(desk.decide(message), accept=True, reply=None)
    [kept] = desk.keep(message, other, decision)
    assert (kept.disposition, kept.overrides) == ("none", ("forwarded",))


def test_list_is_named_as_the_reason(desk: Desk) -> None:
    ruleset = Ruleset(
        mailbox="Lists", list_allow_domain="list.example", verified_domain="list.example"
    )
    message = facts(found=found(rejects=True, spf_domain="list.example"))
    decision = desk.decide(message, ruleset)
    assert decision.reason == "list-allow"
    [kept] = desk.keep(message, decision)
    assert (kept.disposition, kept.overrides) == ("none", ("mailing_list",))


def test_sampled_out(desk: Desk) -> None:
    message = facts(found=found(rejects=True), is_sampled=False)
    decision = replace(desk.decide(message), accept=True, reply=None)
    [kept] = desk.keep(message, decision)
    assert (kept.disposition, kept.overrides) == ("none", ("sampled_out",))


@pytest.mark.parametrize("reports", ["dmarc", "tls", "tls-host"])
def test_reports_to_us_are_no_reason_for_a_report(desk: Desk, reports: Reports) -> None:
    message = facts(found=found())
    [kept] = desk.keep(message, desk.decide(message), reports=reports)
    assert kept.optional


@pytest.mark.parametrize(
    ("origin", "flags", "optional"),
    [
        (origin_of("b@sender.example"), ("$NotJunk",), False),
        (origin_of("b@sender.example"), ("$Junk",), True),
        (origin_of("b@sender.example"), (), True),
        (origin_of("b@sender.example", from_validation="none"), ("$NotJunk",), True),
        (origin_of("b@other.example"), ("$NotJunk",), True),
    ],
)
def test_refusal_is_a_reason_for_a_report_when_the_domain_is_known(
    desk: Desk, origin: Origin, flags: tuple[str, ...], optional: bool
) -> None:
    deliver_from(desk.store, spool(desk), origin, keywords=flags)
    message = facts(found=found(rejects=True))
    [kept] = desk.keep(message, desk.decide(message))
    assert kept.optional is optional


def test_refusal_is_a_reason_for_a_report_when_we_wrote_there(desk: Desk) -> None:
    deliver_from(desk.store, spool(desk, to="b@mail.sender.example"), None, mailbox="Sent")
    message = facts(found=found(rejects=True))
    [kept] = desk.keep(message, desk.decide(message))
    assert not kept.optional


@pytest.mark.parametrize(
    "message",
    [
        facts(found=found(record="v=DMARC1; p=reject")),
        facts(found=authentication()),
        facts(is_ours=True),
    ],
    ids=["no addresses", "no record", "own user"],
)
def test_nothing_is_written_when_nobody_asks(desk: Desk, message: MessageFacts) -> None:
    decision = desk.decide(message)
    assert decision.accept
    assert desk.keep(message, decision) == []


def test_switched_off(desk: Desk) -> None:
    static = replace(desk.config.static, no_outgoing_dmarc_reports=True)
    desk.config = replace(desk.config, static=static)
    message = facts(found=found())
    assert desk.keep(message, desk.decide(message)) == []
