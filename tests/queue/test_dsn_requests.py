"""What a sender wants to be told (RFC 3461), through the queue to the notification."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.queue.peer import EXTENSIONS, Peer
from tests.queue.site import BODY, Clock, Site, mx, parts

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]


def test_server_with_dsn_is_asked_to_tell(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(extensions=(*EXTENSIONS, "DSN"))
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(
        "you@there.example",
        notify=("SUCCESS",),
        orcpt="rfc822;you@orig.example",
        envid="QQ1",
        ret="HDRS",
    )
    site.start()
    site.until_empty()
    assert any(line.endswith(" RET=HDRS ENVID=QQ1") for line in peer.lines)
    assert "RCPT TO:<you@there.example> NOTIFY=SUCCESS ORCPT=rfc822;you@orig.example" in peer.lines
    assert site.mailbox() == []
    assert site.retired()[0].envid == "QQ1"


def test_we_tell_where_the_other_server_cannot(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(
        "you@there.example",
        "quiet@there.example",
        notify=("SUCCESS", "FAILURE"),
        orcpt="rfc822;you@orig.example",
        envid="QQ1",
    )
    site.start()
    site.until_empty()
    told = site.mailbox()
    assert [notice["Subject"] for notice in told] == ["mail passed on"] * 2
    text, status, header = parts(told[0])
    assert "passed on" in text
    assert "Original-Envelope-Id: QQ1" in status
    assert "Original-Recipient: rfc822;you@orig.example" in status
    assert "Action: relayed" in status
    assert "Status: 2." in status
    assert "Subject: hello" in header
    assert told[0]["Return-Path"] == "<>"


def test_delivery_to_a_mailbox_of_ours_is_told(make_site: MakeSite) -> None:
    site = make_site()
    site.submit("second@example.org", notify=("SUCCESS",))
    site.start()
    site.until_empty()
    [notice] = site.mailbox()
    assert notice["Subject"] == "mail delivered"
    assert "Action: delivered" in parts(notice)[1]


@pytest.mark.parametrize(
    ("notify", "is_told"),
    [((), True), (("FAILURE",), True), (("NEVER",), False), (("SUCCESS", "DELAY"), False)],
)
def test_failure_is_told_if_it_is_wanted(
    make_site: MakeSite, make_peer: MakePeer, notify: tuple[str, ...], is_told: bool
) -> None:
    peer = make_peer(script={"RCPT": ["550 5.1.1 who?"]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit("you@there.example", notify=notify)
    site.start()
    site.until_empty()
    assert len(site.mailbox()) == is_told


@pytest.mark.parametrize(
    ("notify", "is_told"),
    [((), True), (("DELAY",), True), (("NEVER",), False), (("SUCCESS", "FAILURE"), False)],
)
def test_delay_is_told_if_it_is_wanted(
    make_site: MakeSite, make_peer: MakePeer, notify: tuple[str, ...], is_told: bool
) -> None:
    peer = make_peer(script={"RCPT": ["450 4.7.0 later"]})
    clock = Clock()
    site = make_site(names=mx("127.0.0.1"), port=peer.port, clock=clock)
    site.submit("you@there.example", notify=notify)
    site.start()
    for number in range(1, 6):
        [msg] = site.queued()
        clock.now = max(clock.now, msg.next_attempt)
        site.look()
        site.until_attempted(number)
    assert len(site.mailbox()) == is_told


@pytest.mark.parametrize("ret", ["FULL", "HDRS", ""])
def test_failed_message_comes_back_as_wanted(
    make_site: MakeSite, make_peer: MakePeer, ret: str
) -> None:
    peer = make_peer(script={"RCPT": ["550 5.1.1 who?"]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit("you@there.example", ret=ret)
    site.start()
    site.until_empty()
    [octets] = site.octets()
    kind = b"message/rfc822" if ret == "FULL" else b"text/rfc822-headers"
    assert b"Content-Type: " + kind in octets
    assert (BODY.replace(b"\r\n", b"\n") in octets) == (ret == "FULL")
