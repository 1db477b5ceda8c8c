"""TLS with servers whose domains have no policy, and what is kept about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mox.store import open_store, recipient_tls, tls_results
from mox.tlsio.identity import Identity
from tests.queue.peer import DROP
from tests.queue.tlsworld import (
    DOMAIN,
    H1,
    REQUIRETLS,
    World,
    counts,
    details,
    good,
    old,
    own,
    wrong,
)


@pytest.mark.parametrize(
    ("cert", "problems"),
    [
        (good, []),
        (own, ["certificate-not-trusted depth-zero-self-signed-cert"]),
        (old, ["certificate-expired"]),
        (wrong, ["certificate-host-mismatch"]),
    ],
)
def test_any_certificate_will_do_and_is_told(
    world: World, cert: Callable[[], Identity], problems: list[str]
) -> None:
    world.servers({"identity": cert()})
    world.send()
    assert world.taken == [("h1", True)]
    results = world.results()
    assert set(results) == {DOMAIN, H1}
    assert counts(results[DOMAIN]) == ("no-policy-found", 1, 0)
    assert counts(results[H1]) == ("no-policy-found", 1, 0)
    assert set(problems) <= set(details(results[DOMAIN]))
    assert details(results[H1]) == []
    assert results[DOMAIN].send
    [detail] = results[DOMAIN].results[0].details[:1] or [None]
    if detail is not None:
        assert (detail.mx_hostname, detail.mx_helo) == (H1, "h1 ESMTP")
        assert (detail.receiving_ip, detail.sending_ip) == ("127.0.0.1", "127.0.0.1")


def test_no_starttls_is_told(world: World) -> None:
    world.servers({})
    world.send()
    assert world.taken == [("h1", False)]
    results = world.results()
    assert counts(results[DOMAIN]) == ("no-policy-found", 0, 0)
    assert details(results[DOMAIN]) == ["starttls-not-supported"]


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        ({"broken_tls": True}, "validation-failure tls-record-header-error"),
        (
            {"identity": good(), "script": {"STARTTLS": ["454 4.3.0 not now"]}},
            "starttls-not-supported smtp-starttls-reply-code-454",
        ),
        (
            {"identity": good(), "script": {"STARTTLS": [DROP]}},
            "validation-failure connection-closed-during-handshake",
        ),
    ],
)
def test_broken_tls_is_left_out_and_told_once(
    world: World, server: dict[str, object], problem: str
) -> None:
    world.servers(server)
    world.send()
    assert world.taken == [("h1", False)]
    results = world.results()
    assert counts(results[DOMAIN]) == ("no-policy-found", 0, 1)
    assert details(results[DOMAIN]) == [problem]
    assert details(results[H1]) == [problem]


def test_refusal_after_the_handshake_is_one_of_tls(world: World) -> None:
    # In TLS 1.3 a client hears of it when it thinks that all is well.
    world.servers({"identity": good(), "demands_certificate": True})
    world.send()
    assert world.taken == [("h1", False)]
    results = world.results()
    assert counts(results[DOMAIN]) == ("no-policy-found", 0, 1)
    problem = "validation-failure tls-remote-alert-116-certificate-required"
    assert details(results[DOMAIN]) == [problem]


def test_results_need_not_be_kept(world: World) -> None:
    world.servers({"identity": good()})
    site = world.site(static="NoOutgoingTLSReports: true\n")
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_empty()
    site.ctx.store.finish_background()
    assert tls_results.of_day(site.ctx.store, "") == []


def test_sessions_count_and_not_messages(world: World) -> None:
    world.servers({"identity": good()})
    site = world.site()
    for _ in range(5):
        site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_empty()
    assert len(world.taken) == 5
    # All couriers have handshakes behind them when the last message is gone.
    site.until(lambda: world.results()[DOMAIN].results[0].success == world.first.handshakes)


def test_results_are_written_before_the_process_ends(world: World, tmp_path: Path) -> None:
    world.servers({"identity": good()})
    site = world.site()
    site.services.results.delay_s = 3600.0
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_empty()
    assert tls_results.of_day(site.ctx.store, "") == []
    site.stop()
    store = open_store(tmp_path / "data")
    assert {record.policy_domain for record in tls_results.of_day(store, "")} == {DOMAIN, H1}
    store.close()


@pytest.mark.parametrize(
    ("changes", "cert", "send"),
    [
        ({}, good(), True),
        ({"is_tls_report": True, "require_tls": False}, own(), False),
        ({"is_dmarc_report": True}, good(), False),
        ({"is_dmarc_report": True}, own(), True),
    ],
)
def test_deliveries_of_reports_ask_for_no_report(
    world: World, changes: dict[str, object], cert: Identity, send: bool
) -> None:
    world.servers({"identity": cert})
    world.send(**changes)
    assert len(world.taken) == 1
    assert world.results()[DOMAIN].send is send


def test_results_of_days_are_apart_and_go_after_three(world: World) -> None:
    world.servers({"identity": good()})
    site = world.send()
    first = world.results()[DOMAIN]
    world.clock.now += 86400
    site.until(lambda: not world.first.open_sessions)
    site.submit(f"you@{DOMAIN}")
    site.until_empty()
    store = site.ctx.store
    site.until(lambda: len(tls_results.of_day(store, "")) == 4)
    assert tls_results.get(store, first.day, DOMAIN, DOMAIN) == first
    removed = store.write(lambda txn: tls_results.expire(txn, world.clock.now + 3 * 86400))
    assert removed == 2
    assert {record.day for record in tls_results.of_day(store, "")} == {
        tls_results.day_of(world.clock.now)
    }


@pytest.mark.parametrize(
    ("server", "starttls", "requiretls"),
    [
        ({"identity": good(), **REQUIRETLS}, True, True),
        ({"identity": good()}, True, False),
        ({}, False, False),
    ],
)
def test_account_remembers_what_a_domain_can_do(
    world: World, server: dict[str, object], starttls: bool, requiretls: bool
) -> None:
    world.servers(server)
    site = world.site()
    account = site.ctx.store.account("mjl")
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until(lambda: recipient_tls.get(site.ctx.store, account.id, DOMAIN))
    known = recipient_tls.get(site.ctx.store, account.id, DOMAIN)
    assert known == recipient_tls.RecipientTLS(world.clock.now, starttls, requiretls)


def test_address_literals_have_no_policies(world: World) -> None:
    world.servers({"identity": own()})
    site = world.site()
    site.submit("you@[127.0.0.1]")
    site.start()
    site.until_empty()
    assert world.taken == [("h1", True)]
    assert site.names.queries == []
    site.ctx.store.finish_background()
    assert tls_results.of_day(site.ctx.store, "") == []
