"""The Received-SPF field: what SPF found, for people and filters. RFC 7208 §9.1."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mox.address import Domain, Path, format_domain
from mox.mailauth.iprev import unmapped
from mox.mailauth.results import SPFResult
from mox.message.trace import FoldedField

_MAX_VALUE: Final = 300
# RFC 7208 §9.1: key-value-pair values are a dot-atom or a quoted-string.
_DOT_ATOM: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++)*+"
)
_COMMENT_SPECIALS: Final = re.compile(r"([()\\])")


def received_spf(
    result: SPFResult,
    *,
    remote_ip: IPv4Address | IPv6Address,
    mail_from: Path,
    helo: Domain | IPv4Address | IPv6Address,
    hostname: Domain,
    smtputf8: bool = False,
) -> bytes:
    """Return the field in wire form. U-labels and such localparts only with `smtputf8`."""
    ip = unmapped(remote_ip)
    field = FoldedField("Received-SPF").add(result.status.value)
    if result.domain is not None:
        why = ", from ehlo because mailfrom is empty" if result.identity == "helo" else ""
        comment = f"(domain {_comment(result.domain.pack(smtputf8))}{why})"
        field.add(*comment.split(" "))
    field.add(f"client-ip={_value(str(ip))};")
    if not mail_from.is_null:
        field.add(f"envelope-from={_value(mail_from.pack(smtputf8))};")
    field.add(f"helo={_value(format_domain(helo, smtputf8))};")
    if result.problem:
        field.add(f"problem={_value(result.problem)};")
    if result.mechanism:
        field.add(f"mechanism={_value(result.mechanism)};")
    field.add(f"receiver={_value(hostname.pack(smtputf8))};")
    return bytes(field.add(f"identity={result.identity or _tried(mail_from)}"))


def _tried(mail_from: Path) -> str:
    return "helo" if mail_from.is_null else "mailfrom"


def _value(text: str) -> str:
    text = text[:_MAX_VALUE]
    if _DOT_ATOM.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _comment(text: str) -> str:
    return _COMMENT_SPECIALS.sub(r"\\\1", text)
