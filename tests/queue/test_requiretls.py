"""REQUIRETLS and TLS-Required: No (RFC 8689)."""

from __future__ import annotations

import pytest

from mox.tlspolicy.mtasts import Mode
from tests.queue.peer import EXTENSIONS
from tests.queue.tlsworld import (
    DOMAIN,
    H1,
    H2,
    REQUIRETLS,
    STRANGER,
    UNUSABLE,
    World,
    ee,
    error,
    good,
    own,
)


@pytest.mark.parametrize("by", ["dane", "sts"])
def test_requiretls_goes_to_hosts_that_are_known(world: World, by: str) -> None:
    world.servers({"identity": good(), **REQUIRETLS})
    if by == "dane":
        world.tlsa(H1, ee(good()))
    else:
        world.serve_policy(Mode.ENFORCE)
    world.send(require_tls=True)
    assert world.taken == [("h1", True)]
    assert "REQUIRETLS" in world.first.mails[0].parameters.split()


@pytest.mark.parametrize(
    ("server", "tlsa", "mode"),
    [
        # Nobody vouches for the host.
        ({"identity": good(), **REQUIRETLS}, None, None),
        ({"identity": good(), **REQUIRETLS}, UNUSABLE, None),
        ({"identity": good(), **REQUIRETLS}, None, Mode.TESTING),
        # It is the right one, but does not promise anything; before TLS it does not count.
        ({"identity": good()}, ee(good()), None),
        ({"identity": good(), "extensions": EXTENSIONS}, None, Mode.ENFORCE),
    ],
)
def test_requiretls_that_no_host_can_do_fails_for_good(
    world: World, server: dict[str, object], tlsa: str | None, mode: Mode | None
) -> None:
    world.servers(server, {"identity": good(H2)})
    if tlsa is not None:
        world.tlsa(H1, tlsa)
        world.tlsa(H2, UNUSABLE)
    if mode is not None:
        world.serve_policy(mode)
    site = world.send(require_tls=True)
    site.until_empty()
    assert world.taken == []
    [retired] = site.retired()
    assert (retired.results[-1].code, retired.results[-1].secode) == (554, "7.30")
    assert retired.attempts == 1
    assert len(site.mailbox()) == 1


def test_requiretls_goes_to_the_host_that_can(world: World) -> None:
    world.servers({"identity": good()}, {"identity": good(H2), **REQUIRETLS})
    world.tlsa(H2, ee(good(H2)))
    world.send(require_tls=True)
    assert world.taken == [("h2", True)]


def test_requiretls_waits_while_one_host_might_do(world: World) -> None:
    world.servers({"identity": good()}, {"identity": own(H2), **REQUIRETLS})
    world.tlsa(H2, STRANGER)
    site = world.send(require_tls=True)
    assert world.taken == []
    [msg] = site.queued()
    assert msg.attempts == 1


def test_requiretls_does_not_use_a_session_that_others_made(world: World) -> None:
    world.servers({"identity": good(), **REQUIRETLS})
    site = world.site()
    site.submit(f"you@{DOMAIN}")
    site.submit(f"you@{DOMAIN}", require_tls=True)
    site.start()
    site.until_empty()
    assert [mail.parameters for mail in world.first.mails if "REQUIRETLS" in mail.parameters] == []
    assert len(world.taken) == 1


@pytest.mark.parametrize("trouble", ["tlsa", "tlsa-lookup", "sts-mx", "sts-cert", "sts-dns", "tls"])
def test_tls_required_no_is_delivered_whatever_is_wrong(world: World, trouble: str) -> None:
    cert = {"broken_tls": True} if trouble == "tls" else {"identity": own()}
    world.servers(cert)
    if trouble in ("tlsa", "tls"):
        world.tlsa(H1, STRANGER)
    if trouble.startswith("sts"):
        world.serve_policy(Mode.ENFORCE, H2 if trouble == "sts-mx" else H1)
    site = world.site()
    if trouble == "tlsa-lookup":
        site.names.broken.add(f"_25._tcp.{H1}")
    if trouble == "sts-dns":
        site.names.broken.add(f"_mta-sts.{DOMAIN}")
    site.submit(f"you@{DOMAIN}", require_tls=False)
    site.start()
    site.until_empty()
    assert world.taken == [("h1", trouble != "tls")]


def test_session_of_tls_required_no_serves_nobody_else(world: World) -> None:
    world.servers({"identity": own()})
    world.tlsa(H1, STRANGER)
    site = world.site()
    site.submit(f"you@{DOMAIN}", require_tls=False)
    site.submit(f"you@{DOMAIN}")
    site.submit(f"you@{DOMAIN}", require_tls=False)
    site.start()
    site.until(lambda: len(world.taken) == 2 and len(site.queued()) == 1)
    site.until_attempted()
    assert len(world.taken) == 2
    assert "TLSA" in error(site)


def test_failure_of_some_is_not_shared_with_those_who_ask_for_less(world: World) -> None:
    world.servers({"identity": own()})
    world.tlsa(H1, STRANGER)
    site = world.site()
    for _ in range(3):
        site.submit(f"you@{DOMAIN}")
    easy = site.submit(f"you@{DOMAIN}", require_tls=False)
    site.start()
    site.until_attempted()
    assert len(world.taken) == 1
    assert easy[0] not in {msg.id for msg in site.queued()}
