"""Many days in a moment: the schedule as the queue keeps it, and what senders are told."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest

from mox.queue import metrics
from tests.queue.peer import Peer
from tests.queue.site import Clock, Site, mx, parts

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]

HOUR = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refused(make_site: MakeSite, make_peer: MakePeer, clock: Clock) -> Callable[..., Site]:
    """A site whose messages to there.example are refused with a reply."""

    def make(reply: str, **options: object) -> Site:
        peer = make_peer(script={"RCPT": [reply]})
        return make_site(names=mx("127.0.0.1"), port=peer.port, clock=clock, **options)

    return make


def attempt(site: Site, clock: Clock, number: int) -> None:
    """Let time pass until the next attempt, and let it happen."""
    due = min(msg.next_attempt for msg in site.queued())
    clock.now = max(clock.now, due)
    site.look()
    site.until_attempted(number)


def times(site: Site, clock: Clock) -> list[float]:
    """Attempt until the message is gone; returns the hours after the first at which it was."""
    first = clock.now
    hours = []
    number = 0
    while site.outgoing.count():
        number += 1
        attempt(site, clock, number)
        hours.append((clock.now - first) / HOUR)
    return hours


def test_eight_attempts_in_sixteen_hours(refused: Callable[..., Site], clock: Clock) -> None:
    site = refused("450 4.7.0 later")
    site.submit("you@there.example")
    site.start()
    hours = times(site, clock)
    assert hours == pytest.approx([0, 0.125, 0.375, 0.875, 1.875, 3.875, 7.875, 15.875], rel=0.012)
    [retired] = site.retired()
    assert (retired.attempts, len(retired.results)) == (8, 8)
    assert not retired.success
    assert [str(m["subject"]) for m in site.mailbox()] == [
        "mail delivery delayed",
        "mail delivery failed",
    ]


def test_delay_notice_tells_the_true_times(refused: Callable[..., Site], clock: Clock) -> None:
    site = refused("450-4.7.0 come\n450 4.7.0 later")
    queued = clock.now
    site.submit("you@there.example")
    site.start()
    for number in range(1, 6):
        assert site.mailbox() == []
        attempt(site, clock, number)
    site.until(site.mailbox)
    [msg] = site.queued()
    [dsn] = site.mailbox()
    assert dsn["return-path"] == "<>"
    assert dsn["delivered-to"] == "mjl@example.org"
    assert dsn["from"] == "postmaster@mail.example.org"
    assert dsn["to"] == "mjl@example.org"
    assert dsn["references"] == "<one@example.org>"
    assert dsn.get_content_type() == "multipart/report"
    text, status, header = parts(dsn)
    assert "450 4.7.0 come" in text
    assert "450 4.7.0 later" in text
    fields = dict(line.split(": ", 1) for line in status.splitlines() if ": " in line)
    assert fields["Reporting-MTA"] == "dns; mail.example.org"
    assert parsedate_to_datetime(fields["Arrival-Date"]).timestamp() == queued
    assert fields["Final-Recipient"] == "rfc822;you@there.example"
    assert fields["Action"] == "delayed"
    assert fields["Status"] == "4.7.0"
    assert fields["Remote-MTA"] == "dns;h1.there.example ([127.0.0.1])"
    assert fields["Diagnostic-Code"] == "smtp; 450 4.7.0 come 450 4.7.0 later"
    assert parsedate_to_datetime(fields["Last-Attempt-Date"]).timestamp() == int(clock.now)
    until = parsedate_to_datetime(fields["Will-Retry-Until"]).timestamp()
    assert until == int(msg.next_attempt + 12 * HOUR)
    assert "Message-Id: <one@example.org>" in header
    assert ".dot" not in header


def test_exhausted_attempts_are_a_permanent_failure(
    refused: Callable[..., Site], clock: Clock
) -> None:
    site = refused("450 4.7.0 later")
    site.submit("you@there.example", max_attempts=2)
    site.start()
    assert len(times(site, clock)) == 2
    [dsn] = site.mailbox()
    _, status, _ = parts(dsn)
    assert "Action: failed" in status
    assert "Status: 5.7.0" in status
    assert "Diagnostic-Code: smtp; 450 4.7.0 later" in status
    assert "Will-Retry-Until" not in status


def test_failure_without_a_reply_names_no_server(make_site: MakeSite, clock: Clock) -> None:
    site = make_site(names={("x.example", "A"): ("127.0.0.1",)}, clock=clock)
    site.submit("you@there.example")
    site.start()
    site.until_empty()
    [dsn] = site.mailbox()
    text, status, _ = parts(dsn)
    assert "no such domain" in text
    assert "Status: 5.1.2" in status
    assert "Remote-MTA" not in status
    assert "Diagnostic-Code" not in status


@pytest.mark.parametrize(
    ("changes", "account", "mailbox", "to"),
    [
        ({"sender": ""}, "mjl", "Postmaster", "postmaster@mail.example.org"),
        ({"sender_account": "left"}, "mjl", "Postmaster", "mjl@example.org"),
        ({"sender_account": "second"}, "second", "INBOX", "mjl@example.org"),
        ({"is_dmarc_report": True}, "mjl", "Postmaster/dmarc", "mjl@example.org"),
    ],
)
def test_whom_failures_are_told(
    refused: Callable[..., Site],
    changes: dict[str, object],
    account: str,
    mailbox: str,
    to: str,
) -> None:
    site = refused("550 5.1.1 who?")
    site.submit("you@there.example", **changes)
    site.start()
    site.until_empty()
    [dsn] = site.mailbox(account, mailbox)
    assert dsn["to"] == to


def test_delayed_dmarc_reports_are_not_told(refused: Callable[..., Site], clock: Clock) -> None:
    site = refused("450 4.7.0 later")
    site.submit("you@there.example", is_dmarc_report=True)
    before = metrics.DMARC_REPORT_FAILURES._value.get()
    site.start()
    times(site, clock)
    assert [str(m["subject"]) for m in site.mailbox("mjl", "Postmaster/dmarc")] == [
        "mail delivery failed"
    ]
    assert metrics.DMARC_REPORT_FAILURES._value.get() == before + 1


def test_internationalized_senders_are_told_in_utf8(refused: Callable[..., Site]) -> None:
    site = refused("550 5.1.1 who?")
    site.submit("jürgen@there.example", smtputf8=True, future_release="for;60")
    site.start()
    site.until_empty()
    [octets] = site.octets()
    assert b"Content-Type: message/global-delivery-status" in octets
    assert "Final-Recipient: utf-8;jürgen@there.example".encode() in octets
    assert b"Future-Release-Request: for;60" in octets


COPIES = "FailureCopiesTo: second@example.org\n"


def test_administrator_gets_a_copy_of_failures(refused: Callable[..., Site]) -> None:
    site = refused("550 5.1.1 who?", static=COPIES)
    site.submit("you@there.example", ret="FULL")
    site.start()
    site.until_empty()
    [told], [copy] = site.mailbox(), site.mailbox("second")
    assert copy["return-path"] == "<>"
    assert (copy["to"], copy["subject"]) == ("second@example.org", "mail delivery failed (copy)")
    text, status, header = parts(copy)
    assert text.startswith("This is a copy of a notification to mjl@example.org:")
    assert status.split("Final-Recipient")[1] == parts(told)[1].split("Final-Recipient")[1]
    assert "Message-Id: <one@example.org>" in header
    # The message itself went back to its sender alone.
    assert b".dot" in site.octets()[0]
    assert b".dot" not in site.octets("second")[0]


@pytest.mark.parametrize(
    "changes",
    [{"sender": ""}, {"is_dmarc_report": True}, {"is_tls_report": True}, {"notify": ("NEVER",)}],
)
def test_no_copy_of_what_the_postmaster_gets_or_nobody(
    refused: Callable[..., Site], changes: dict[str, object]
) -> None:
    site = refused("550 5.1.1 who?", static=COPIES)
    site.submit("you@there.example", **changes)
    site.start()
    site.until_empty()
    assert site.mailbox("second") == []


def test_delays_are_not_copied(refused: Callable[..., Site], clock: Clock) -> None:
    site = refused("450 4.7.0 later", static=COPIES)
    site.submit("you@there.example")
    site.start()
    for number in range(1, 6):
        attempt(site, clock, number)
    site.until(site.mailbox)
    assert site.outgoing.count() == 1
    assert site.mailbox("second") == []


def test_copy_that_cannot_be_delivered_ends_with_the_postmaster(
    refused: Callable[..., Site],
) -> None:
    site = refused("550 5.1.1 who?", static="FailureCopiesTo: admin@there.example\n")
    site.submit("you@there.example")
    site.start()
    site.until_empty()
    site.until(lambda: site.mailbox("mjl", "Postmaster"))
    [told] = site.mailbox("mjl", "Postmaster")
    assert "admin@there.example" in parts(told)[1]
    assert site.outgoing.count() == 0
    assert len(site.mailbox()) == 1


def test_retired_records_follow_the_account(make_site: MakeSite, make_peer: MakePeer) -> None:
    clock = Clock()
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port, clock=clock)
    for account in ("mjl", "second", "left"):
        site.submit("you@there.example", sender_account=account)
    site.start()
    site.until_empty()
    kept = {r.sender_account: r.keep_until - clock.now for r in site.retired()}
    assert kept == {"mjl": HOUR, "left": 7 * 24 * HOUR}


def test_message_whose_failure_cannot_be_told_stays(
    refused: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mox.store.errors import ErrorKind, StoreError

    site = refused("550 5.1.1 who?")

    def full(*_: object) -> list[object]:
        return [StoreError(ErrorKind.DISK_FULL, "no space")]

    monkeypatch.setattr(site.ctx.store, "deliver", full)
    site.submit("you@there.example")
    site.start()
    site.until_attempted()
    [msg] = site.queued()
    assert msg.results[-1].code == 550
