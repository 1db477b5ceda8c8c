"""Messages made to hurt, and DNS made to hurt, against a running worker with all checks on."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator

import gevent
import pytest

from mox.delivery import authenticate
from mox.dns import Resolver
from tests.smtpd.harness import RESOLVER, FakeResolver, Site
from tests.support.fakedns import FakeDNS

MakeSite = Callable[..., Site]

DYNAMIC = """\
Domains:
	example.org: nil
Accounts:
	mjl:
		Domain: example.org
		RejectsMailbox: Rejects
		Destinations:
			mjl@example.org:
				Rulesets:
					-
						HeadersRegexp:
							^x-(a+)+$: ^(b+)+c$
							^list-id$: <x>
						Mailbox: Never
		JunkFilter:
			Threshold: 0.95
			Params:
				Onegrams: true
				Twograms: true
				Threegrams: true
				MaxPower: 0.01
				TopWords: 10
"""
HEAD = b"From: <a@remote.example>\r\nTo: <mjl@example.org>\r\nSubject: x\r\n"
MIB = 1 << 20


def nested_multiparts() -> bytes:
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(100)
    )
    return HEAD + head + b"\r\ninner\r\n"


def many_fields() -> bytes:
    names = b"".join(
        b"X-%s: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n" % (b"a" * (i % 60)) for i in range(50_000)
    )
    return HEAD + names + b"\r\ntext\r\n"


def many_signatures() -> bytes:
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=remote.example; s=k%d; h=from:subject;\r\n"
    field += b" bh=AAAA; b=AAAA\r\n"
    return b"".join([field % i for i in range(2000)]) + HEAD + b"\r\ntext\r\n"


def quoted_printable_bomb() -> bytes:
    head = (
        b"Content-Type: text/html; charset=utf-7\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    )
    return HEAD + head + b"\r\n" + (b"=3Cb=3E=\r\n" * 300_000)


def many_recipients() -> bytes:
    return HEAD + b"To: " + b"x <a@b.example>,\r\n " * 60_000 + b"c@d.example\r\n\r\nt\r\n"


def random_words() -> bytes:
    chance = random.Random(1)
    words = b" ".join(b"%x" % chance.getrandbits(40) for _ in range(400_000))
    return HEAD + b"\r\n" + words + b"\r\n"


MESSAGES = {
    "100 nested multiparts": nested_multiparts,
    "50,000 fields": many_fields,
    "2,000 signatures": many_signatures,
    "header line of 10 MB": lambda: HEAD + b"X-Long: " + b"b" * (10 * MIB) + b"\r\n\r\ntext\r\n",
    "From of 1 MB": lambda: b"From: " + b"<a@b.example>," * 70_000 + b"\r\n\r\ntext\r\n",
    "To of 1 MB": many_recipients,
    "comments": lambda: HEAD + b"Cc: " + b"(" * 300_000 + b"\r\n\r\ntext\r\n",
    "unknown charset": lambda: (
        HEAD + b"Content-Type: text/plain; charset=\xff\xfe\r\n\r\n\xff\xfe\r\n"
    ),
    "bad base64": lambda: (
        HEAD
        + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + b"====%%%" * 100_000
        + b"\r\n"
    ),
    "base64 of zeros": lambda: (
        HEAD
        + b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(bytes(3 * MIB)).replace(b"\n", b"\r\n")
    ),
    "quoted-printable bomb": quoted_printable_bomb,
    "half a million words": random_words,
    "no header": lambda: b"\r\n",
    "nothing at all": lambda: b"",
}


@pytest.fixture
def site(make_site: MakeSite, fast_tarpit: None) -> Site:
    listener = "\t\tSMTPMaxMessageSize: 20000000\n"
    return make_site(dynamic=DYNAMIC, resolver=FakeResolver(RESOLVER.records), listener=listener)


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_made_to_hurt_are_answered(site: Site, name: str) -> None:
    """Accepted or refused cleanly, and the next message goes through on the same connection."""
    client = site.connect()
    client.sock.settimeout(60)
    code, text = client.deliver("a@remote.example", "mjl@example.org", message=MESSAGES[name]())
    assert code in (250, 451, 550, 554), text
    assert "internal error" not in text
    gevent.sleep(0)
    ordinary = b"From: <b@remote.example>\r\nTo: <mjl@example.org>\r\n\r\nhello\r\n"
    assert client.deliver("b@remote.example", "mjl@example.org", message=ordinary)[0] == 250


# ---- DNS

ZONE: dict[tuple[str, str], list[str]] = {
    ("ok.example", "A"): ["192.0.2.1"],
    ("ok.example", "TXT"): ['"v=spf1 include:loop.example -all"'],
    ("loop.example", "CNAME"): ["loop2.example."],
    ("loop2.example", "CNAME"): ["loop.example."],
    ("drop.example", "A"): ["192.0.2.1"],
    ("drop.example", "TXT"): ["DROP"],
    ("fail.example", "A"): ["192.0.2.1"],
    ("fail.example", "TXT"): ["SERVFAIL"],
    ("_dmarc.fail.example", "TXT"): ["SERVFAIL"],
    ("_dmarc.drop.example", "TXT"): ["DROP"],
    ("many.example", "A"): ["192.0.2.1"],
    ("many.example", "TXT"): [f'"v=spf1 ip4:192.0.2.{i % 250} -all {i}"' for i in range(1000)],
    ("_dmarc.many.example", "TXT"): [f'"v=DMARC1; p=reject; x={i}"' for i in range(1000)],
    ("mx.example", "MX"): ["SERVFAIL"],
    ("slow.example", "MX"): ["DROP"],
    ("1.0.0.127.in-addr.arpa", "PTR"): ["DROP"],
}


@pytest.fixture
def hostile(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, fast_tarpit: None
) -> Iterator[Site]:
    monkeypatch.setattr(authenticate, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(authenticate, "DMARC_TIMEOUT_S", 1.0)
    monkeypatch.setattr("mox.smtpd.senders.CHECK_TIMEOUT_S", 1.0)
    with FakeDNS(ZONE) as dns:
        yield make_site(dynamic=DYNAMIC, resolver=Resolver(server=dns.server, timeout_s=0.5))


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("a@mx.example", 451),  # at MAIL: nobody could be told of a failure
        ("a@slow.example", 451),
        ("a@fail.example", 451),
        ("a@drop.example", 451),
        ("a@many.example", 451),
        ("a@loop.example", 451),
        ("a@ok.example", 451),
    ],
)
def test_dns_made_to_hurt_costs_the_sender_a_temporary_error(
    hostile: Site, sender: str, code: int
) -> None:
    others = gevent.spawn(_still_serves, hostile)
    client = hostile.connect()
    client.sock.settimeout(30)
    got, _ = client.say(f"MAIL FROM:<{sender}>")
    if got == 250:
        assert client.say("RCPT TO:<mjl@example.org>")[0] == 250
        octets = f"From: <{sender}>\r\nTo: <mjl@example.org>\r\n\r\nhello\r\n".encode()
        got, _ = client.data(octets)
    assert got == code
    others.get()


def _still_serves(site: Site) -> None:
    """Another client is served meanwhile."""
    client = site.connect()
    for _ in range(20):
        assert client.say("NOOP")[0] == 250
    client.close()
