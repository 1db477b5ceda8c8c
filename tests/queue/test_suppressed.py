"""Suppression lists, from the refusal of a server to the next message to the same address."""

from __future__ import annotations

from collections.abc import Callable

from mox.address import Path, parse_domain
from mox.store import suppressions
from tests.queue.peer import Peer
from tests.queue.site import Site, mx, parts

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]


def test_refused_address_is_not_tried_again(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(script={"RCPT": ["550 5.1.1 who?", "250 ok"]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.ctx.store.account("mjl")
    site.submit("you@there.example")
    site.start()
    site.until_empty()
    assert [msg.results[-1].code for msg in site.retired()] == [550]
    # One of two recipients of a submission is on the list; the other is delivered.
    site.submit("Y.ou+tag@there.example", "other@there.example")
    site.until_empty()
    assert [mail.recipients for mail in peer.mails] == [["other@there.example"]]
    first, suppressed, other = site.retired()
    assert (first.success, suppressed.success, other.success) == (False, False, True)
    result = suppressed.results[-1]
    assert result.code == 0
    assert "address is on suppression list" in result.error
    notices = site.mailbox()
    assert [notice["Subject"] for notice in notices] == ["mail delivery failed"] * 2
    assert "Final-Recipient: rfc822;Y.ou+tag@there.example" in parts(notices[1])[1]


def test_list_is_the_accounts_own(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    store = site.ctx.store
    path = Path("you", parse_domain("there.example"))
    second = store.account("second")
    suppressions.add(store, second.id, path, 0.0, manual=True, reason="")
    site.submit("you@there.example")
    site.submit("you@there.example", sender_account="second", sender="second@example.org")
    site.start()
    site.until_empty()
    assert [mail.sender for mail in peer.mails] == ["mjl@example.org"]
    # A removed address is written to again.
    assert suppressions.remove(store, second.id, path)
    site.submit("you@there.example", sender_account="second", sender="second@example.org")
    site.until_empty()
    assert [mail.sender for mail in peer.mails] == ["mjl@example.org", "second@example.org"]
