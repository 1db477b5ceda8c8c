"""The decision step by step: what ends it, with which reply, and what is not even asked."""

from __future__ import annotations

import pytest

from mox.address import parse_domain
from mox.config.destination import Ruleset
from mox.mailauth.dnsbl import DNSBLResult, DNSBLStatus
from mox.mailauth.results import Authentication
from mox.networks import network_keys
from mox.store.arrivals import Rate
from mox.store.errors import ErrorKind, StoreError
from tests.delivery.cases import (
    CLIENT,
    FILTER,
    MESSAGE,
    SUBJECTPASS,
    Answers,
    account,
    destination,
    facts,
    judge,
    known,
)
from tests.delivery.histories import NOW, FakeHistory
from tests.delivery.results import authentication

LISTED = DNSBLResult(DNSBLStatus.LISTED, parse_domain("bl.example"), explanation="why")
STRANGER = authentication(spf="none", spf_domain="sender.example")
HIDDEN = authentication(iprev="permerror", spf="none")


def check(decision: object, expected: str) -> None:
    """Compare with `accept reason` or `code enhanced reason`."""
    accept, reason = decision.accept, decision.reason  # type: ignore[attr-defined]
    reply = decision.reply  # type: ignore[attr-defined]
    got = f"accept {reason}" if accept else f"{reply.code} {reply.enhanced} {reason}"
    assert got == expected, decision


def test_a_stranger_without_anything_against_it_is_accepted_late() -> None:
    decision = judge()
    check(decision, "accept no-bad-signals")
    assert decision.delays
    assert decision.mailbox == "Inbox"
    assert not judge(config=account(no_first_time_sender_delay=True)).delays


def test_missing_author_is_told_in_the_details() -> None:
    decision = judge(facts(b"Subject: x\n\n"))
    assert decision.details[0] == "message has no usable From address"


# ---- A: rates

MIB = 1 << 20


@pytest.mark.parametrize(
    ("width", "rate", "refused"),
    [
        (0, Rate(499, 0, 9999, 0), False),
        (0, Rate(500, 0, 0, 0), True),
        (0, Rate(0, 0, 10_000, 0), True),
        (0, Rate(0, 1000 * MIB - 1000, 0, 0), False),
        (0, Rate(0, 1000 * MIB - 999, 0, 0), True),
        (0, Rate(0, 0, 0, 3000 * MIB), True),
        (1, Rate(1499, 0, 29_999, 0), False),
        (1, Rate(1500, 0, 0, 0), True),
        (1, Rate(0, 0, 0, 9000 * MIB), True),
        (2, Rate(4499, 0, 89_999, 0), False),
        (2, Rate(4500, 0, 0, 0), True),
        (2, Rate(0, 0, 90_000, 0), True),
    ],
)
def test_a_network_that_sends_too_much_is_put_off(width: int, rate: Rate, refused: bool) -> None:
    message = facts()
    assert message.received.remote_ip is not None
    network = network_keys(message.received.remote_ip)[width]
    decision = judge(message, Answers(FakeHistory(rates={network: rate})))
    if refused:
        check(decision, "452 4.2.2 high-rate")
        assert not decision.keeps_copy
        place = "ip" if width == 0 else "network"
        assert decision.reply is not None
        assert decision.reply.text.endswith(f"from your {place}")
    else:
        check(decision, "accept no-bad-signals")


def test_this_host_may_send_any_amount() -> None:
    local = facts(client="127.0.0.1")
    assert local.received.remote_ip is not None
    network = network_keys(local.received.remote_ip)[0]
    answers = Answers(FakeHistory(rates={network: Rate(9e9, 9e9, 9e9, 9e9)}))
    check(judge(local, answers), "accept no-bad-signals")


def test_trouble_of_the_store_is_a_temporary_error() -> None:
    broken = StoreError(ErrorKind.INTERNAL, "index broken")
    decision = judge(answers=Answers(error=broken))
    check(decision, "451 4.3.0 reputation-error")
    assert decision.error is broken
    assert not decision.keeps_copy


# ---- our own users


def test_mail_of_our_own_users_is_not_judged() -> None:
    answers = Answers(listed=LISTED, probability=1)
    ruleset = Ruleset(msg_from_regexp="^a@", mailbox="Friends")
    to = destination(ruleset, message_auth_required_smtp_error="prove it")
    config = account(junk_filter=FILTER, introbox="Introbox")
    decision = judge(facts(is_ours=True), answers, to=to, config=config)
    check(decision, "accept local")
    assert decision.mailbox == "Friends"
    assert answers.asked == []
    assert decision.origin is not None
    assert decision.origin.from_validated
    assert decision.origin.networks == ()


# ---- C: mailing lists

LIST = Ruleset(
    headers_regexp={"^list-id$": "<dev[.]lists[.]example>"},
    list_allow_domain="lists.example",
    mailbox="Lists/dev",
)
LIST_MESSAGE = b"List-Id: <dev.lists.example>\n" + MESSAGE


@pytest.mark.parametrize(
    ("found", "allowed"),
    [
        (authentication(spf_domain="lists.example", iprev="fail", rejects=True), True),
        (authentication(dkim=("sender.example", "lists.example"), rejects=True), True),
        (authentication(spf_domain="lists.example", spf="softfail"), False),
        (authentication(spf_domain="lists.example", helo=True), False),
        (authentication(dkim=("sub.lists.example",)), False),
        (authentication(spf_domain="sub.lists.example"), False),
    ],
)
def test_list_mail_is_accepted_when_the_list_is_proven(
    found: Authentication, allowed: bool
) -> None:
    message = facts(LIST_MESSAGE, found=found)
    answers = Answers(known(message, "jj"), listed=LISTED)
    decision = judge(message, answers, to=destination(LIST))
    assert decision.mailbox == "Lists/dev"
    if allowed:
        check(decision, "accept list-allow")
        assert answers.asked == []
        assert decision.overrides == ("mailing_list",)
        assert decision.origin is not None
        assert decision.origin.is_mailing_list
    else:
        assert decision.reason != "list-allow"
        assert decision.details[0] == "not proven to be from the list at lists.example"


# ---- D: forwarding

FORWARD = Ruleset(
    smtp_mail_from_regexp="^me@forwarder[.]example$",
    verified_domain="forwarder.example",
    is_forward=True,
    mailbox="Inbox",
)


def forwarded(**settings: object) -> Authentication:
    known: dict[str, object] = {
        "spf_domain": "forwarder.example",
        "dkim": ("mx.forwarder.example",),
    }
    return authentication(**known | settings)  # type: ignore[arg-type]


def test_the_forwarding_server_does_not_count() -> None:
    found = forwarded(dkim=("mx.forwarder.example", "sender.example"), rejects=True)
    message = facts(found=found, mail_from="me@forwarder.example")
    decision = judge(message, to=destination(FORWARD))
    check(decision, "accept no-bad-signals")
    assert decision.overrides == ("forwarded",)
    assert not decision.delays
    origin = decision.origin
    assert origin is not None
    assert origin.is_forward
    assert origin.networks == ()
    assert (origin.ehlo_domain, origin.mail_from_domain) == ("", "")
    assert origin.dkim_domains == ("sender.example",)
    assert origin.original_dkim_domains == ("mx.forwarder.example", "sender.example")
    assert origin.original_mail_from_domain == "forwarder.example"
    assert origin.original_ehlo_domain == "mta.sender.example"
    # Nor is it judged by what else came from it.
    history = known(message, "jjjjj", from_domain="", dkim_domains=(), mail_from_validated=False)
    check(judge(message, Answers(history), to=destination(FORWARD)), "accept no-bad-signals")


# ---- E: DMARC


def test_dmarc_policy_is_followed() -> None:
    found = authentication(dmarc="fail", rejects=True)
    message = facts(found=found)
    answers = Answers(known(message, "nn"))
    check(judge(message, answers), "550 5.7.26 dmarc-policy")
    assert answers.asked == []


def test_dmarc_policy_is_for_a_part_of_the_messages() -> None:
    found = authentication(dmarc="fail", rejects=True)
    decision = judge(facts(found=found, is_sampled=False))
    check(decision, "accept no-bad-signals")
    assert decision.overrides == ("sampled_out",)


# ---- G: authentication required


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (authentication(), "accept no-bad-signals"),
        (authentication(spf_domain="sub.sender.example"), "accept no-bad-signals"),
        (authentication(spf="none"), "550 5.7.26 msg-auth-required"),
        (authentication(spf_domain="other.example"), "550 5.7.26 msg-auth-required"),
        (authentication(spf="none", dmarc="temperror"), "451 4.7.26 msg-auth-required"),
    ],
)
def test_a_destination_may_want_proof(found: Authentication, expected: str) -> None:
    to = destination(message_auth_required_smtp_error="prove it")
    decision = judge(facts(found=found), to=to)
    check(decision, expected)
    if decision.reply is not None:
        assert "prove it" in decision.reply.text


# ---- H: reputation and Introbox


def test_history_decides_where_it_is_clear() -> None:
    message = facts()
    answers = Answers(known(message, "n"), listed=LISTED)
    decision = judge(message, answers)
    check(decision, "accept msgfromfull")
    assert not decision.delays
    assert answers.asked == ["history of Inbox"]
    check(judge(message, Answers(known(message, "j"))), "451 4.3.0 msgfromfull")


def test_history_is_that_of_the_mailbox_it_would_go_to() -> None:
    message = facts()
    answers = Answers(histories={"Lists/x": known(message, "j")})
    ruleset = Ruleset(msg_from_regexp="sender", mailbox="Lists/x")
    check(judge(message, answers), "accept no-bad-signals")
    check(judge(message, answers, to=destination(ruleset)), "451 4.3.0 msgfromfull")


@pytest.mark.parametrize(
    ("history", "mailbox", "goes_to", "destined"),
    [
        (FakeHistory(), "Inbox", "Introbox", "Inbox"),
        (FakeHistory(), "INBOX", "Introbox", "INBOX"),
        (FakeHistory(), "Lists", "Lists", ""),
        (FakeHistory(sent=[("x@sender.example", NOW)]), "Inbox", "Introbox", "Inbox"),
        (FakeHistory(sent=[("a@sender.example", NOW)]), "Inbox", "Inbox", ""),
        (known(facts(), "n"), "Inbox", "Inbox", ""),
    ],
)
def test_strangers_go_to_the_introbox(
    history: FakeHistory, mailbox: str, goes_to: str, destined: str
) -> None:
    config = account(introbox="Introbox")
    decision = judge(answers=Answers(history), to=destination(mailbox=mailbox), config=config)
    assert decision.accept
    assert (decision.mailbox, decision.destined) == (goes_to, destined)


def test_forwarded_mail_does_not_go_to_the_introbox() -> None:
    message = facts(found=forwarded(), mail_from="me@forwarder.example")
    config = account(introbox="Introbox")
    assert judge(message, to=destination(FORWARD), config=config).mailbox == "Inbox"


# ---- I and J: SPF and reverse names


@pytest.mark.parametrize("status", ["fail", "softfail", "neutral", "none", "permerror"])
def test_strangers_must_not_fail_spf(status: str) -> None:
    expected = "451 4.3.0 spf-policy" if status in ("fail", "softfail") else "accept no-bad-signals"
    check(judge(facts(found=authentication(spf=status))), expected)


def test_a_failing_helo_is_not_a_failing_sender() -> None:
    found = authentication(spf="fail", helo=True)
    check(judge(facts(found=found, mail_from="")), "accept no-bad-signals")


def test_people_we_know_may_fail_spf() -> None:
    message = facts(found=authentication(spf="fail", dkim=("sender.example",)))
    history = known(message, "nj", from_localpart="other")
    check(judge(message, Answers(history)), "accept no-bad-signals")


def test_policies_that_cannot_be_looked_up_put_strangers_off() -> None:
    found = authentication(spf="temperror", dmarc="temperror")
    check(judge(facts(found=found)), "451 4.4.3 auth-temperror")
    message = facts(found=found)
    check(
        judge(message, Answers(FakeHistory(sent=[("a@sender.example", NOW)]))), "accept msgtofull"
    )


def test_no_reverse_name_and_bad_history_together_are_too_much() -> None:
    message = facts(found=HIDDEN)
    history = known(message, "j", from_domain="", dkim_domains=())
    check(judge(message, Answers(history)), "451 4.3.0 iprev")
    named = facts(found=STRANGER)
    check(judge(named, Answers(history)), "accept no-bad-signals")
    check(judge(message), "accept no-bad-signals")


# ---- K: subjectpass


def test_a_good_token_lets_in_before_content_and_block_lists() -> None:
    answers = Answers(probability=1, listed=LISTED, subject_problem="")
    config = account(junk_filter=FILTER, subject_pass=SUBJECTPASS)
    check(judge(answers=answers, config=config), "accept subjectpass")
    assert "classify" not in answers.asked
    without = Answers(probability=1, subject_problem="")
    check(judge(answers=without, config=account(junk_filter=FILTER)), "451 4.3.0 junk-content")


# ---- L: content


@pytest.mark.parametrize(
    ("probability", "luck", "accepted"),
    [
        (0.9, 0.5, True),
        (0.901, 0.5, False),
        (0.849, 0.0, True),
        (0.851, 0.0, False),
        (0.949, 0.999999, True),
        (0.951, 0.999999, False),
    ],
)
def test_the_threshold_moves_a_little(probability: float, luck: float, accepted: bool) -> None:
    answers = Answers(probability=probability, luck=luck)
    decision = judge(answers=answers, config=account(junk_filter=FILTER))
    check(decision, "accept no-bad-signals" if accepted else "451 4.3.0 junk-content")


@pytest.mark.parametrize(
    ("changes", "strict"),
    [
        ({}, False),
        ({"tls": False}, True),
        ({"found": HIDDEN}, True),
        ({"message": b"From: a@sender.example\nTo: other@example.org\n\n"}, True),
        ({"message": b"From: a@sender.example\nCc: x <MJL@example.org>\n\n"}, True),
        ({"message": b"From: a@sender.example\nCc: x <mjl@Example.ORG>\n\n"}, False),
    ],
)
def test_some_messages_are_looked_at_more_strictly(
    changes: dict[str, object], strict: bool
) -> None:
    message = facts(**changes)  # type: ignore[arg-type]
    config = account(junk_filter=FILTER)
    decision = judge(message, Answers(probability=0.26), config=config)
    check(decision, "451 4.3.0 junk-content-strict" if strict else "accept no-bad-signals")
    check(judge(message, Answers(probability=0.25), config=config), "accept no-bad-signals")


def test_recipients_with_empty_localpart_count_as_named() -> None:
    config = account(junk_filter=FILTER)
    decision = judge(
        facts(b"From: a@sender.example\n\n"),
        Answers(probability=0.5),
        config=config,
        recipient='""@example.org',
    )
    check(decision, "accept no-bad-signals")


@pytest.mark.parametrize(
    ("found", "expected"),
    [(STRANGER, "accept no-bad-signals"), (HIDDEN, "451 4.3.0 junk-content-strict")],
)
def test_an_untrained_filter_convicts_only_the_suspicious(
    found: Authentication, expected: str
) -> None:
    answers = Answers(probability=0.99, significant=False)
    config = account(junk_filter=FILTER)
    check(judge(facts(found=found), answers, config=config), expected)
    answers = Answers(probability=0.5, significant=False)
    check(judge(facts(found=found), answers, config=config), expected)


def test_content_is_told_with_its_scores() -> None:
    decision = judge(facts(tls=False), Answers(probability=0.5), config=account(junk_filter=FILTER))
    assert decision.details[-1] == (
        "content: junk (significant), spamscore 0.50, threshold 0.25 "
        "(stricter: connection without TLS) (ham words: ), (spam words: )"
    )


# ---- M and O: block lists and hints


def test_block_lists_are_asked_last() -> None:
    answers = Answers(listed=LISTED)
    decision = judge(answers=answers, config=account(junk_filter=FILTER))
    check(decision, "451 4.3.0 dns-blocklisted")
    assert answers.asked == ["history of Inbox", "classify", "blocklisted"]
    assert decision.details[-1] == "listed at bl.example: why"
    refused = Answers(probability=1, listed=LISTED)
    judge(answers=refused, config=account(junk_filter=FILTER))
    assert "blocklisted" not in refused.asked


PROVEN = authentication(dmarc="pass")


@pytest.mark.parametrize(
    ("found", "answers", "expected"),
    [
        (PROVEN, Answers(listed=LISTED), "550 5.7.1 give-subjectpass"),
        (authentication(), Answers(listed=LISTED), "451 4.3.0 dns-blocklisted"),
        (PROVEN, Answers(probability=0.94), "550 5.7.1 give-subjectpass"),
        (PROVEN, Answers(probability=0.96), "451 4.3.0 junk-content"),
        (authentication(), Answers(probability=0.94), "451 4.3.0 junk-content"),
    ],
)
def test_proven_strangers_are_told_a_way_in(
    found: Authentication, answers: Answers, expected: str
) -> None:
    config = account(junk_filter=FILTER, subject_pass=SUBJECTPASS)
    decision = judge(facts(found=found), answers, config=config)
    check(decision, expected)
    if decision.reply is not None and "subjectpass" in expected:
        assert decision.reply.text == "say (pass:token)"


def test_only_those_that_nothing_is_known_of_are_told() -> None:
    message = facts(found=PROVEN)
    history = known(message, "nj", from_localpart="other")
    config = account(subject_pass=SUBJECTPASS)
    answers = Answers(history, listed=LISTED)
    check(judge(message, answers, config=config), "451 4.3.0 dns-blocklisted")


# ---- what is refused may still be taken in


def test_a_ruleset_may_take_in_what_is_refused() -> None:
    ruleset = Ruleset(
        msg_from_regexp="sender", mailbox="Lists", accept_rejects_to_mailbox="Refused"
    )
    message = facts(found=authentication(dmarc="fail", rejects=True))
    decision = judge(message, to=destination(ruleset))
    check(decision, "accept dmarc-policy")
    assert (decision.mailbox, decision.destined) == ("Refused", "Lists")
    assert decision.is_reject
    assert decision.origin is not None
    assert decision.origin.is_reject
    good = judge(to=destination(ruleset))
    assert (good.mailbox, good.is_reject) == ("Lists", False)


def test_a_high_rate_is_refused_in_any_case() -> None:
    ruleset = Ruleset(msg_from_regexp=".", mailbox="L", accept_rejects_to_mailbox="Refused")
    message = facts()
    assert message.received.remote_ip is not None
    network = network_keys(message.received.remote_ip)[0]
    history = FakeHistory(rates={network: Rate(500, 0, 0, 0)})
    check(judge(message, Answers(history), to=destination(ruleset)), "452 4.2.2 high-rate")


def test_the_recipient_as_given_is_kept() -> None:
    origin = judge(recipient="MJL+tag@example.org").origin
    assert origin is not None
    assert (origin.rcpt_to_localpart, origin.rcpt_to_domain) == ("MJL+tag", "example.org")
    assert origin.remote_ip == CLIENT
