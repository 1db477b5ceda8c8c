from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.queue.peer import Peer
from tests.queue.site import Site
from tests.queue.tlsworld import MakePeer, World
from tests.tlsio.identities import authority


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make a site with options; it is stopped at the end."""
    sites: list[Site] = []

    def make(**options: object) -> Site:
        site = Site(tmp_path, **options)  # type: ignore[arg-type]
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.stop()


@pytest.fixture
def make_peer() -> Iterator[Callable[..., Peer]]:
    """Start a peer with options; it is stopped at the end."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Peer(**options))


@pytest.fixture
def world(make_site: Callable[..., Site], make_peer: MakePeer, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "ca.pem").write_bytes(authority().pem)
    with ExitStack() as stack:
        yield World(make_site, make_peer, stack)
