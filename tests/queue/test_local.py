"""Mail between users of this server, and what localserve makes of all mail."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.queue.peer import EXTENSIONS, Peer
from tests.queue.site import Site, mx
from tests.tlsio.identities import identity

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]


def test_local_recipient_gets_it_without_dns_and_smtp(make_site: MakeSite) -> None:
    site = make_site(port=1)
    site.submit("second@example.org", prefix=b"X-Prefix: 1\r\n")
    site.start()
    site.until_empty()
    [message] = site.mailbox("second")
    assert message["delivered-to"] == "second@example.org"
    assert message["return-path"] == "<mjl@example.org>"
    assert message["x-prefix"] == "1"
    received = str(message["received"])
    assert received.startswith("from mail.example.org ([127.0.0.1]) by mail.example.org")
    assert "with local id q1 for <second@example.org>" in received
    assert site.names.queries == []
    assert site.retired()[0].success


@pytest.mark.parametrize("recipient", ["postmaster@mail.example.org", "postmaster@example.org"])
def test_postmaster_is_local(make_site: MakeSite, recipient: str) -> None:
    site = make_site(port=1)
    site.submit(recipient)
    site.start()
    site.until_empty()
    assert len(site.mailbox("mjl", "Postmaster")) == 1


def test_local_recipients_have_their_own_results(make_site: MakeSite) -> None:
    site = make_site(port=1)
    site.submit("second@example.org", "gone@example.org", "nobody@example.org", "mjl@example.org")
    site.start()
    site.until_empty()
    assert len(site.mailbox("second")) == 1
    codes = {r.recipient.localpart: r.results[-1].code for r in site.retired()}
    assert codes == {"second": 250, "gone": 550, "nobody": 550, "mjl": 250}
    subjects = [str(message["subject"]) for message in site.mailbox()]
    assert sorted(subjects) == ["hello", "mail delivery failed", "mail delivery failed"]
    assert not any(b"Remote-MTA" in octets for octets in site.octets())


def test_over_quota_is_tried_again(make_site: MakeSite) -> None:
    site = make_site(port=1, account="\t\tQuotaMessageSize: 10\n")
    site.submit("mjl@example.org")
    site.start()
    site.until_attempted()
    [msg] = site.queued()
    assert (msg.results[-1].code, msg.results[-1].secode) == (452, "2.2")


def test_disabled_domain_is_tried_again(make_site: MakeSite) -> None:
    site = make_site(port=1)
    site.submit("x@off.example")
    site.start()
    site.until_attempted()
    assert site.queued()[0].results[-1].code == 450


def test_others_at_our_host_name_go_by_dns(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1", domain="mail.example.org"), port=peer.port)
    site.submit("root@mail.example.org", "postmaster@mail.example.org")
    site.start()
    site.until_empty()
    assert [mail.recipients for mail in peer.mails] == [["root@mail.example.org"]]
    assert len(site.mailbox("mjl", "Postmaster")) == 1


def test_unreachable_hosts_do_not_concern_local_recipients(make_site: MakeSite) -> None:
    site = make_site(names=mx("127.0.0.2", domain="mail.example.org"), port=1)
    site.submit("root@mail.example.org")
    site.submit("postmaster@mail.example.org")
    site.start()
    site.until(lambda: site.mailbox("mjl", "Postmaster"))
    site.until_attempted()
    assert [msg.recipient.localpart for msg in site.queued()] == ["root"]


# ---- localserve


def test_localserve_delivers_all_to_its_own_port(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(identity=identity("localhost"), extensions=(*EXTENSIONS, "REQUIRETLS"))
    site = make_site(localserve=True, port=peer.port)
    site.submit("you@anywhere.example", "me@example.org", require_tls=True)
    site.start()
    site.until_empty()
    assert sorted(mail.recipients for mail in peer.mails) == [
        ["me@example.org"],
        ["you@anywhere.example"],
    ]
    assert peer.lines[0] == "EHLO localhost"
    assert peer.handshakes >= 1
    assert site.names.queries == []


def test_localserve_goes_on_without_tls(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(broken_tls=True)
    site = make_site(localserve=True, port=peer.port)
    site.submit("you@anywhere.example")
    site.start()
    site.until_empty()
    assert peer.mails


def test_localserve_obeys_failing_transports_only(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    transports = """\
Transports:
	relay:
		SMTP:
			Host: relay.example
	never:
		Fail:
			SMTPCode: 550
			SMTPMessage: no
"""
    site = make_site(localserve=True, port=peer.port, static=transports)
    site.submit("a@there.example", transport="relay")
    site.submit("b@there.example", transport="never")
    site.start()
    site.until_empty()
    assert [mail.recipients for mail in peer.mails] == [["a@there.example"]]
    failed = next(r for r in site.retired() if not r.success)
    assert (failed.results[-1].code, failed.results[-1].secode) == (550, "7.0")
    assert failed.results[-1].error == "550 5.7.0 no"
