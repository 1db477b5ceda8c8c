"""Recipients that share a transaction, and messages that share a connection."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from tests.queue.peer import DROP, EXTENSIONS, Peer
from tests.queue.site import BODY, Site, mx

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]


def recipients(peer: Peer) -> list[list[str]]:
    return [[path.partition("@")[0] for path in mail.recipients] for mail in peer.mails]


def people(names: str) -> list[str]:
    return [f"{name}@there.example" for name in names]


@pytest.mark.parametrize("extensions", [EXTENSIONS, ()])
def test_recipients_of_a_submission_share_a_transaction(
    make_site: MakeSite, make_peer: MakePeer, extensions: tuple[str, ...]
) -> None:
    peer = make_peer(extensions=extensions)
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("abc"))
    site.submit(*people("d"))
    site.start()
    site.until_empty()
    assert sorted(recipients(peer)) == [["a", "b", "c"], ["d"]]


@pytest.mark.parametrize("extensions", [EXTENSIONS, ()])
def test_each_recipient_has_its_own_result(
    make_site: MakeSite, make_peer: MakePeer, extensions: tuple[str, ...]
) -> None:
    script = {"RCPT TO:<B@": ["550 5.1.1 who?"], "RCPT TO:<C@": ["450 4.2.1 later"]}
    peer = make_peer(script=script, extensions=(*extensions, "ENHANCEDSTATUSCODES"))
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("abcd"))
    site.start()
    site.until_attempted()
    assert recipients(peer) == [["a", "d"]]
    [left] = site.queued()
    assert (left.recipient.localpart, left.results[-1].code) == ("c", 450)
    codes = {r.recipient.localpart: (r.success, r.results[-1].code) for r in site.retired()}
    assert codes == {"a": (True, 250), "b": (False, 550), "d": (True, 250)}
    [dsn] = site.octets()
    assert b"Final-Recipient: rfc822;b@there.example" in dsn


def test_all_recipients_refused_keep_their_own_codes(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    script = {"RCPT TO:<A@": ["550 5.1.1 who?"], "RCPT TO:<B@": ["551 5.1.6 moved"]}
    peer = make_peer(script=script)
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("ab"))
    site.start()
    site.until_empty()
    assert [(r.results[-1].code, r.results[-1].secode) for r in site.retired()] == [
        (550, "1.1"),
        (551, "1.6"),
    ]


def test_limits_of_recipients_split_on_one_connection(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(extensions=(*EXTENSIONS, "LIMITS RCPTMAX=2"))
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("abcde"))
    site.start()
    site.until_empty()
    assert recipients(peer) == [["a", "b"], ["c", "d"], ["e"]]
    assert peer.sessions == 1
    assert all(r.attempts == 1 for r in site.retired())


@pytest.mark.parametrize("extensions", [EXTENSIONS, ()])
@pytest.mark.parametrize("code", ["452 4.5.3", "552"])
def test_too_many_recipients_go_into_further_transactions(
    make_site: MakeSite, make_peer: MakePeer, extensions: tuple[str, ...], code: str
) -> None:
    peer = make_peer(extensions=extensions)

    def one_each(line: str) -> None:
        """Take one recipient in each transaction."""
        if line.startswith("MAIL"):
            peer.script.pop("RCPT", None)
        elif line.startswith("RCPT") and peer.lines[-2].startswith("RCPT"):
            peer.script["RCPT"] = [f"{code} too many"]

    peer.on_line = one_each
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("abc"))
    site.start()
    site.until_empty()
    assert recipients(peer) == [["a"], ["b"], ["c"]]
    assert peer.sessions == 1


def test_full_mailboxes_are_not_asked_again_at_once(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(script={"RCPT": ["452 4.2.2 full"]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("abc"))
    site.start()
    site.until_attempted()
    assert len(peer.commands("RCPT")) == 3
    assert [msg.results[-1].code for msg in site.queued()] == [452] * 3


def test_temporary_failures_go_to_the_next_host(make_site: MakeSite, make_peer: MakePeer) -> None:
    first = make_peer(script={"RCPT TO:<B@": ["450 4.2.1 later"]})
    second = make_peer(ip="127.0.0.2", port=first.port)
    site = make_site(names=mx("127.0.0.1", "127.0.0.2"), port=first.port)
    site.submit(*people("abc"))
    site.start()
    site.until_empty()
    assert recipients(first) == [["a", "c"]]
    assert recipients(second) == [["b"]]


def test_connection_is_used_again(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    for name in "abcdefgh":
        site.submit(*people(name))
    site.start()
    site.until_empty()
    assert len(peer.mails) == 8
    assert peer.sessions <= 5
    assert peer.commands("RSET") == []
    site.submit(*people("i"))
    site.until_empty()
    assert peer.sessions <= 5
    site.until(lambda: peer.open_sessions == 0)
    assert len(peer.commands("QUIT")) == peer.sessions


def test_failed_transaction_is_reset(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(script={"RCPT TO:<A@": ["550 5.1.1 who?"]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("a"))
    site.start()
    site.until_empty()
    site.submit(*people("b"))
    site.until_empty()
    assert len(peer.commands("RSET")) == 1
    assert peer.sessions == 1
    assert recipients(peer) == [["b"]]


@pytest.mark.parametrize("end", [DROP, "421 4.4.2 too many messages"])
def test_server_that_is_tired_of_a_session_gets_another(
    make_site: MakeSite, make_peer: MakePeer, end: str
) -> None:
    peer = make_peer(script={"MAIL": ["250 2.1.0 ok", end, "250 2.1.0 ok"]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("a"))
    site.start()
    site.until_empty()
    site.submit(*people("b"))
    site.until_attempted()
    site.until_empty()
    assert recipients(peer) == [["a"], ["b"]]
    assert peer.sessions == 2
    assert all(r.attempts == 1 and len(r.results) == 1 for r in site.retired())


def test_connection_lost_after_the_content_is_not_repeated(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(script={".": ["250 2.6.0 ok", DROP]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("a"))
    site.start()
    site.until_empty()
    site.submit(*people("b"))
    site.until_attempted()
    [msg] = site.queued()
    assert msg.attempts == 1
    assert len(peer.commands("DATA")) == 2


def test_limit_of_messages_is_kept(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(extensions=(*EXTENSIONS, "LIMITS MAILMAX=1 RCPTMAX=1"))
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*people("abc"))
    site.start()
    site.until_empty()
    assert sorted(mail.session for mail in peer.mails) == [1, 2, 3]
    assert all(r.attempts == 1 for r in site.retired())


def test_many_recipients_are_delivered(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    site.submit(*(f"u{n}@there.example" for n in range(250)))
    site.start()
    site.until_empty()
    assert sorted(len(mail.recipients) for mail in peer.mails) == [50, 100, 100]


def test_large_message_arrives_whole(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    body = BODY + b"".join(b".%d\r\n" % n for n in range(200_000))
    site.submit(*people("a"), body=body)
    site.start()
    site.until_empty()
    assert peer.mails[0].data == body


def test_refusal_in_the_middle_of_a_large_message_is_heard(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    class Impatient(Peer):
        def _serve(self, sock: gevent.socket.socket, address: object) -> None:
            replies = ("220 hi", "250 hi", "250 ok", "250 ok", "354 go on", "552 5.3.4 too large")
            for reply in replies:
                sock.sendall(reply.encode() + b"\r\n")
                if not reply.startswith("552"):
                    sock.recv(65536)
            gevent.sleep(0.2)
            sock.close()

    with Impatient() as peer:
        site = make_site(names=mx("127.0.0.1"), port=peer.port)
        site.submit(*people("a"), body=BODY + (b"x" * 998 + b"\r\n") * 20_000)
        site.start()
        site.until_attempted()
        site.until_empty()
        assert site.retired()[0].results[-1].code == 552


def test_server_that_greets_nobody_is_asked_once(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(script={"": ["554 5.3.2 never"]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    for _ in range(10):
        site.submit(*people("a"))
    site.start()
    site.until_empty()
    assert peer.sessions == 1
    assert {record.results[-1].code for record in site.retired()} == {554}
