"""Submission as users' programs see it."""

from __future__ import annotations

import base64
import smtplib
import ssl
from collections.abc import Callable

import pytest
import scramp

from mox import logfmt
from mox.store.outgoing_records import QueueAddress
from tests.smtpd.harness import PASSWORD, Client, Site, in_thread

MESSAGE = b"From: Me <mjl@example.org>\r\nSubject: hi\r\n\r\nhello\r\n"


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    site = make_site()
    site.set_password()
    return site


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_ehlo_without_tls_has_no_mechanism(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True, plain_login=False)
    client = site.connect("submission")
    code, text = client.say("EHLO laptop")
    lines = text.split("\n")
    assert "STARTTLS" in lines
    assert not any(line.startswith("AUTH") for line in lines)
    assert client.login("mjl@example.org")[0] == 538
    assert client.say("MAIL FROM:<mjl@example.org>")[0] == 530
    client.starttls()
    code, text = client.say("EHLO laptop")
    lines = text.split("\n")
    assert "AUTH SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN" in lines
    assert "REQUIRETLS" in lines
    assert any(line.startswith("FUTURERELEASE 5184000 20") for line in lines)
    assert code == 250


def test_plus_mechanisms_are_announced_when_configured(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True, listener="\t\tSASLChannelBinding: true\n")
    client = site.connect("submissions")
    assert "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256" in client.say("EHLO x")[1]


def test_login_is_needed(site: Site) -> None:
    client = site.connect("submission")
    for command in ("MAIL FROM:<mjl@example.org>", "RCPT TO:<a@b.example>", "DATA"):
        code, text = client.say(command)
        assert (code, text.split()[0]) == (530, "5.7.0")


def test_plain_login(site: Site) -> None:
    client = site.connect("submission")
    code, text = client.login("mjl@example.org", "wrong password")
    assert (code, text.split()[0]) == (535, "5.7.8")
    assert client.login("nobody@example.org")[0] == 535
    assert client.login("mjl@example.org") == (235, "2.7.0 nice")
    assert client.login("mjl@example.org")[0] == 503


def test_login_mechanism_in_steps(site: Site) -> None:
    client = site.connect("submission")
    assert client.say("AUTH LOGIN") == (334, b64("Username:"))
    assert client.say(b64("mjl@example.org")) == (334, b64("Password:"))
    assert client.say(b64(PASSWORD))[0] == 235


def test_aborted_login(site: Site) -> None:
    client = site.connect("submission")
    assert client.say("AUTH LOGIN")[0] == 334
    code, text = client.say("*")
    assert (code, text.split()[0]) == (501, "5.5.0")
    assert client.say("AUTH NONSENSE")[0] == 504
    assert client.login("mjl@example.org")[0] == 235


def test_failed_logins_slow_the_connection_down(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("mox.serving.stream.Stream.sleep", staticmethod(slept.append))
    client = site.connect("submission")
    for _ in range(5):
        assert client.login("mjl@example.org", "wrong password")[0] == 535
    assert slept == []
    assert client.login("mjl@example.org", "wrong password")[0] == 535
    assert len(slept) > 20
    assert client.login("mjl@example.org")[0] == 235
    slept.clear()
    assert client.say("NOOP")[0] == 250
    assert slept == []


def test_message_is_queued_for_all_recipients(site: Site) -> None:
    client = site.logged_in()
    code, text = client.deliver(
        "mjl+x@example.org", "a@one.example", "b@two.example", message=MESSAGE
    )
    assert (code, text) == (250, "2.2.0 it is done")
    first, second = site.queued()
    assert first.base_id == second.base_id == first.id
    assert first.sender == QueueAddress("mjl+x", "example.org", "example.org")
    assert [m.recipient.domain for m in (first, second)] == ["one.example", "two.example"]
    assert first.sender_account == "mjl"
    wire = site.outgoing.wire(first)
    assert wire.endswith(MESSAGE)
    assert first.size == len(wire)
    names = [line.split(b":")[0] for line in wire.split(b"\r\n") if line[:1] not in (b"\t", b"")]
    assert names[:4] == [b"Received", b"Message-Id", b"Date", b"Authentication-Results"]
    assert first.message_id.encode() in wire
    assert first.subject == "hi"
    assert b"127.0.0.1) by" not in wire.replace(b"\r\n\t", b" ").split(b" by ")[0]
    assert b" for <" not in wire
    assert b"auth=pass" in wire
    assert b"smtp.mailfrom=mjl+x@example.org" in wire
    assert b"laptop" not in wire


def test_single_recipient_is_named_in_received(site: Site) -> None:
    client = site.logged_in()
    message = b"Message-ID: <own@x>\r\nDate: Mon, 1 Jan 2026 00:00:00 +0000\r\n" + MESSAGE
    client.deliver("mjl@example.org", "a@one.example", message=message)
    [queued] = site.queued()
    assert queued.base_id == 0
    wire = site.outgoing.wire(queued)
    assert b"for <a@one.example>;" in wire.replace(b"\r\n\t", b" ")
    assert wire.count(b"Message-I") == 1
    assert wire.count(b"\nDate:") == 1
    assert queued.message_id == "<own@x>"


def test_bcc_stays(site: Site) -> None:
    client = site.logged_in()
    client.deliver("mjl@example.org", "a@one.example", message=b"Bcc: b@two.example\r\n" + MESSAGE)
    assert b"Bcc: b@two.example\r\n" in site.outgoing.wire(site.queued()[0])


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("mjl@example.org", 250),
        ("MJL+any@Example.org", 250),
        ("own@example.org", 250),
        ("", 250),
        ("second@example.org", 550),
        ("team@example.org", 550),
        ("a@remote.example", 550),
        ("mjl@[127.0.0.1]", 550),
        ("x@off.example", 451),
    ],
)
def test_reverse_path_must_be_ones_own(site: Site, sender: str, code: int) -> None:
    got, text = site.logged_in().say(f"MAIL FROM:<{sender}>")
    assert got == code
    if code == 550:
        assert text.startswith("5.7.1 must match authenticated user")


@pytest.mark.parametrize(
    ("header", "code", "enhanced"),
    [
        (b"From: mjl@example.org\r\n", 250, "2.2.0"),
        (b"From: own@example.org\r\n", 250, "2.2.0"),
        (b"Subject: none\r\n", 550, "5.6.0"),
        (b"From: mjl@example.org\r\nFrom: mjl@example.org\r\n", 550, "5.6.0"),
        (b"From: mjl@example.org, own@example.org\r\n", 550, "5.6.0"),
        (b"From: nonsense\r\n", 550, "5.6.0"),
        (b"From: second@example.org\r\n", 550, "5.7.1"),
        (b"From: x@off.example\r\n", 451, "4.3.0"),
        (b"From: mjl@example.org\r\nX-Mox-Extra-a: 1\r\nX-Mox-Extra-A: 2\r\n", 554, "5.6.0"),
    ],
)
def test_author_must_be_ones_own(site: Site, header: bytes, code: int, enhanced: str) -> None:
    client = site.logged_in()
    got, text = client.deliver("mjl@example.org", "a@one.example", message=header + b"\r\nx\r\n")
    assert (got, text.split()[0]) == (code, enhanced)
    assert len(site.queued()) == (code == 250)


def test_separator_is_needed(site: Site) -> None:
    client = site.logged_in()
    code, text = client.deliver(
        "mjl@example.org", "a@one.example", message=b"From: mjl@example.org\r\n"
    )
    assert (code, text.split()[0]) == (554, "5.6.0")


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("a@one.example", 250),
        ("a@[192.0.2.1]", 250),
        ("a@[IPv6:2001:db8::1]", 250),
        ("mjl@example.org", 250),
        ("nobody@example.org", 550),
        ("gone@example.org", 550),
        ("later@example.org", 451),
        ("x@off.example", 450),
        ("postmaster", 250),
    ],
)
def test_recipients(site: Site, recipient: str, code: int) -> None:
    client = site.logged_in()
    client.envelope("mjl@example.org")
    assert client.say(f"RCPT TO:<{recipient}>")[0] == code
    if code == 250:
        assert client.data(MESSAGE)[0] == 250
        assert site.queued()[0].recipient.domain


def test_extra_headers_and_tls_required_no(site: Site) -> None:
    client = site.logged_in()
    message = b"TLS-Required: No\r\nX-MOX-EXTRA-foo-BAR: v w\r\n" + MESSAGE
    client.deliver("mjl@example.org", "a@one.example", message=message)
    [queued] = site.queued()
    assert queued.extra == {"Foo-Bar": "v w"}
    assert queued.require_tls is False


def test_requiretls_wins_over_tls_required(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True)
    site.set_password()
    client = site.connect("submissions")
    assert client.login("mjl@example.org")[0] == 235
    client.envelope("mjl@example.org", "a@one.example", parameters=" REQUIRETLS")
    assert client.data(b"TLS-Required: No\r\n" + MESSAGE)[0] == 250
    [queued] = site.queued()
    assert queued.require_tls is True
    assert b"with ESMTPSA" in site.outgoing.wire(queued).replace(b"\r\n\t", b" ")


def test_future_release(site: Site) -> None:
    client = site.logged_in()
    client.envelope("mjl@example.org", "a@one.example", parameters=" HOLDFOR=3600")
    assert client.data(MESSAGE)[0] == 250
    [queued] = site.queued()
    assert queued.next_attempt - queued.queued == pytest.approx(3600, abs=5)
    assert queued.future_release == "for;3600"
    assert not queued.hold
    assert client.say("MAIL FROM:<mjl@example.org> HOLDFOR=5184001")[0] == 554


def test_needs_of_the_message_are_found(site: Site) -> None:
    client = site.logged_in()
    client.envelope("mjl@example.org", "a@one.example", parameters=" BODY=8BITMIME SMTPUTF8")
    client.data(MESSAGE)
    client.deliver("mjl@example.org", "a@one.example", message=MESSAGE + b"\xff\r\n")
    client.deliver("mjl@example.org", "a@one.example", message="X: ü\r\n".encode() + MESSAGE)
    part = MESSAGE.replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
    part += "--b\r\nContent-Description: ü\r\n\r\nx\r\n--b--\r\n".encode()
    client.deliver("mjl@example.org", "a@one.example", message=part)
    needs = [(m.has_8bit, m.smtputf8) for m in site.queued()]
    assert needs == [(False, False), (True, False), (True, True), (True, True)]


def test_large_message_is_queued_identical(site: Site) -> None:
    client = site.logged_in()
    message = MESSAGE + (b"\xff" * 900 + b"\r\n") * 2000
    assert client.deliver("mjl@example.org", "a@one.example", message=message)[0] == 250
    [queued] = site.queued()
    wire = site.outgoing.wire(queued)
    assert wire.endswith(message)
    assert queued.size == len(wire)


def test_send_limits(site: Site) -> None:
    site.set_password("second")
    client = site.logged_in("second@example.org")
    message = MESSAGE.replace(b"mjl@", b"second@")
    sender = "second@example.org"
    assert client.deliver(sender, "a@x.example", "b@x.example", message=message)[0] == 250
    code, text = client.deliver(sender, "c@x.example", message=message)
    assert (code, text.split()[0]) == (451, "4.7.1")
    assert "first-time" in text
    assert client.deliver(sender, "a@x.example", "b@x.example", message=message)[0] == 250
    code, text = client.deliver(sender, "a@x.example", "b@x.example", message=message)
    assert (code, text.split()[0]) == (451, "4.7.1")
    assert "max number of messages (5)" in text
    assert len(site.queued()) == 4
    assert len({m.file for m in site.queued()}) == 2


def test_unique_senders(site: Site) -> None:
    client = site.logged_in("mjl+fromid@example.org")
    client.deliver("mjl@example.org", "a@x.example", "b@x.example", message=MESSAGE)
    first, second = site.queued()
    assert first.from_id != second.from_id
    assert len(first.from_id) == 22
    assert first.sender.localpart == f"mjl+{first.from_id}"
    assert first.base_id == 0
    assert site.outgoing.by_from_id(second.from_id) == second


def test_chosen_unique_sender(site: Site) -> None:
    client = site.logged_in("mjl+fromid@example.org")
    assert client.deliver("mjl+mine@example.org", "a@x.example", message=MESSAGE)[0] == 250
    assert site.queued()[0].from_id == "mine"
    code, text = client.deliver("mjl+mine@example.org", "a@x.example", message=MESSAGE)
    assert (code, text.split()[0]) == (554, "5.1.7")
    code, text = client.deliver(
        "mjl+two@example.org", "a@x.example", "b@x.example", message=MESSAGE
    )
    assert (code, text.split()[0]) == (554, "5.5.3")
    assert len(site.queued()) == 1


def test_pedantic_demands_what_standards_say(make_site: Callable[..., Site]) -> None:
    site = make_site(pedantic=True)
    site.set_password()
    client = site.logged_in()
    to = ("mjl@example.org", "a@x.example")
    assert client.deliver(*to, message=MESSAGE + b"\xff\r\n")[0] == 500
    assert client.deliver(*to, message=b"Return-Path: <x@y>\r\n" + MESSAGE)[0] == 550
    client.envelope(*to, parameters=" BODY=8BITMIME")
    assert client.data("X: ü\r\n".encode() + MESSAGE)[0] == 550
    assert client.deliver(*to, message=MESSAGE)[0] == 250


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_standard_library_client_submits(make_site: Callable[..., Site], mechanism: str) -> None:
    site = make_site(tls=True, plain_login=False)
    site.set_password()

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", site.port("submission")) as client:
            client.starttls(context=ssl._create_unverified_context())
            client.ehlo()
            client.user, client.password = "mjl@example.org", PASSWORD
            answer = getattr(client, f"auth_{mechanism.lower().replace('-', '_')}")
            client.auth(mechanism, answer)
            client.sendmail("mjl@example.org", ["a@x.example"], MESSAGE)

    in_thread(send)
    assert len(site.queued()) == 1


def test_scram_login(site: Site) -> None:
    client = site.connect("submission")
    scram = scramp.ScramClient(["SCRAM-SHA-256"], "mjl@example.org", PASSWORD)
    code, text = client.say(f"AUTH SCRAM-SHA-256 {b64(scram.get_client_first())}")
    assert code == 334
    scram.set_server_first(base64.b64decode(text).decode())
    code, text = client.say(b64(scram.get_client_final()))
    assert code == 334
    scram.set_server_final(base64.b64decode(text).decode())
    assert client.say("")[0] == 235


def test_passwords_are_not_traced(
    make_site: Callable[..., Site], capsys: pytest.CaptureFixture[str]
) -> None:
    logfmt.configure("trace")
    try:
        site = make_site()
        site.set_password()
        client = site.logged_in()
        client.deliver("mjl@example.org", "a@x.example", message=MESSAGE)
    finally:
        logfmt.configure("error")
    lines = capsys.readouterr().err
    assert "C: MAIL FROM:<mjl@example.org>" in lines
    assert "S: 250" in lines
    assert b64(f"\0mjl@example.org\0{PASSWORD}") not in lines
    assert "hello" not in lines


def test_submissions_port_speaks_tls_at_once(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True)
    site.set_password()
    client = Client(site.port("submissions"), tls=True)
    assert client.reply()[0] == 220
    assert "STARTTLS" not in client.say("EHLO x")[1]
    assert client.login("mjl@example.org")[0] == 235
    assert client.deliver("mjl@example.org", "a@x.example", message=MESSAGE)[0] == 250


def test_what_the_sender_wants_to_be_told_is_queued(site: Site) -> None:
    client = site.connect("submission")
    assert "DSN" in client.say("EHLO laptop")[1].split("\n")
    client.login("mjl@example.org")
    assert client.say("MAIL FROM:<mjl@example.org> RET=FULL ENVID=QQ+2B1")[0] == 250
    assert client.say("RCPT TO:<a@b.example> NOTIFY=SUCCESS ORCPT=rfc822;x@y.example")[0] == 250
    assert client.say("RCPT TO:<b@b.example> NOTIFY=SOMETIMES")[0] == 501
    assert client.say("RCPT TO:<c@b.example>")[0] == 250
    assert client.data(MESSAGE)[0] == 250
    first, second = site.queued()
    assert (first.notify, first.orcpt) == (("SUCCESS",), "rfc822;x@y.example")
    assert (second.recipient.localpart, second.notify, second.orcpt) == ("c", (), "")
    assert {(msg.ret, msg.envid) for msg in (first, second)} == {("FULL", "QQ+1")}
