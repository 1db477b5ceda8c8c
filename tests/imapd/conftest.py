from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.imapd.harness import Site
from tests.tlsio.identities import identity


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Start a site with options; it is stopped at the end."""
    sites: list[Site] = []

    def make(*, tls: bool = False, **options: object) -> Site:
        certificate = None
        if tls:
            own = identity("mail.example.org")
            certificate = (own.chain_pem, own.key_pem)
        site = Site(tmp_path, certificate=certificate, **options)  # type: ignore[arg-type]
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.stop()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def fast_tarpit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow mode takes no time."""
    monkeypatch.setattr("mox.serving.stream.Stream.sleep", staticmethod(lambda seconds: None))
