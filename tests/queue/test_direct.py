"""Delivery to the mail hosts of a domain: which, in which order, and what their words lead to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mox.dns import Resolver
from tests.queue.peer import DROP, STALL, Peer
from tests.queue.site import BODY, Site, mx
from tests.support.fakedns import FakeDNS
from tests.tlsio.identities import identity

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]


def deliver(site: Site, *recipients: str, **changes: object) -> None:
    """Submit, and wait for the end of one attempt."""
    site.submit(*(recipients or ("you@there.example",)), **changes)
    site.start()
    site.until_attempted()


def test_message_is_delivered_and_retired(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site, prefix=b"Received: x\r\n", size=len(BODY) + 13)
    [mail] = peer.mails
    assert (mail.sender, mail.recipients) == ("mjl@example.org", ["you@there.example"])
    assert mail.data == b"Received: x\r\n" + BODY
    assert peer.lines[:2] == [
        "EHLO mail.example.org",
        f"MAIL FROM:<mjl@example.org> SIZE={len(BODY) + 13} BODY=7BIT",
    ]
    site.until_empty()
    [retired] = site.retired()
    assert retired.success
    assert (retired.results[-1].code, retired.results[-1].secode) == (250, "6.0")
    assert retired.dialed_ips == {"h1.there.example": ("127.0.0.1",)}
    assert site.mailbox() == []


@pytest.mark.parametrize(
    ("script", "code", "secode", "permanent"),
    [
        ({"": ["421 4.3.2 not now"]}, 421, "", False),
        ({"": ["554 5.3.2 never"]}, 554, "", True),
        ({"": [DROP]}, 0, "", False),
        ({"": ["what?"]}, 0, "", False),
        ({"EHLO": ["421 4.3.2 not now"]}, 421, "", False),
        ({"EHLO": ["550 no"]}, 550, "", True),
        ({"EHLO": [DROP]}, 0, "", False),
        ({"MAIL": ["450 4.7.1 later"]}, 450, "7.1", False),
        ({"MAIL": ["550 5.7.1 no"]}, 550, "7.1", True),
        ({"MAIL": [DROP]}, 0, "", False),
        ({"RCPT": ["450 4.2.1 later"]}, 450, "2.1", False),
        ({"RCPT": ["550 5.1.1 who?"]}, 550, "1.1", True),
        ({"RCPT": ["552 5.2.2 full"]}, 552, "2.2", False),
        ({"RCPT": [DROP]}, 0, "", False),
        ({"DATA": ["451 4.3.0 later"]}, 451, "3.0", False),
        ({"DATA": ["554 5.6.0 no"]}, 554, "6.0", True),
        ({"DATA": [DROP]}, 0, "", False),
        ({".": ["452 4.3.1 full"]}, 452, "3.1", False),
        ({".": ["554 5.6.0 no"]}, 554, "6.0", True),
        ({".": ["250-2.0.0 a\n251 2.0.0 b"]}, 0, "", False),
        ({".": [DROP]}, 0, "", False),
    ],
)
def test_failure_at_each_stage(
    make_site: MakeSite,
    make_peer: MakePeer,
    script: dict[str, list[str]],
    code: int,
    secode: str,
    permanent: bool,
) -> None:
    peer = make_peer(script=script)
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site)
    if permanent:
        site.until_empty()
        [record] = site.retired()
        assert not record.success
        assert len(site.mailbox()) == 1
    else:
        [record] = site.queued()  # type: ignore[assignment]
        assert site.mailbox() == []
    [result] = record.results
    assert (result.success, result.code, result.secode) == (False, code, secode)
    assert result.error
    assert peer.mails == []


def test_server_without_ehlo_and_pipelining(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(script={"EHLO": ["502 what?"]}, extensions=())
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site)
    assert peer.lines == [
        "EHLO mail.example.org",
        "HELO mail.example.org",
        "MAIL FROM:<mjl@example.org>",
        "RCPT TO:<you@there.example>",
        "DATA",
    ]
    assert peer.mails


def test_hosts_are_tried_in_order_until_one_takes_it(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    first = make_peer(script={"RCPT": ["450 4.2.0 later"]})
    second = make_peer(ip="127.0.0.3", port=first.port)
    third = make_peer(ip="127.0.0.4", port=first.port)
    # Nobody listens on 127.0.0.2.
    hosts = mx("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")
    site = make_site(names=hosts, port=first.port)
    deliver(site)
    assert [len(peer.mails) for peer in (first, second, third)] == [0, 1, 0]
    assert first.sessions == 1
    assert third.sessions == 0
    [retired] = site.retired()
    assert set(retired.dialed_ips) == {"h1.there.example", "h3.there.example"}


def test_permanent_error_ends_the_attempt(make_site: MakeSite, make_peer: MakePeer) -> None:
    first = make_peer(script={"RCPT": ["550 5.1.1 who?"]})
    second = make_peer(ip="127.0.0.2", port=first.port)
    site = make_site(names=mx("127.0.0.1", "127.0.0.2"), port=first.port)
    deliver(site)
    assert second.sessions == 0


def test_addresses_of_a_host_are_tried_in_turn(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(ip="127.0.0.3")
    site = make_site(names=mx("127.0.0.2 127.0.0.3"), port=peer.port)
    deliver(site)
    assert peer.mails


def test_words_of_a_server_beat_a_refused_connection(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(script={"RCPT": ["450 4.2.0 later"]})
    site = make_site(names=mx("127.0.0.1", "127.0.0.2"), port=peer.port)
    deliver(site)
    [msg] = site.queued()
    assert msg.results[-1].code == 450


def test_nobody_listens(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.2"), port=peer.port)
    deliver(site)
    [msg] = site.queued()
    assert msg.results[-1].code == 0
    assert "127.0.0.2" in msg.results[-1].error
    assert "refused" in msg.results[-1].error


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ({("there.example", "MX"): ("0 .",)}, "null MX"),
        ({("other.example", "A"): ("127.0.0.1",)}, "no such domain"),
    ],
)
def test_domain_that_takes_no_mail_is_told_at_once(
    make_site: MakeSite, names: dict[tuple[str, str], tuple[str, ...]], error: str
) -> None:
    site = make_site(names=names)
    deliver(site)
    site.until_empty()
    [retired] = site.retired()
    assert error in retired.results[-1].error
    assert retired.results[-1].code == 0
    [dsn] = site.mailbox()
    assert dsn["subject"] == "mail delivery failed"


def test_broken_dns_is_temporary(make_site: MakeSite) -> None:
    site = make_site(names=mx("127.0.0.1"))
    site.names.broken.add("there.example")
    deliver(site)
    assert len(site.queued()) == 1


def test_host_without_address_is_passed_over(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    names = {**mx("127.0.0.1"), ("there.example", "MX"): ("1 no.example.", "2 h1.there.example.")}
    site = make_site(names=names, port=peer.port)
    deliver(site)
    assert peer.mails


def test_only_host_without_address_is_temporary(make_site: MakeSite) -> None:
    site = make_site(names={("there.example", "MX"): ("1 no.example.",)})
    deliver(site)
    [msg] = site.queued()
    assert "no.example has no address" in msg.results[-1].error


def test_domain_without_mx_is_its_own_host(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names={("there.example", "A"): ("127.0.0.1",)}, port=peer.port)
    deliver(site)
    assert peer.mails


def test_address_literal_needs_no_dns(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(port=peer.port)
    deliver(site, "you@[127.0.0.1]")
    assert [mail.recipients for mail in peer.mails] == [["you@[127.0.0.1]"]]
    assert site.names.queries == []


# ---- TLS


def test_tls_is_used_when_offered_whatever_the_certificate(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(identity=identity("somebody.example", expired=True))
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site)
    assert peer.handshakes == 1
    assert len(peer.commands("EHLO")) == 2
    assert peer.mails


@pytest.mark.parametrize("script", [{}, {"STARTTLS": ["454 4.7.0 not now"]}, {"STARTTLS": [DROP]}])
def test_broken_tls_is_left_out_on_a_new_connection(
    make_site: MakeSite, make_peer: MakePeer, script: dict[str, list[str]]
) -> None:
    peer = make_peer(broken_tls=True, script=script)
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site)
    assert peer.mails[0].session == 2
    assert len(peer.commands("STARTTLS")) == 1


def test_dmarc_reports_do_not_go_in_clear_because_of_broken_tls(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(broken_tls=True)
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site, is_dmarc_report=True)
    assert peer.mails == []
    assert "TLS" in site.queued()[0].results[-1].error


def test_requiretls_fails_for_good_without_a_policy(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(identity=identity("h1.there.example"))
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site, require_tls=True)
    site.until_empty()
    [retired] = site.retired()
    assert (retired.results[-1].code, retired.results[-1].secode) == (554, "7.30")
    assert peer.sessions == 0
    assert "Status: 5.7.30" in site.octets()[0].decode()


def test_tls_required_no_is_delivered(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(broken_tls=True)
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site, require_tls=False)
    assert peer.mails


# ---- what the server cannot do


@pytest.mark.parametrize(
    ("extensions", "changes", "secode", "permanent"),
    [
        (("SIZE 20",), {}, "3.4", True),
        (("PIPELINING",), {"smtputf8": True}, "6.7", False),
    ],
)
def test_server_that_cannot_take_it(
    make_site: MakeSite,
    make_peer: MakePeer,
    extensions: tuple[str, ...],
    changes: dict[str, object],
    secode: str,
    permanent: bool,
) -> None:
    peer = make_peer(extensions=extensions)
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site, **changes)
    assert peer.commands("MAIL") == []
    record = site.retired()[0] if permanent else site.queued()[0]
    assert record.results[-1].secode == secode


def test_eight_bit_goes_to_servers_without_8bitmime(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(extensions=())
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site, has_8bit=True, body="Subject: x\r\n\r\né\r\n".encode())
    assert peer.mails


def test_notification_goes_in_utf8_where_that_is_understood(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer()
    plain = make_peer(ip="127.0.0.2", port=peer.port, extensions=("8BITMIME",))
    names = {**mx("127.0.0.1"), **mx("127.0.0.2", domain="plain.example")}
    site = make_site(names=names, port=peer.port)
    utf8 = "Subject: é\r\n\r\nx\r\n".encode()
    deliver(site, "you@there.example", "you@plain.example", dsn_utf8=utf8, sender="")
    assert peer.mails[0].data == utf8
    assert peer.commands("MAIL") == [f"MAIL FROM:<> SIZE={len(utf8)} BODY=8BITMIME SMTPUTF8"]
    assert plain.mails[0].data == BODY


# ---- local source, families


def test_refusal_by_policy_is_tried_from_the_other_family(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    four = make_peer()
    six = make_peer(ip="::1", port=four.port, script={"RCPT": ["550 5.7.1 bad address"]})
    site = make_site(names=mx("127.0.0.1 ::1"), port=four.port)
    deliver(site)
    assert (six.sessions, four.sessions) == (1, 0)
    [msg] = site.queued()
    assert msg.results[-1].code == 550
    assert msg.dialed_ips == {"h1.there.example": ("::1",)}
    site.outgoing.update([msg.id], lambda m: _due(m, site))
    site.until_empty()
    assert four.mails
    [retired] = site.retired()
    assert retired.dialed_ips == {"h1.there.example": ("::1", "127.0.0.1")}


def _due(msg, site):  # type: ignore[no-untyped-def]
    from msgspec import structs

    return structs.replace(msg, next_attempt=site.clock())


def test_missing_file_is_temporary(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    # So large that it is not kept in the index.
    [id] = site.submit("you@there.example", body=BODY + b"more\r\n" * 10000)
    msg = site.outgoing.get(id)
    assert msg is not None
    site.outgoing.path(msg.file).unlink()
    site.start()
    site.until_attempted()
    assert "cannot read queued message" in site.queued()[0].results[-1].error
    assert peer.commands("MAIL") == []


def test_lone_cr_cannot_be_sent(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site, body=BODY + b"a\rb\r\n")
    site.until_empty()
    assert "bare carriage return" in site.retired()[0].results[-1].error
    assert peer.mails == []


@pytest.mark.parametrize("stage", ["", "EHLO", "MAIL", "RCPT", "DATA", ".", "STARTTLS"])
def test_silent_server_is_given_up(
    make_site: MakeSite, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr("mox.queue.session.IO_TIMEOUT_S", 0.1)
    peer = make_peer(script={stage: [STALL]}, identity=identity("h1.there.example"))
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    deliver(site)
    if stage == "STARTTLS":
        assert peer.mails  # without, on another connection
        return
    [msg] = site.queued()
    assert "nothing received for 0.1 s" in msg.results[-1].error
    assert "h1.there.example (127.0.0.1)" in msg.results[-1].error


def test_real_name_server_is_asked(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    zone = {
        ("there.example", "MX"): ["10 mx.example."],
        ("mx.example", "A"): ["127.0.0.1"],
    }
    with FakeDNS(zone) as dns:
        site = make_site(port=peer.port)
        site.services.resolver = Resolver(server=dns.server)
        for _ in range(10):
            site.submit("you@there.example")
        site.start()
        site.until_empty()
    assert len(peer.mails) == 10
    assert dns.queries.count(("there.example", "MX")) == 1
