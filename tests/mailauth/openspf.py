"""Reads the openspf.org test suite for RFC 7208 (data/rfc7208-tests.yml)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mox.dns.record import Record
from tests.support.dnsrecords import record_of, txt_of

SUITE = Path(__file__).parent / "data" / "rfc7208-tests.yml"

Zone = dict[tuple[str, str], list[Any]]


@dataclass(frozen=True)
class Case:
    name: str
    zone: Zone
    helo: str
    host: str
    mail_from: str
    results: tuple[str, ...]
    explanation: str | None


def cases() -> Iterator[Case]:
    with SUITE.open(encoding="utf-8") as file:
        for scenario in yaml.safe_load_all(file):
            zone = _zone(scenario["zonedata"])
            for name, test in scenario["tests"].items():
                result = test["result"]
                yield Case(
                    name,
                    zone,
                    test["helo"],
                    test["host"],
                    test["mailfrom"],
                    (result,) if isinstance(result, str) else tuple(result),
                    test.get("explanation"),
                )


def _zone(data: dict[str, list[Any]]) -> Zone:
    zone: Zone = {}
    for owner, entries in data.items():
        name = owner.lower()
        zone.setdefault((name, "ANY"), [])
        given = [next(iter(entry.items())) for entry in entries if isinstance(entry, dict)]
        if "TIMEOUT" in entries:
            zone[name, "TIMEOUT"] = []
        # As the suite's head says: SPF records stand for TXT records where there are none.
        if not any(rdtype == "TXT" for rdtype, _ in given):
            given += [("TXT", value) for rdtype, value in given if rdtype == "SPF"]
        for rdtype, value in given:
            if value != "NONE" and rdtype != "SPF":
                zone.setdefault((name, rdtype), []).append(_record(rdtype, value))
    return zone


def _record(rdtype: str, value: Any) -> Record | str:
    if value == "TIMEOUT":
        return "TIMEOUT"
    if rdtype == "TXT":
        strings = [value] if isinstance(value, str) else value
        octets = [string.encode("utf-8") for string in strings]
        parts = [each[i : i + 255] for each in octets for i in range(0, len(each) or 1, 255)]
        return txt_of(parts or [b""])
    if rdtype == "CNAME":
        return str(value)
    text = f"{value[0]} {value[1] or '.'}" if rdtype == "MX" else str(value)
    if rdtype in ("MX", "PTR") and not text.endswith("."):
        text += "."
    return record_of(rdtype, text)
