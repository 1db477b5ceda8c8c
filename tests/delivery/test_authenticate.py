"""All checks of a message side by side, in bounded time, whatever DNS does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path as FilePath

import gevent
import gevent.event
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mox import metrics
from mox.address import NULL_PATH, Path, parse_address, parse_domain
from mox.config import Config
from mox.delivery import ahead as ahead_module
from mox.delivery import authenticate
from mox.delivery.ahead import Ahead
from mox.delivery.authenticate import Checks, Client
from mox.delivery.headers import Headers
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.content import SignedContent
from mox.mailauth.dkimsign import Signer, sign
from mox.mailauth.results import Authentication, SPFStatus
from mox.store import Store, open_store
from mox.store.spool import MEMORY_LIMIT, Spool
from tests.mailauth.dkimkeys import ED25519, record
from tests.support.zone import ZoneResolver

ZONE: dict[tuple[str, str], list[str]] = {
    ("7.100.51.198.in-addr.arpa", "PTR"): ["mta.sender.example."],
    ("mta.sender.example", "A"): ["198.51.100.7"],
    ("sender.example", "TXT"): ['"v=spf1 ip4:198.51.100.7 -all"'],
    ("k._domainkey.sender.example", "TXT"): [f'"{record(ED25519)}"'],
    ("_dmarc.sender.example", "TXT"): ['"v=DMARC1; p=reject"'],
    ("2.0.0.127.good.example", "A"): ["127.0.0.2"],
    ("7.100.51.198.good.example", "A"): ["127.0.0.4"],
    ("7.100.51.198.dead.example", "A"): ["127.0.0.4"],
    ("2.0.0.127.pass.example", "A"): ["127.0.0.2"],
}
SENDER = parse_domain("sender.example")
CLIENT = Client(
    ip_address("198.51.100.7"),
    parse_domain("mta.sender.example"),
    parse_domain("mail.example.org"),
    Path("a", SENDER),
)
MESSAGE = b"From: a@sender.example\r\nSubject: x\r\n\r\nbody\r\n"


@pytest.fixture
def store(tmp_path: FilePath) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def spool(store: Store, message: bytes = MESSAGE, *, signed: bool = True) -> Spool:
    signer = Signer(
        domain=SENDER,
        selector="k",
        key=ED25519,
        names=("From", "Subject"),
        body=Canonicalization.RELAXED,
    )
    content = SignedContent(message, wire=True)
    result = store.spool()
    if signed:
        result.write(sign([signer], content, parse_address("a@sender.example"), 1.8e9))
    result.write(message)
    return result


def run(store: Store, resolver: ZoneResolver, content: Spool) -> dict[str, str]:
    checks = Checks(resolver)  # type: ignore[arg-type]
    found = checks.authenticate(CLIENT, content, Headers(content.octets()))
    return {
        "iprev": found.iprev.status.value,
        "spf": found.spf.status.value,
        "dkim": ",".join(each.status.value for each in found.dkim),
        "dmarc": found.dmarc.status.value,
        "arc": found.arc.status.value,
    }


ALL_PASS = {"iprev": "pass", "spf": "pass", "dkim": "pass", "dmarc": "pass", "arc": "none"}


def test_all_methods_are_run(store: Store) -> None:
    assert run(store, ZoneResolver(ZONE), spool(store)) == ALL_PASS


def test_large_messages_are_verified_from_their_file(store: Store) -> None:
    message = MESSAGE + b"0123456789abcdef\r\n" * (MEMORY_LIMIT // 16)
    content = spool(store, message)
    assert content.is_large
    assert run(store, ZoneResolver(ZONE), content) == ALL_PASS


def test_a_result_that_is_known_is_not_asked_for_again(store: Store) -> None:
    resolver = ZoneResolver(ZONE)
    checks = Checks(resolver)  # type: ignore[arg-type]
    content = spool(store, signed=False)
    ahead = Ahead(checks, CLIENT)
    known = ahead.spf(), ahead.iprev()
    gevent.sleep(0)
    resolver.queries.clear()
    found = checks.authenticate(CLIENT, content, Headers(content.octets()), ahead)
    assert (found.spf, found.iprev) == known
    assert set(resolver.queries) == {("_dmarc.sender.example", "TXT")}


def test_the_name_of_a_client_is_looked_up_once_a_connection(store: Store) -> None:
    resolver = ZoneResolver(ZONE)
    checks = Checks(resolver)  # type: ignore[arg-type]
    first = Ahead(checks, CLIENT)
    second = Ahead(checks, CLIENT, first)
    assert first.iprev() is second.iprev()
    assert first.spf() == second.spf()
    reverse = ("7.100.51.198.in-addr.arpa", "PTR")
    assert resolver.queries.count(reverse) == 1
    third = Ahead(checks, CLIENT, second)
    assert third.iprev() is first.iprev()


@pytest.mark.parametrize("why", ["trouble", "time"])
def test_a_name_that_says_nothing_any_more_is_looked_up_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    reverse = ("7.100.51.198.in-addr.arpa", "PTR")
    zone = dict(ZONE)
    if why == "trouble":
        zone[reverse] = ["TIMEOUT"]
    else:
        monkeypatch.setattr(ahead_module, "NAME_S", -1.0)
    resolver = ZoneResolver(zone)
    checks = Checks(resolver)  # type: ignore[arg-type]
    first = Ahead(checks, CLIENT)
    first.iprev()
    assert Ahead(checks, CLIENT, first).iprev() is not first.iprev()
    assert resolver.queries.count(reverse) == 2


@pytest.mark.parametrize("silent", ["sender.example", "_dmarc.sender.example"])
def test_questions_that_nobody_waits_for_any_more_end(store: Store, silent: str) -> None:
    never = gevent.event.Event()
    ended = gevent.event.Event()

    def before(name: str, rdtype: str) -> None:
        if name == silent:
            try:
                never.wait()
            finally:
                ended.set()

    checks = Checks(ZoneResolver(ZONE, before=before))  # type: ignore[arg-type]
    ahead = Ahead(checks, CLIENT)
    ahead.iprev()
    gevent.sleep(0)
    ahead.cancel()
    assert ended.wait(5)


def test_the_methods_wait_at_the_same_time(store: Store) -> None:
    """iprev, SPF and DKIM all have a question out before any of them gets an answer."""
    together = gevent.event.Event()
    first = {"7.100.51.198.in-addr.arpa", "sender.example", "k._domainkey.sender.example"}
    waiting: set[str] = set()

    def before(name: str, rdtype: str) -> None:
        if name in first:
            waiting.add(name)
            if waiting == first:
                together.set()
            assert together.wait(5), f"only {waiting}"

    assert run(store, ZoneResolver(ZONE, before=before), spool(store)) == ALL_PASS


@pytest.mark.parametrize(
    ("silent", "expected"),
    [
        ({"7.100.51.198.in-addr.arpa"}, ALL_PASS | {"iprev": "temperror"}),
        # What one method misses the other makes up for.
        ({"sender.example"}, ALL_PASS | {"spf": "temperror"}),
        ({"k._domainkey.sender.example"}, ALL_PASS | {"dkim": "temperror"}),
        (
            {"sender.example", "k._domainkey.sender.example"},
            ALL_PASS | {"spf": "temperror", "dkim": "temperror", "dmarc": "temperror"},
        ),
        ({"_dmarc.sender.example"}, ALL_PASS | {"dmarc": "temperror"}),
    ],
)
def test_who_never_answers_is_given_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, silent: set[str], expected: dict[str, str]
) -> None:
    monkeypatch.setattr(authenticate, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(authenticate, "DMARC_TIMEOUT_S", 0.05)
    never = gevent.event.Event()

    def before(name: str, rdtype: str) -> None:
        if name in silent:
            never.wait()

    assert run(store, ZoneResolver(ZONE, before=before), spool(store)) == expected


def test_block_lists_are_asked_in_order_and_dead_ones_skipped(store: Store) -> None:
    resolver = ZoneResolver(ZONE)
    checks = Checks(resolver)  # type: ignore[arg-type]
    zones = tuple(map(parse_domain, ("pass.example", "dead.example", "good.example")))
    found = checks.blocklisted(zones, CLIENT.remote_ip)
    assert found is not None
    assert found.zone.ascii == "good.example"
    assert ("7.100.51.198.dead.example", "A") not in resolver.queries
    assert checks.blocklisted(zones[:2], CLIENT.remote_ip) is None


def test_programs_under_test_pass_without_questions(store: Store, config: Config) -> None:
    resolver = ZoneResolver(ZONE)
    checks = Checks(resolver)  # type: ignore[arg-type]

    def under_test(client: Client, config: Config = config) -> Authentication:
        return checks.of_program_under_test(client, config, spool(store))

    found = under_test(CLIENT)
    assert [each.status.value for each in found.dkim] == ["permerror"]
    assert (found.iprev.status.value, found.spf.status.value) == ("pass", "pass")
    assert found.spf.domain == SENDER
    helo = under_test(Client(CLIENT.remote_ip, CLIENT.helo, CLIENT.hostname, NULL_PATH))
    assert (helo.spf.identity, helo.spf.domain) == ("helo", CLIENT.helo)
    unnamed = Client(CLIENT.remote_ip, CLIENT.remote_ip, CLIENT.hostname, NULL_PATH)
    assert under_test(unnamed).spf.status is SPFStatus.NONE
    for key, status in ((ED25519, "pass"), (Ed25519PrivateKey.generate(), "fail")):
        own = Signer(domain=SENDER, selector="K", key=key, names=("From",))
        signing = replace(config, signers={SENDER.ascii: (own,)})
        assert [each.status.value for each in under_test(CLIENT, signing).dkim] == [status]
    assert resolver.queries == []


def test_results_are_counted(store: Store) -> None:
    names = (
        "mox_spf_verify_duration_seconds_count",
        "mox_iprev_lookup_total",
        "mox_dnsbl_lookup_duration_seconds_count",
    )
    before = [metrics.total(name) for name in names]
    resolver = ZoneResolver(ZONE)
    run(store, resolver, spool(store))
    checks = Checks(resolver)  # type: ignore[arg-type]
    zones = [parse_domain("pass.example"), parse_domain("good.example")]
    assert checks.blocklisted(zones, CLIENT.remote_ip) is not None
    assert [metrics.total(name) for name in names] == [before[0] + 1, before[1] + 1, before[2] + 2]
