"""Clients that do not read what they have asked for: they wait, and hold next to nothing."""

from __future__ import annotations

import gc
from pathlib import Path

import gevent
import pytest

from mox.imapd import bodies
from tests.imapd.harness import Site, message

MB = 1 << 20


def resident() -> int:
    """Octets of this process that are in memory and not those of files."""
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * 4096


def test_a_stuck_reader_of_a_gigabyte_holds_little(site: Site) -> None:
    site.add(message(1, "0123456789abcde\n" * (10 * MB // 16)))
    account = site.account()
    box = account.mailbox("INBOX")
    assert box is not None
    for _ in range(99):
        account.copy(box.id, [1], box.id)
    client = site.login("inbox")
    (line,) = client.ok("fetch 1 rfc822.size")
    assert 100 * int(line.split()[-1].rstrip(")")) > 1000 * MB
    before = resident()
    stuck = [site.login("inbox") for _ in range(5)]
    for each in stuck:
        each.send("f fetch 1:* body.peek[]\r\n")
    # All have come to where their clients take no more.
    for _ in range(20):
        client.ok("noop")
        gevent.sleep(0.02)
    # Each holds the message that it is about to send, once, and no more.
    assert resident() - before < 5 * 14 * MB
    # Whoever reads again gets all of it, in order.
    first = stuck[0].line()
    assert first.startswith("* 1 FETCH (BODY[] {")
    assert first.endswith("\r\n)")
    assert first.count("0123456789abcde\r\n") == 10 * MB // 16
    for each in stuck:
        each.close()
    client.ok("noop")


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 64, 100])
def test_large_messages_are_sent_like_small_ones(
    site: Site, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    site.add(message(1, "line\r\n" * size))
    client = site.login("inbox")
    (small,) = client.ok("fetch 1 body.peek[]")
    monkeypatch.setattr(bodies, "_LARGE", 1)
    monkeypatch.setattr(bodies, "_STEP", 16)
    assert client.ok("fetch 1 body.peek[]") == [small]
    (both,) = client.ok("fetch 1 (uid body.peek[] body.peek[header])")
    assert both.startswith(small.replace("(BODY[]", "(UID 1 BODY[]")[:-1] + " BODY[HEADER] {")


def test_a_client_that_takes_nothing_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mox.imapd.session.SEND_TIMEOUT_S", 0.1)
    site.add(message(1, "x" * 4 * MB))
    client = site.login("inbox")
    client.send("f " + "fetch 1 body.peek[]\r\nf " * 20 + "noop\r\n")
    with gevent.Timeout(5):
        while len(site.ctx.store.notifier._watchers):
            gevent.sleep(0.01)


def test_others_go_on_while_one_is_stuck(site: Site) -> None:
    site.add(message(1, "x" * 4 * MB), message(2))
    stuck, client = site.login("inbox"), site.login("inbox")
    stuck.send("f fetch 1 body.peek[]\r\n" * 5)
    for _ in range(20):
        assert client.ok("fetch 2 rfc822.size")
    client.ok("store 2 +flags (\\Flagged)")
