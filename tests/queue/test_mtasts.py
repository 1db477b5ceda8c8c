"""MTA-STS: domains with a policy (RFC 8461), also together with DANE."""

from __future__ import annotations

import pytest
from gevent.event import Event

from mox.store import sts_policies, tls_results
from mox.tlsio.identity import Identity
from mox.tlspolicy.mtasts import Mode
from tests.queue.tlsworld import (
    DOMAIN,
    H1,
    H2,
    STRANGER,
    World,
    counts,
    details,
    ee,
    error,
    good,
    old,
    own,
    wrong,
)
from tests.tlsio.identities import identity


def test_enforce_takes_the_right_certificate(world: World) -> None:
    world.servers({"identity": good()})
    policies = world.serve_policy(Mode.ENFORCE)
    site = world.send()
    assert world.taken == [("h1", True)]
    assert policies.requests[0].startswith("GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
    assert f"Host: mta-sts.{DOMAIN}\r\n" in policies.requests[0]
    results = world.results()
    assert counts(results[DOMAIN]) == ("sts", 1, 0)
    assert results[DOMAIN].results[0].mx_hosts == (H1, H2)
    cached = sts_policies.get(site.ctx.store, DOMAIN)
    assert cached is not None
    assert (cached.record_id, cached.mode, cached.mx) == ("1", "enforce", (H1, H2))
    assert cached.valid_end == world.clock.now + 7 * 86400


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        ({"identity": old()}, "certificate-expired"),
        ({"identity": wrong()}, "certificate-host-mismatch"),
        ({"identity": own()}, "certificate-not-trusted depth-zero-self-signed-cert"),
        (
            {"script": {"STARTTLS": ["502 5.5.1 what?"]}},
            "starttls-not-supported smtp-starttls-reply-code-502",
        ),
        ({"broken_tls": True}, "validation-failure tls-record-header-error"),
    ],
)
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.TESTING])
def test_failures_under_a_policy(
    world: World, mode: Mode, server: dict[str, object], problem: str
) -> None:
    world.servers(server)
    world.serve_policy(mode)
    site = world.send()
    results = world.results()
    found = details(results[DOMAIN])
    if mode is Mode.ENFORCE:
        assert world.taken == []
        assert error(site)
        assert counts(results[DOMAIN]) == ("sts", 0, 1)
        assert problem in found
    else:
        assert len(world.taken) == 1
        # Testing asks for no TLS: what is not offered is not tried.
        assert problem in found or found == ["starttls-not-supported"]


def test_enforce_goes_to_hosts_of_the_policy_only(world: World) -> None:
    world.servers({"identity": good()}, {"identity": good(H2)})
    world.serve_policy(Mode.ENFORCE, H2)
    world.send()
    assert world.taken == [("h2", True)]
    assert world.first.sessions == 0
    results = world.results(3)
    assert "validation-failure mtasts-policy-mx-mismatch" in details(results[DOMAIN])
    assert counts(results[DOMAIN]) == ("sts", 1, 1)


def test_more_connections_are_made_to_hosts_of_the_policy(world: World) -> None:
    world.servers({"identity": good()}, {"identity": good(H2)})
    world.serve_policy(Mode.ENFORCE, H2)
    site = world.site()
    release = Event()

    def hold(line: str) -> None:
        # The first message shows that there is somebody: then there may be more connections.
        if line == "DATA" and world.second.mails:
            release.wait()

    world.second.on_line = hold
    for _ in range(6):
        site.submit(f"you@{DOMAIN}")
    site.start()
    site.until(lambda: world.second.open_sessions >= 2)
    release.set()
    site.until_empty()
    assert world.taken == [("h2", True)] * 6
    assert world.first.sessions == 0


def test_testing_goes_to_other_hosts_and_tells(world: World) -> None:
    world.servers({"identity": good()})
    world.serve_policy(Mode.TESTING, H2)
    world.send()
    assert world.taken == [("h1", True)]
    results = world.results()
    assert details(results[DOMAIN]) == ["validation-failure mtasts-policy-mx-mismatch"]
    assert counts(results[DOMAIN]) == ("sts", 1, 0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "404 Not Found"}, "sts-policy-fetch-error no-policy-served"),
        ({"status": "500 Oops"}, "sts-policy-fetch-error cannot-fetch-policy"),
        (
            {"raw": b"HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.example/\r\n\r\n"},
            "sts-policy-fetch-error cannot-fetch-policy",
        ),
        ({"raw": b"what?\r\n\r\n"}, "sts-policy-fetch-error cannot-fetch-policy"),
        ({"raw": b"HTTP/1.1 100 Continue\r\n\r\n" * 20000}, "sts-policy-fetch-error cannot-fetch"),
        ({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"},
         "sts-policy-fetch-error cannot-fetch-policy"),
        ({"body": "<html>"}, "sts-policy-invalid policy-syntax-error"),
        ({"body": "x" * 70000}, "sts-policy-invalid policy-too-large"),
        ({"identity": identity("other.example", signed=True)},
         "sts-webpki-invalid certificate-host-mismatch"),
        ({"identity": identity(f"mta-sts.{DOMAIN}", signed=True, expired=True)},
         "sts-webpki-invalid certificate-expired"),
        ({"identity": identity(f"mta-sts.{DOMAIN}")},
         "sts-webpki-invalid certificate-not-trusted+depth-zero-self-signed-cert"),
    ],
)  # fmt: skip
def test_policy_that_cannot_be_had_is_told(
    world: World, change: dict[str, object], problem: str
) -> None:
    world.servers({"identity": own()})
    policies = world.serve_policy(Mode.ENFORCE)
    for name, value in change.items():
        setattr(policies, name, value)
    site = world.send()
    assert world.taken == [("h1", True)]
    results = world.results()
    assert details(results[DOMAIN])[0].startswith(problem)
    cached = sts_policies.get(site.ctx.store, DOMAIN)
    assert cached is not None
    assert cached.backoff


def test_web_server_that_is_silent_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mox.tlspolicy.stscache.FETCH_TIMEOUT_S", 0.2)
    world.servers({"identity": good()})
    world.serve_policy(Mode.ENFORCE).stall = True
    world.send()
    assert world.taken == [("h1", True)]
    assert details(world.results()[DOMAIN]) == ["sts-policy-fetch-error cannot-fetch-policy"]


def test_record_lookup_that_fails_puts_mail_off(world: World) -> None:
    world.servers({"identity": good()})
    site = world.site()
    site.names.broken.add(f"_mta-sts.{DOMAIN}")
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_attempted()
    assert world.taken == []
    assert "MTA-STS" in error(site)


def test_cached_policy_protects_when_dns_and_web_server_fail(world: World) -> None:
    world.servers({"identity": good()})
    policies = world.serve_policy(Mode.ENFORCE)
    site = world.send()
    assert len(world.taken) == 1
    site.until(lambda: sts_policies.get(site.ctx.store, DOMAIN))
    policies.status = "404 Not Found"
    world.first.identity = own()  # somebody else has taken over the host
    site.until(lambda: not world.first.open_sessions)
    for record in ((), ('"v=STSv1; id=2"',)):
        world.clock.now += 86400
        world.records[(f"_mta-sts.{DOMAIN}", "TXT")] = record
        if not record:
            del world.records[(f"_mta-sts.{DOMAIN}", "TXT")]
        site.submit(f"you@{DOMAIN}")
        site.until_attempted()
    assert len(world.taken) == 1
    site.ctx.store.finish_background()
    found = [
        detail.reason
        for record in tls_results.of_day(site.ctx.store, "")
        for result in record.results
        for detail in result.details
    ]
    assert "no-record+fallback-to-cached-policy" in found
    assert "no-policy-served+fallback-to-cached-policy" in found


@pytest.mark.parametrize(
    ("cert", "record", "taken"),
    [
        (good(), ee(good()), [("h1", True)]),
        (good(), STRANGER, []),
        (own(), ee(own()), []),
    ],
)
def test_dane_and_enforce_must_both_pass(
    world: World, cert: Identity, record: str, taken: list[tuple[str, bool]]
) -> None:
    world.servers({"identity": cert})
    world.serve_policy(Mode.ENFORCE)
    world.tlsa(H1, record)
    world.send()
    assert world.taken == taken
