"""DANE: hosts with TLSA records (RFC 7672)."""

from __future__ import annotations

import pytest

from mox.dns.answer import ExtendedError
from mox.tlsio.identity import Identity
from tests.queue.tlsworld import (
    DOMAIN,
    H1,
    H2,
    STRANGER,
    UNUSABLE,
    World,
    counts,
    details,
    ee,
    error,
    good,
    old,
    own,
    ta,
    wrong,
)
from tests.tlsio.identities import ec_key, identity


@pytest.mark.parametrize(
    ("cert", "records", "domain_problems"),
    [
        (own(), [ee(own())], 1),
        (old(), [ee(old())], 1),
        (wrong(), [ee(wrong())], 1),
        (good(), [ta(good())], 0),
        (good(), [STRANGER, ee(good()), UNUSABLE], 0),
    ],
)
def test_dane_is_enough(
    world: World, cert: Identity, records: list[str], domain_problems: int
) -> None:
    world.servers({"identity": cert})
    world.tlsa(H1, *records)
    world.send()
    assert world.taken == [("h1", True)]
    results = world.results()
    assert counts(results[H1]) == ("tlsa", 1, 0)
    assert results[H1].is_host
    assert results[H1].results[0].policy_string == tuple(sorted(records))
    assert details(results[H1]) == []
    # What the public authorities would have said is told with the domain.
    assert bool(details(results[DOMAIN])) is bool(domain_problems)


@pytest.mark.parametrize(
    ("server", "records", "problem"),
    [
        ({"identity": good()}, [STRANGER], "validation-failure dane-no-match"),
        (
            {"identity": wrong()},
            [ta(wrong())],
            "validation-failure dane-no-match+certificate-is-not",
        ),
        ({"identity": old()}, [ta(old())], "validation-failure dane-no-match+certificate-has-exp"),
        ({}, [ee(good())], "starttls-not-supported smtp-starttls-reply-code-"),
        ({"broken_tls": True}, [ee(good())], "validation-failure tls-record-header-error"),
    ],
)
def test_dane_that_fails_is_not_delivered_in_clear(
    world: World, server: dict[str, object], records: list[str], problem: str
) -> None:
    script = {} if server else {"STARTTLS": ["502 5.5.1 what?"]}
    world.servers({"script": script, **server})
    world.tlsa(H1, *records)
    site = world.send()
    assert world.taken == []
    assert error(site)
    results = world.results()
    assert counts(results[H1]) == ("tlsa", 0, 1)
    assert details(results[H1])[0].startswith(problem)
    assert counts(results[DOMAIN]) == ("no-policy-found", 0, 1)


def test_next_host_is_tried_when_dane_fails(world: World) -> None:
    world.servers({"identity": good()}, {"identity": own(H2)})
    world.tlsa(H1, STRANGER)
    world.tlsa(H2, ee(own(H2)))
    world.send()
    assert world.taken == [("h2", True)]
    results = world.results(3)
    assert counts(results[H1]) == ("tlsa", 0, 1)
    assert counts(results[H2]) == ("tlsa", 1, 0)
    [of_domain] = results[DOMAIN].results
    assert (of_domain.success, of_domain.failure) == (1, 1)


def test_records_that_cannot_be_used_ask_for_tls_only(world: World) -> None:
    world.servers({"identity": own()})
    world.tlsa(H1, UNUSABLE)
    world.send()
    assert world.taken == [("h1", True)]
    results = world.results()
    assert details(results[H1]) == ["tlsa-invalid all-unusable-records+ignored"]


def test_records_that_cannot_be_used_forbid_plain_text(world: World) -> None:
    world.servers({"script": {"STARTTLS": ["502 no"]}})
    world.tlsa(H1, UNUSABLE)
    world.send()
    assert world.taken == []


@pytest.mark.parametrize("insecure", [DOMAIN, H1, f"_25._tcp.{H1}"])
def test_without_dnssec_there_is_no_dane(world: World, insecure: str) -> None:
    world.servers({"identity": good()})
    world.tlsa(H1, STRANGER)
    site = world.site()
    site.names.insecure.add(insecure)
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_empty()
    assert world.taken == [("h1", True)]
    asked = (f"_25._tcp.{H1}", "TLSA") in site.names.queries
    assert asked is insecure.startswith("_25")
    assert counts(world.results()[H1]) == ("no-policy-found", 1, 0)


def test_tlsa_lookup_that_fails_puts_the_host_off(world: World) -> None:
    world.servers({"identity": good()}, {"identity": good(H2)})
    site = world.site()
    site.names.broken.add(f"_25._tcp.{H1}")
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_empty()
    assert world.taken == [("h2", True)]
    assert world.first.sessions == 0
    results = world.results(3)
    assert counts(results[H1]) == ("tlsa", 0, 1)
    assert details(results[H1]) == ["tlsa-invalid dns-lookup"]


@pytest.mark.parametrize(
    ("broken", "where", "problem"),
    [
        (f"_25._tcp.{H1}", H1, "dnssec-invalid dns-extended-error-6-DNSSEC-Bogus"),
        (H1, H1, "validation-failure dns-extended-error-6-DNSSEC-Bogus"),
        (H1, DOMAIN, "validation-failure dns-extended-error-6-DNSSEC-Bogus"),
        (DOMAIN, DOMAIN, "validation-failure dns-extended-error-6-DNSSEC-Bogus"),
    ],
)
def test_records_that_do_not_validate_are_told(
    world: World, broken: str, where: str, problem: str
) -> None:
    world.servers({"identity": good()})
    site = world.site()
    site.names.broken.add(broken)
    site.names.extended_error = ExtendedError(6)
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_attempted()
    assert world.taken == []
    record = world.results(1 if broken == DOMAIN else 2)[where]
    assert details(record) == [problem]
    assert counts(record)[1:] == (0, 1)


def test_alias_has_its_records_at_the_end_of_it(world: World) -> None:
    world.servers({"identity": identity("real.example", key=ec_key(8))})
    world.records[(H1, "CNAME")] = ("real.example.",)
    world.records[("real.example", "A")] = world.records.pop((H1, "A"))
    world.tlsa("real.example", ee(identity("real.example", key=ec_key(8))))
    world.tlsa(H1, STRANGER)
    world.send()
    assert world.taken == [("h1", True)]
    assert counts(world.results()["real.example"]) == ("tlsa", 1, 0)


def test_signed_alias_into_an_unsigned_zone_has_records_of_its_own(world: World) -> None:
    world.servers({"identity": own()})
    world.records[(H1, "CNAME")] = ("real.example.",)
    world.records[("real.example", "A")] = world.records.pop((H1, "A"))
    world.tlsa("real.example", STRANGER)
    world.tlsa(H1, ee(own()))
    site = world.site()
    site.names.insecure.add("real.example")
    site.submit(f"you@{DOMAIN}")
    site.start()
    site.until_empty()
    assert world.taken == [("h1", True)]
    assert counts(world.results()[H1]) == ("tlsa", 1, 0)


def test_domain_without_mx_is_its_own_host(world: World) -> None:
    world.servers({"identity": own(DOMAIN)})
    world.records = {(DOMAIN, "A"): ("127.0.0.1",)}
    world.tlsa(DOMAIN, ee(own(DOMAIN)))
    world.send()
    assert world.taken == [("h1", True)]
    [record] = world.results(1).values()
    assert (record.policy_domain, counts(record)) == (DOMAIN, ("tlsa", 1, 0))
