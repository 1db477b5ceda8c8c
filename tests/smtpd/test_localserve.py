"""The mode for developers: everything is accepted, and localparts ask for failures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.smtpd.harness import Site

MESSAGE = b"From: <mox@localhost>\r\nSubject: hi\r\n\r\nhello\r\n"


@pytest.fixture
def site(make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("mox.serving.stream.Stream.sleep", staticmethod(lambda seconds: None))
    monkeypatch.setattr("mox.smtpd.link.Link.wait", lambda self, seconds: None)
    site = make_site(localserve=True)
    site.set_password("mox")
    return site


@pytest.mark.parametrize(
    "recipient", ["x@anywhere.example", "any@example.org", "mox+tag@localhost", "who@localhost"]
)
def test_any_recipient_is_accepted(site: Site, recipient: str) -> None:
    client = site.connect()
    assert client.deliver("a@unknown.example", recipient, message=MESSAGE)[0] == 250
    [stored] = site.messages("mox")
    assert f"Delivered-To: {recipient}\r\n".encode() in stored


def test_configured_recipients_come_first(site: Site) -> None:
    client = site.connect()
    assert client.deliver("a@unknown.example", "mjl@example.org", message=MESSAGE)[0] == 250
    assert len(site.messages("mjl")) == 1
    assert site.messages("mox") == []


@pytest.mark.parametrize(
    ("suffix", "code", "enhanced"),
    [
        ("temperror", 451, "4.0.0"),
        ("permerror", 550, "5.0.0"),
        ("timeout", 451, "4.0.0"),
        ("421", 421, "4.0.0"),
        ("552", 552, "5.0.0"),
    ],
)
class TestSpecialLocalparts:
    def test_at_mail(self, site: Site, suffix: str, code: int, enhanced: str) -> None:
        got, text = site.connect().say(f"MAIL FROM:<mailfrom{suffix}@x.example>")
        assert (got, text.split()[0]) == (code, enhanced)
        assert f"failure with code {code} due to special localpart" in text

    def test_at_rcpt(self, site: Site, suffix: str, code: int, enhanced: str) -> None:
        client = site.connect()
        client.envelope("a@x.example")
        got, text = client.say(f"RCPT TO:<rcptto{suffix}@x.example>")
        assert (got, text.split()[0]) == (code, enhanced)

    def test_at_data(self, site: Site, suffix: str, code: int, enhanced: str) -> None:
        client = site.connect()
        got, text = client.deliver("a@x.example", f"any{suffix}@x.example", message=MESSAGE)
        assert (got, text.split()[0]) == (code, enhanced)
        assert site.messages("mox") == []

    def test_at_submission(self, site: Site, suffix: str, code: int, enhanced: str) -> None:
        client = site.logged_in("mox@localhost")
        got, text = client.deliver("mox@localhost", f"any{suffix}@x.example", message=MESSAGE)
        assert (got, text.split()[0]) == (code, enhanced)
        assert site.queued() == []

    def test_in_the_queue(self, site: Site, suffix: str, code: int, enhanced: str) -> None:
        client = site.logged_in("mox@localhost")
        recipient = f"queue{suffix}@x.example"
        assert client.deliver("mox@localhost", recipient, message=MESSAGE)[0] == 250
        assert len(site.queued()) == 1
        got, text = site.connect().deliver("mox@localhost", recipient, message=MESSAGE)
        assert (got, text.split()[0]) == (code, enhanced)


def test_partial_failure_is_not_bounced(site: Site) -> None:
    client = site.connect()
    code, _ = client.deliver(
        "a@x.example", "permerror@x.example", "fine@x.example", message=MESSAGE
    )
    assert code == 250
    assert len(site.messages("mox")) == 1
    assert site.queued() == []


def test_own_user_submits_to_anyone(site: Site) -> None:
    client = site.logged_in("mox+tag@localhost")
    client.envelope("mox@localhost", "nobody@example.org", "x@anywhere.example")
    assert client.data(MESSAGE)[0] == 250
    assert len(site.queued()) == 2


def test_malformed_message_is_refused_when_pedantic(make_site: Callable[..., Site]) -> None:
    site = make_site(localserve=True, pedantic=True)
    site.set_password("mox")
    client = site.logged_in("mox@localhost")
    message = b"From: <mox@localhost>\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n"
    code, text = client.deliver("mox@localhost", "x@x.example", message=message)
    assert (code, text.split()[0]) == (554, "5.6.0")
    assert "malformed message" in text
