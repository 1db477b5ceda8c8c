"""A queue full of messages for a server that does not answer holds nobody else up."""

from __future__ import annotations

import resource
import select
import socket
from collections.abc import Callable

import pytest

from mox.queue import admin
from mox.store import outgoing_select
from mox.store.outgoing_select import Filter, Order, SortField
from tests.queue.peer import Peer
from tests.queue.site import Site, mx

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]

LIVE = 100
# Of one submission: as many records as one transaction of the index may well have.
STEP = 500
# Far less than 100,000 records take, each with a header in front and its results.
MAX_GROWTH_KB = 100 << 10


def largest_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_dead_destination_holds_up_nobody(
    make_site: MakeSite, make_peer: MakePeer, count: int
) -> None:
    peer = make_peer()
    dead = socket.create_server(("127.0.0.2", peer.port))  # nobody accepts
    names = mx("127.0.0.2", domain="dead.example")
    for number in range(LIVE):
        names |= mx("127.0.0.1", domain=f"d{number}.example")
    site = make_site(names=names, port=peer.port)
    for start in range(0, count, STEP):
        site.submit(*(f"u{n}@dead.example" for n in range(start, start + STEP)))
    for number in range(LIVE):
        site.submit(f"you@d{number}.example")
    before = largest_kb()
    site.start()
    site.until(lambda: len(peer.mails) == LIVE, 60.0)
    # All of these were queued after those for the server that is still silent.
    site.until(lambda: site.outgoing.count() == count, 10.0)
    waiting = select.poll()
    waiting.register(dead, select.POLLIN)
    assert waiting.poll(10_000)  # somebody waits there

    # Questions of an administrator meanwhile.
    order = Order(field=SortField.QUEUED, ascending=True, limit=20)
    assert outgoing_select.select(site.outgoing, Filter(recipient="@dead.example"), order) == list(
        range(1, 21)
    )
    assert outgoing_select.select(site.outgoing, Filter(recipient="u7@"), order) == [8]
    assert outgoing_select.select(site.outgoing, Filter(account="second"), order) == []
    last = outgoing_select.select(site.outgoing, Filter(), Order(field=SortField.QUEUED, limit=1))
    assert last == [count]
    assert largest_kb() - before < MAX_GROWTH_KB

    # Mail that comes later is not held up either, and what is held is left alone.
    admin.change(site.outgoing, outgoing_select.select(site.outgoing, Filter()), admin.hold(True))
    assert site.outgoing.held() == count
    site.submit("late@d1.example")
    site.until(lambda: len(peer.mails) == LIVE + 1, 30.0)
    dead.close()
