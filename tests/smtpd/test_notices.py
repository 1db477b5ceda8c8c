"""What port 25 says of a message that not all recipients got, or whose success was asked for."""

from __future__ import annotations

import pytest

from tests.smtpd.harness import MESSAGE, Site


def test_partial_failure_is_accepted_and_bounced(site: Site) -> None:
    client = site.connect()
    client.envelope("a@remote.example", "nobody@example.org", "mjl@example.org")
    assert client.data(MESSAGE)[0] == 250
    assert len(site.messages()) == 1
    [bounce] = site.queued()
    assert bounce.sender.is_null
    assert bounce.sender_account == "mjl"
    assert str(bounce.recipient.path()) == "a@remote.example"
    text = site.outgoing.wire(bounce)
    assert b"From: <postmaster@example.org>\r\n" in text
    assert b"Final-Recipient: rfc822;nobody@example.org\r\n" in text
    assert b"Status: 5.1.1\r\n" in text
    assert b"mjl@example.org" not in text
    assert b"hello" not in text


def deliver_with(site: Site, mail: str, *recipients: str) -> None:
    """Deliver a message with parameters of MAIL and RCPT."""
    client = site.connect()
    assert "DSN" in client.say("EHLO remote.example")[1].split("\n")
    assert client.say(f"MAIL FROM:<a@remote.example> {mail}")[0] == 250
    for recipient in recipients:
        address, _, parameters = recipient.partition(" ")
        assert client.say(f"RCPT TO:<{address}> {parameters}".strip())[0] == 250
    assert client.data(MESSAGE)[0] == 250


def test_success_is_told_to_a_sender_who_asks(site: Site) -> None:
    orcpt = "ORCPT=rfc822;old+40address@remote.example"
    deliver_with(site, "ENVID=one+2B1", f"mjl@example.org NOTIFY=SUCCESS,FAILURE {orcpt}")
    [told] = site.queued()
    assert told.sender.is_null
    text = site.outgoing.wire(told)
    assert b"Subject: mail delivered\r\n" in text
    assert b"was delivered to the mailboxes" in text
    assert b"Original-Envelope-Id: one+1\r\n" in text
    assert b"Original-Recipient: rfc822;old@address@remote.example\r\n" in text
    assert b"Final-Recipient: rfc822;mjl@example.org\r\nAction: delivered\r\nStatus: 2.0.0" in text
    assert b"could not be delivered" not in text


def test_success_is_told_only_to_senders_who_are_known(site: Site) -> None:
    client = site.connect()
    assert client.say("MAIL FROM:<a@withmx.example>")[0] == 250
    assert client.say("RCPT TO:<mjl@example.org> NOTIFY=SUCCESS")[0] == 250
    assert client.data(MESSAGE)[0] == 250
    assert len(site.messages()) == 1
    assert site.queued() == []


@pytest.mark.parametrize("parameter", ["NOTIFY=NEVER", "NOTIFY=DELAY"])
def test_failure_is_not_told_where_nobody_wants_it(site: Site, parameter: str) -> None:
    deliver_with(site, "", f"nobody@example.org {parameter}", "mjl@example.org")
    assert site.queued() == []


def test_failure_and_success_are_told_together(site: Site) -> None:
    deliver_with(site, "RET=FULL", "nobody@example.org", "mjl@example.org NOTIFY=SUCCESS")
    [told] = site.queued()
    text = site.outgoing.wire(told).decode()
    assert "Subject: mail delivery failure\r\n" in text
    failed, delivered = text.split("was delivered to the mailboxes")
    assert "Recipient: nobody@example.org" in failed
    assert "Recipient: mjl@example.org" in delivered
    assert "Action: failed" in delivered
    assert "Action: delivered" in delivered
    assert "hello" in delivered  # the message itself


def test_whole_message_is_not_returned_unasked(site: Site) -> None:
    deliver_with(site, "RET=HDRS", "nobody@example.org", "mjl@example.org")
    [told] = site.queued()
    assert b"hello" not in site.outgoing.wire(told)


def test_partial_failure_of_a_bounce_is_not_bounced(site: Site) -> None:
    client = site.connect()
    client.envelope("")
    assert client.say("RCPT TO:<mjl@example.org>")[0] == 250
    code, text = client.say("RCPT TO:<second@example.org>")
    assert (code, text.split()[0]) == (452, "4.5.3")


def test_different_failures_are_listed(site: Site) -> None:
    client = site.connect()
    client.envelope("a@remote.example", "nobody@example.org", "second@example.org")
    code, text = client.data(MESSAGE + b"x" * 6000 + b"\r\n")
    assert code == 554
    lines = text.split("\n")
    assert lines[0] == "5.3.0 550 5.1.1 no such user(s)"
    assert lines[1] == "5.3.0 452 4.2.2 mailbox is over quota"
    assert lines[2].startswith("5.3.0 multiple errors (")
    assert site.queued() == []
