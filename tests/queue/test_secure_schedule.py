"""Mail that TLS policies hold up, over the hours of the schedule: told, given up, or let go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mox.store import tls_results
from mox.tlspolicy.mtasts import Mode, format_policy
from tests.queue.site import Site, parts
from tests.queue.tlsworld import DOMAIN, H1, STRANGER, World, ee, error, good, own


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the test is not that of the pause after a hop was down."""
    monkeypatch.setattr("mox.queue.hop.PAUSE_S", 0.01)


def begin(world: World) -> Site:
    """The first attempt, which fails."""
    site = world.send()
    assert world.taken == []
    return site


def next_attempt(world: World, site: Site) -> None:
    """Turn the clock to the next attempt and wait for its end."""
    [msg] = site.queued()
    count = msg.attempts + 1
    world.clock.now = msg.next_attempt
    site.look()
    site.until(
        lambda: all(
            msg.attempts == count and msg.results[-1].error != "delivering..."
            for msg in site.queued()
        )
    )


def test_certificate_that_stays_wrong(world: World) -> None:
    world.servers({"identity": good()})
    world.tlsa(H1, STRANGER)
    site = begin(world)
    begun = world.clock.now
    for attempt in range(2, 9):
        assert len(site.mailbox()) == (1 if attempt > 5 else 0)
        next_attempt(world, site)
    site.until_empty()
    assert 15.5 * 3600 < world.clock.now - begun < 16.5 * 3600
    [retired] = site.retired()
    assert (retired.attempts, retired.success) == (8, False)
    assert {result.secode for result in retired.results} == {"7.5"}
    delayed, failed = site.mailbox()
    assert delayed["Subject"] == "mail delivery delayed"
    assert failed["Subject"] == "mail delivery failed"
    for notice, action, status in ((delayed, "delayed", "4.7.5"), (failed, "failed", "5.7.5")):
        text, machine, _ = parts(notice)
        assert "no TLSA record matches the certificate" in text
        assert f"Action: {action}" in machine
        assert f"Status: {status}" in machine
    site.ctx.store.finish_background()
    found = [r for r in tls_results.of_day(site.ctx.store, "") if r.policy_domain == H1]
    assert sum(record.results[0].failure for record in found) == 8


@pytest.mark.parametrize("mended", ["certificate", "record", "no record"])
def test_mail_goes_on_once_the_owner_has_mended_it(world: World, mended: str) -> None:
    world.servers({"identity": own()})
    world.tlsa(H1, STRANGER if mended != "certificate" else ee(good()))
    site = begin(world)
    next_attempt(world, site)
    assert world.taken == []
    if mended == "certificate":
        world.first.identity = good()
    elif mended == "record":
        world.tlsa(H1, ee(own()))
    else:
        del world.records[(f"_25._tcp.{H1}", "TLSA")]
    next_attempt(world, site)
    assert world.taken == [("h1", True)]
    [retired] = site.retired()
    assert [result.success for result in retired.results] == [False, False, True]


def test_policy_that_is_taken_back_lets_mail_go(world: World) -> None:
    world.servers({"identity": own()})
    policies = world.serve_policy(Mode.ENFORCE)
    site = begin(world)
    # As long as the record is the same nobody fetches anything.
    policies.body = format_policy(Mode.NONE, (), 86400)
    next_attempt(world, site)
    assert (world.taken, len(policies.requests)) == ([], 1)
    world.records[(f"_mta-sts.{DOMAIN}", "TXT")] = ('"v=STSv1; id=2"',)
    next_attempt(world, site)
    assert (world.taken, len(policies.requests)) == ([("h1", True)], 2)


Break = Callable[[World, Site], None]


def dns_of_the_policy(world: World, site: Site) -> None:
    site.names.broken.add(f"_mta-sts.{DOMAIN}")


def dns_of_tlsa(world: World, site: Site) -> None:
    site.names.broken.add(f"_25._tcp.{H1}")


@pytest.mark.parametrize("break_", [dns_of_the_policy, dns_of_tlsa])
def test_mail_waits_for_dns_and_goes_then(world: World, break_: Break) -> None:
    world.servers({"identity": good()})
    site = world.site()
    break_(world, site)
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_attempted()
    for _ in range(3):
        next_attempt(world, site)
        assert "broken" in error(site)
    assert world.first.sessions == 0
    site.names.broken.clear()
    next_attempt(world, site)
    assert world.taken == [("h1", True)]
