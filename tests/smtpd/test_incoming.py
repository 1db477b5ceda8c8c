"""Port 25 as other servers see it."""

from __future__ import annotations

import smtplib
from collections.abc import Callable

import pytest

from mox.delivery.recipients import Recipient
from mox.smtp.reply import Reply
from mox.smtpd.incoming import Incoming
from mox.smtpd.transaction import Transaction
from tests.smtpd.harness import MESSAGE, RESOLVER, Client, FakeResolver, Site, in_thread, unverified
from tests.support.zone import ZoneResolver

MakeSite = Callable[..., Site]


def body(stored: bytes) -> bytes:
    """What was sent: everything after our own fields."""
    at = stored.index(b"\r\nFrom: ") + 2
    return stored[at:]


def test_greeting_and_ehlo_before_tls(make_site: Callable[..., Site]) -> None:
    client = Client(make_site(tls=True).port())
    assert client.reply() == (220, "mail.example.org ESMTP mox")
    assert client.say("EHLO remote.example") == (
        250,
        "mail.example.org\nPIPELINING\nSIZE 104857600\nSTARTTLS\nDSN\nENHANCEDSTATUSCODES\n"
        "8BITMIME\nCHUNKING\nLIMITS RCPTMAX=1000\nSMTPUTF8",
    )
    client.starttls()
    assert client.say("RSET")[0] in (250, 503)
    code, text = client.say("EHLO remote.example")
    assert code == 250
    assert "REQUIRETLS" in text
    assert "STARTTLS" not in text
    assert "AUTH" not in text


def test_without_certificate_no_starttls(site: Site) -> None:
    client = site.connect()
    assert "STARTTLS" not in client.say("EHLO remote.example")[1]
    assert client.say("STARTTLS")[0] == 503


def test_helo_gets_one_line_and_needs_an_address(site: Site) -> None:
    client = site.connect(hello=False)
    assert client.say("HELO remote.example") == (250, "mail.example.org")
    code, text = client.say("HELO unknown.example")
    assert (code, text[:5]) == (550, "5.5.0")
    assert client.say("HELO broken.example")[0] == 250


def test_message_is_readable_when_250_is_sent(site: Site) -> None:
    client = site.connect()
    code, text = client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)
    assert (code, text) == (250, "2.2.0 it is done")
    [stored] = site.messages()
    assert body(stored) == MESSAGE
    lines = stored.replace(b"\r\n\t", b" ").split(b"\r\n")
    assert lines[0].startswith(b"X-Mox-Reason: no-bad-signals; reputation: none, inconclusive,")
    assert lines[1] == b"Delivered-To: mjl@example.org"
    assert lines[2] == b"Return-Path: <a@remote.example>"
    assert lines[3] == (
        b"Authentication-Results: mail.example.org; "
        b"iprev=pass (without dnssec) policy.iprev=127.0.0.1; "
        b'dkim=none reason="no dkim signatures"; '
        b"spf=pass (without dnssec) smtp.mailfrom=remote.example; "
        b"dmarc=none (without dnssec) header.from=remote.example"
    )
    assert lines[4].startswith(b"Received-SPF: pass (domain remote.example) client-ip=")
    head = stored[: stored.index(b"\r\nFrom: ")].replace(b"\r\n\t", b" ")
    assert (
        b"\r\nReceived: from remote.example ([127.0.0.1]) by mail.example.org ([127.0.0.1])" in head
    )
    assert b" via tcp with ESMTP id " in head
    assert b" for <mjl@example.org>; " in head


def test_tls_is_told_in_received(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True)
    client = site.connect()
    client.starttls()
    client.say("EHLO remote.example")
    client.envelope("a@remote.example", "mjl@example.org", parameters=" REQUIRETLS")
    assert client.data(MESSAGE)[0] == 250
    head = site.messages()[0].replace(b"\r\n\t", b" ")
    assert b" with ESMTPS (requiretls) id " in head
    assert b" (TLS1.3 TLS_" in head


def test_dns_is_asked_about_a_new_client_before_it_goes_on(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = ZoneResolver({name: list(texts) for name, texts in RESOLVER.records.items()})
    site = make_site(resolver=resolver)
    asked: list[set[tuple[str, str]]] = []
    real = Incoming.mail

    def mail(self: Incoming, transaction: Transaction[Recipient]) -> Reply | None:
        reply = real(self, transaction)
        asked.append(set(resolver.queries))
        return reply

    monkeypatch.setattr(Incoming, "mail", mail)
    client = site.connect()
    assert client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)[0] == 250
    about = {("1.0.0.127.in-addr.arpa", "PTR"), ("remote.example", "TXT")}
    assert asked[0] >= about | {("_dmarc.remote.example", "TXT")}


def test_destination_mailbox_is_made(site: Site) -> None:
    site.connect().deliver("a@remote.example", "second@example.org", message=MESSAGE)
    assert len(site.messages("second", "Other/Place")) == 1
    assert site.messages("second") == []


def test_separator_case_and_postmaster(site: Site) -> None:
    client = site.connect()
    for recipient in ("MJL+tag@Example.ORG", "postmaster@example.org", "postmaster"):
        assert client.deliver("a@remote.example", recipient, message=MESSAGE)[0] == 250
    assert b"Delivered-To: MJL+tag@example.org\r\n" in site.messages()[0]
    postmaster = site.messages("mjl", "Postmaster")
    assert len(postmaster) == 2
    assert b"Delivered-To: postmaster@mail.example.org\r\n" in postmaster[1]


@pytest.mark.parametrize(
    ("recipient", "code", "enhanced"),
    [
        ("x@elsewhere.example", 550, "5.1.1"),
        ("x@[127.0.0.1]", 550, "5.1.1"),
        ("x@off.example", 450, "4.2.1"),
        ("gone@example.org", 550, "5.1.1"),
        ("later@example.org", 451, "4.3.0"),
    ],
)
def test_recipient_is_refused(site: Site, recipient: str, code: int, enhanced: str) -> None:
    client = site.connect()
    client.envelope("a@remote.example")
    got, text = client.say(f"RCPT TO:<{recipient}>")
    assert (got, text.split()[0]) == (code, enhanced)
    assert text.endswith(")")
    assert client.say("RCPT TO:<mjl@example.org>")[0] == 250


@pytest.mark.parametrize(
    ("sender", "code", "enhanced"),
    [
        ("a@remote.example", 250, "2.1.0"),
        ("a@withmx.example", 250, "2.1.0"),
        ("", 250, "2.1.0"),
        ("a@nomail.example", 550, "5.7.27"),
        ("a@dangling.example", 550, "5.7.27"),
        ("a@unknown.example", 550, "5.7.27"),
        ("a@broken.example", 451, "4.4.0"),
        ("a@[192.0.2.1]", 550, "5.7.0"),
    ],
)
def test_sender_domain_must_take_mail(site: Site, sender: str, code: int, enhanced: str) -> None:
    got, text = site.connect().say(f"MAIL FROM:<{sender}>")
    assert (got, text.split()[0]) == (code, enhanced)


def test_unknown_user_is_refused_after_the_message(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("mox.smtpd.link.Link.wait", lambda self, seconds: waits.append(seconds))
    client = site.connect()
    client.envelope("a@remote.example", "nobody@example.org", "noone@example.org")
    code, text = client.data(MESSAGE)
    assert code == 550
    assert text.startswith("5.1.1 no such user(s)")
    assert 5.0 in waits


def test_over_quota_is_temporary(site: Site) -> None:
    client = site.connect()
    for expected in (250, 452):
        code, text = client.deliver(
            "a@remote.example", "second@example.org", message=MESSAGE + b"x" * 3000 + b"\r\n"
        )
        assert code == expected
    assert text.startswith("4.2.2 ")


def test_looping_message_is_refused(site: Site) -> None:
    client = site.connect()
    hops = b"Received: x; 1 Jan 2026 00:00:00 +0000\r\n"
    for count, expected in ((100, 250), (101, 550)):
        code, text = client.deliver(
            "a@remote.example", "mjl@example.org", message=hops * count + MESSAGE
        )
        assert code == expected
    assert text.startswith("5.4.6 ")


# ---- aliases


# Members write from a host that may send for their domain.
MEMBERS = FakeResolver(
    dict(RESOLVER.records)
    | {
        ("example.org", "A"): ("192.0.2.1",),
        ("example.org", "TXT"): ('"v=spf1 ip4:127.0.0.1 -all"',),
    }
)


@pytest.mark.parametrize(
    ("alias", "sender", "author", "expected"),
    [
        ("team", "second@example.org", "second@example.org", "250 2.2.0"),
        ("team", "x@example.org", "second@example.org", "250 2.2.0"),
        # Anybody can write a member's address into From.
        ("team", "a@remote.example", "second@example.org", "550 5.7.26"),
        ("team", "a@remote.example", "x@example.org", "550 5.7.26"),
        ("team", "a@remote.example", "a@remote.example", "550 5.7.2"),
        ("team", "team@example.org", "team@example.org", "550 5.7.2"),
        ("public", "a@remote.example", "a@remote.example", "250 2.2.0"),
        ("public", "a@remote.example", "second@example.org", "250 2.2.0"),
        ("own", "own@example.org", "own@example.org", "250 2.2.0"),
        ("own", "a@remote.example", "own@example.org", "550 5.7.26"),
        ("own", "a@remote.example", "a@remote.example", "550 5.7.2"),
    ],
)
def test_alias_takes_mail_from(
    make_site: MakeSite, alias: str, sender: str, author: str, expected: str, fast_tarpit: None
) -> None:
    client = make_site(resolver=MEMBERS).connect()
    message = MESSAGE.replace(b"a@remote.example", author.encode())
    code, text = client.deliver(sender, f"{alias}@example.org", message=message)
    assert f"{code} {text.split()[0]}" == expected


def test_alias_goes_to_members_once_and_not_to_the_author(make_site: MakeSite) -> None:
    site = make_site(resolver=MEMBERS)
    client = site.connect()
    client.envelope("a@remote.example", "mjl@example.org", "public@example.org")
    assert client.data(MESSAGE)[0] == 250
    assert len(site.messages()) == 1
    [stored] = site.messages("second", "Other/Place")
    assert b"Delivered-To: second@example.org\r\n" in stored
    assert b"<public@example.org>" in stored
    message = MESSAGE.replace(b"a@remote.example", b"second@example.org")
    client.deliver("second@example.org", "team@example.org", message=message)
    assert len(site.messages("second", "Other/Place")) == 1
    assert len(site.messages()) == 2


def test_alias_is_delivered_when_one_member_is_full(site: Site) -> None:
    client = site.connect()
    code, _ = client.deliver(
        "a@remote.example", "public@example.org", message=MESSAGE + b"x" * 6000 + b"\r\n"
    )
    assert code == 250
    assert len(site.messages()) == 1
    assert site.messages("second", "Other/Place") == []
    assert site.queued() == []


# ---- limits and order


def test_size_limit(make_site: Callable[..., Site]) -> None:
    site = make_site(listener="\t\tSMTPMaxMessageSize: 2000\n")
    client = site.connect()
    code, text = client.say("MAIL FROM:<a@remote.example> SIZE=2001")
    assert code == 552
    client.envelope("a@remote.example", "mjl@example.org")
    code, text = client.data(MESSAGE + b"x" * 3000 + b"\r\n")
    assert (code, text.split()[0]) == (552, "5.3.4")
    assert client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)[0] == 250
    assert len(site.messages()) == 1


def test_thousand_recipients(site: Site) -> None:
    client = site.connect()
    client.envelope("a@remote.example")
    lines = [f"RCPT TO:<mjl+{i}@example.org>\r\n" for i in range(1001)]
    client.send("".join(lines))
    codes = [client.reply()[0] for _ in lines]
    assert codes == [250] * 1000 + [452]


def test_many_failed_messages_end_the_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mox.smtpd.link.Link.wait", lambda self, seconds: None)
    client = site.connect()
    for _ in range(11):
        client.envelope("a@remote.example", "nobody@example.org")
        assert client.data(MESSAGE)[0] == 550
    code, text = client.say("MAIL FROM:<a@remote.example>")
    assert (code, text.split()[0]) == (550, "5.1.0")
    assert client.is_closed()


def test_one_good_message_forgives_the_bad_ones(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mox.smtpd.link.Link.wait", lambda self, seconds: None)
    client = site.connect()
    assert client.deliver("a@remote.example", "mjl@example.org", message=MESSAGE)[0] == 250
    for _ in range(12):
        client.envelope("a@remote.example", "nobody@example.org")
        assert client.data(MESSAGE)[0] == 550


def test_endless_errors_end_the_connection(site: Site) -> None:
    client = site.connect()
    client.send(b"NONSENSE\r\n" * 101)
    codes = [client.reply()[0] for _ in range(102)]
    assert codes == [500] * 101 + [421]
    assert client.is_closed()


@pytest.mark.parametrize(
    "smuggled",
    [
        b"a\r\n.\nMAIL FROM:<x@remote.example>\r\n",
        b"a\n.\nb\r\n",
        b"a\n.\r\nb\r\n",
        b"a\rb\r\n",
        b"a\nb\r\n",
    ],
)
def test_bare_line_ends_are_refused(site: Site, smuggled: bytes) -> None:
    client = site.connect()
    client.envelope("a@remote.example", "mjl@example.org")
    assert client.say("DATA")[0] == 354
    client.send(MESSAGE + smuggled + b"\r\n.\r\n")
    code, text = client.reply()
    assert (code, text.split()[0]) == (500, "5.5.2")
    assert client.say("NOOP")[0] == 250
    assert site.messages() == []


def test_reset_forgets_the_transaction(site: Site) -> None:
    client = site.connect()
    client.envelope("a@remote.example", "mjl@example.org")
    assert client.say("RSET")[0] == 250
    assert client.say("DATA")[0] == 503
    assert client.deliver("", "mjl@example.org", message=MESSAGE)[0] == 250
    assert b"Return-Path: <>\r\n" in site.messages()[0]


def test_requirestarttls(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True, smtp="RequireSTARTTLS: true")
    client = site.connect()
    client.envelope("a@remote.example")
    code, text = client.say("RCPT TO:<mjl@example.org>")
    assert (code, text.split()[0]) == (530, "5.7.0")


def test_tls_reports_get_through_without_tls(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True, smtp="RequireSTARTTLS: true")
    client = site.connect()
    client.envelope("a@remote.example", "tlsreports@mail.example.org")
    assert client.say("RCPT TO:<mjl@example.org>")[0] == 530
    assert client.data(MESSAGE)[0] == 250


def test_pipelined_session_is_answered_in_order(site: Site) -> None:
    client = site.connect()
    client.send(
        b"MAIL FROM:<a@remote.example>\r\nRCPT TO:<x@elsewhere.example>\r\n"
        b"RCPT TO:<mjl@example.org>\r\nDATA\r\n"
    )
    assert [client.reply()[0] for _ in range(4)] == [250, 550, 250, 354]
    client.send(MESSAGE + b".\r\nMAIL FROM:<a@remote.example>\r\nQUIT\r\n")
    assert [client.reply()[0] for _ in range(3)] == [250, 250, 221]
    assert client.is_closed()


def test_commands_after_starttls_are_not_taken_as_protected(make_site: Callable[..., Site]) -> None:
    client = make_site(tls=True).connect()
    client.send(b"STARTTLS\r\nMAIL FROM:<a@remote.example>\r\n")
    assert client.reply()[0] == 220
    client.sock = unverified().wrap_socket(client.sock)
    assert client.say("NOOP")[0] == 250
    assert client.say("EHLO remote.example")[0] == 250
    assert client.say("RCPT TO:<mjl@example.org>")[0] == 503


def test_auth_is_not_offered(site: Site) -> None:
    assert site.connect().say("AUTH PLAIN AGEAYg==")[0] == 503


def test_smtputf8(site: Site) -> None:
    client = site.connect()
    assert client.say("MAIL FROM:<ü@remote.example>")[0] == 550
    client.envelope("ü@remote.example", "mjl@example.org", parameters=" SMTPUTF8")
    message = MESSAGE.replace(b"Subject: hi", "Subject: ü".encode())
    assert client.data(message)[0] == 250
    [stored] = site.messages()
    assert "Return-Path: <ü@remote.example>\r\n".encode() in stored
    assert b"with UTF8SMTP id" in stored.replace(b"\r\n\t", b" ")
    assert body(stored) == message


def test_standard_library_client_delivers(site: Site) -> None:
    def send() -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", site.port(), local_hostname="remote.example") as client:
            return client.sendmail(
                "a@remote.example",
                ["mjl@example.org", "x@elsewhere.example"],
                MESSAGE + b".dot\r\n..\r\n",
            )

    refused = in_thread(send)
    assert list(refused) == ["x@elsewhere.example"]
    assert body(site.messages()[0]) == MESSAGE + b".dot\r\n..\r\n"


def test_shutdown_says_goodbye_between_transactions(site: Site) -> None:
    idle, busy = site.connect(), site.connect()
    busy.envelope("a@remote.example", "mjl@example.org")
    site.ctx.stopping.set()
    code, text = idle.reply()
    assert (code, text.split()[0]) == (421, "4.3.2")
    assert idle.is_closed()
    assert busy.data(MESSAGE)[0] == 250
    assert busy.reply()[0] == 421


def test_policy_refusal_slows_the_connection_down(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("mox.serving.stream.Stream.sleep", staticmethod(slept.append))
    client = site.connect()
    assert client.deliver("a@remote.example", "team@example.org", message=MESSAGE)[0] == 550
    assert client.say("NOOP")[0] == 250
    assert slept.count(1.0) > 50
