"""Our own addresses in block lists: what is looked up, when, and what is told."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from mox import logfmt
from mox.config import Config, load
from mox.dns import Resolver
from mox.keeper import blocklists
from mox.keeper.blocklists import BlocklistMonitor, watched_zones
from tests.config.texts import DYNAMIC, STATIC
from tests.support.fakedns import FakeDNS

OWN = "8.8.4.4"
REVERSED = "4.4.8.8"


def configured(
    directory: Path,
    *,
    ips: str = OWN,
    used: tuple[str, ...] = (),
    watched: tuple[str, ...] = (),
    name: str = "public",
) -> Config:
    static = STATIC.replace("local:", f"{name}:").replace("127.0.0.1", ips)
    if used:
        zones = "".join(f"\t\t\t\t- {zone}\n" for zone in used)
        before = "\t\t\tNoSTARTTLS: true\n"
        static = static.replace(before, f"{before}\t\t\tDNSBLs:\n{zones}")
    dynamic = DYNAMIC
    if watched:
        dynamic += "MonitorDNSBLs:\n" + "".join(f"\t- {zone}\n" for zone in watched)
    (directory / "mox.conf").write_text(static)
    (directory / "domains.conf").write_text(dynamic)
    return load(directory / "mox.conf", check_files=False)


def healthy(*zones: str) -> dict[tuple[str, str], list[str]]:
    return {(f"2.0.0.127.{zone}", "A"): ["127.0.0.2"] for zone in zones}


class Site:
    """A monitor with its surroundings in the hands of the test."""

    def __init__(self, server: FakeDNS) -> None:
        self.server = server
        self.now = 0.0
        self.connections = 0.0
        self.pauses: list[float] = []
        self.monitor = BlocklistMonitor(
            Resolver(server=server.server, clock=lambda: self.now),
            interfaces=lambda: [ip_address("8.8.8.8"), ip_address("10.0.0.1")],
            connections=lambda: self.connections,
            pause=self.pauses.append,
            clock=lambda: self.now,
        )

    def turn(self, config: Config) -> list[str]:
        """Take a turn; returns the names that were looked up."""
        self.server.queries.clear()
        self.monitor.turn(config)
        return [name for name, rdtype in self.server.queries if rdtype == "A"]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    lines = io.StringIO()
    logfmt.configure("info", stream=lines)
    yield lines
    logfmt.configure()


@pytest.fixture
def site(log: io.StringIO) -> Iterator[Site]:
    with FakeDNS(healthy("one.example", "two.example")) as server:
        yield Site(server)


def success(zone: str, ip: str = OWN) -> float:
    """The metric's value in this process."""
    return blocklists._SUCCESS.labels(zone, ip)._value.get()


def test_zones_are_those_of_the_public_listener_and_those_to_watch(tmp_path: Path) -> None:
    names = ("one.example", "Two.example")
    config = configured(tmp_path, used=names, watched=("two.example", "three.example"))
    zones = [zone.ascii for zone in watched_zones(config)]
    assert zones == ["one.example", "two.example", "three.example"]
    other = configured(tmp_path, used=names, watched=("three.example",), name="other")
    assert [zone.ascii for zone in watched_zones(other)] == ["three.example"]


def test_address_that_is_not_listed_is_a_success(site: Site, tmp_path: Path) -> None:
    config = configured(tmp_path, used=("one.example",), watched=("two.example",))
    names = site.turn(config)
    assert [f"{REVERSED}.one.example", f"{REVERSED}.two.example"] == [
        name for name in names if name.startswith(REVERSED)
    ]
    assert (success("one.example"), success("two.example")) == (1, 1)
    assert site.pauses == [1.0]


def test_listing_is_told_until_it_ends(site: Site, tmp_path: Path, log: io.StringIO) -> None:
    config = configured(tmp_path, watched=("one.example",))
    site.server.zone[(f"{REVERSED}.one.example", "A")] = ["127.0.0.4"]
    site.server.zone[(f"{REVERSED}.one.example", "TXT")] = ['"see https://one.example/"']
    site.turn(config)
    assert success("one.example") == 0
    assert log.getvalue() == (
        'l=error m="own address is on a block list: others may refuse our mail" pkg=dnsbl '
        'zone=one.example ip=8.8.4.4 codes=127.0.0.4 explanation="see https://one.example/"\n'
    )
    del site.server.zone[(f"{REVERSED}.one.example", "A")]
    site.now += 4 * 3600
    site.turn(config)
    assert success("one.example") == 1
    assert 'm="own address is not on the block list any more"' in log.getvalue()


@pytest.mark.parametrize("answer", [["SERVFAIL"], ["127.255.255.254"]])
def test_answer_that_says_nothing_is_not_known(
    site: Site, tmp_path: Path, log: io.StringIO, answer: list[str]
) -> None:
    site.server.zone[(f"{REVERSED}.one.example", "A")] = answer
    site.turn(configured(tmp_path, watched=("one.example",)))
    assert success("one.example") == -1
    assert 'l=warn m="looking for own address in block list"' in log.getvalue()


def test_zone_that_does_not_work_is_not_asked(site: Site, tmp_path: Path, log: io.StringIO) -> None:
    site.server.zone[("1.0.0.127.one.example", "A")] = ["127.0.0.2"]
    names = site.turn(configured(tmp_path, watched=("one.example",)))
    assert names == ["1.0.0.127.one.example"]
    assert success("one.example") == -1
    assert "the zone lists everything" in log.getvalue()


def test_turn_looks_again_after_connections_or_hours(site: Site, tmp_path: Path) -> None:
    config = configured(tmp_path, watched=("one.example",))
    assert site.turn(config)
    site.now, site.connections = 300, 99
    assert not site.turn(config)
    site.now, site.connections = 600, 100
    assert site.turn(config)
    site.now, site.connections = 600 + 3 * 3600 - 1, 150
    assert not site.turn(config)
    site.now += 1
    assert site.turn(config)


def test_new_zone_is_looked_at_in_the_next_turn(site: Site, tmp_path: Path) -> None:
    site.turn(configured(tmp_path, watched=("one.example",)))
    site.now += 300
    assert site.turn(configured(tmp_path, watched=("one.example", "two.example")))
    assert success("two.example") == 1


def test_zone_that_is_not_watched_any_more_has_no_value(site: Site, tmp_path: Path) -> None:
    site.server.zone[(f"{REVERSED}.one.example", "A")] = ["127.0.0.4"]
    site.turn(configured(tmp_path, watched=("one.example",)))
    assert success("one.example") == 0
    site.turn(configured(tmp_path))
    assert math.isnan(success("one.example"))


def test_nothing_to_watch_asks_and_counts_nothing(site: Site, tmp_path: Path) -> None:
    def counted() -> float:
        raise AssertionError("read the metrics of all processes")

    site.monitor._count = counted
    assert site.turn(configured(tmp_path)) == []
    assert site.turn(configured(tmp_path, ips="127.0.0.1", watched=("one.example",))) == []


def test_machine_addresses_stand_for_all(site: Site, tmp_path: Path) -> None:
    names = site.turn(configured(tmp_path, ips="0.0.0.0", watched=("one.example",)))
    assert "8.8.8.8.one.example" in names
    assert not any(name.startswith("1.0.0.10.") for name in names)
