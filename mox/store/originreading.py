"""Where a message came from, read back from the fields that were put in front of it on delivery.

For `mox reindex` after the index has been lost: the Maildir alone still says what SPF, DKIM and
DMARC found. Only the block of fields that mox writes is believed, at the very top of a message,
complete and in order; a sender cannot put anything above it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from mox.address import Address, AddressError, Domain, parse_address, parse_domain
from mox.mailauth.suffixes import organizational_domain
from mox.message.fields import header_section, split_fields, unfold
from mox.message.limits import LIMITS
from mox.message.mailboxes import mailboxes
from mox.networks import network_keys
from mox.store.origin import Origin, Validation

_BLOCK: Final = (
    b"x-mox-reason",
    b"delivered-to",
    b"return-path",
    b"authentication-results",
    b"received-spf",
    b"received",
)
# RFC 8601 §2.2: comments, and reasons in quotes, are for people.
_COMMENT: Final = re.compile(r"\([^()]*\)")
_REASON: Final = re.compile(r'reason=(?:"(?:[^"\\]|\\.)*+"|[^\s;]++)')
_ADDRESS: Final = re.compile(r'policy\.iprev="?([0-9A-Fa-f.:]++)')
_HELO: Final = re.compile(r"from ([^\s()\[\]]++) ")


def read_origin(data: bytes, *, wire: bool) -> Origin | None:
    """Return what a message's own fields say of its delivery; None when it has no such fields."""
    section = header_section(data[: LIMITS.header_octets], wire=wire)
    fields = [(name.lower(), value) for name, value in split_fields(section, wire=wire)]
    if tuple(name for name, _ in fields[: len(_BLOCK)]) != _BLOCK:
        return None
    _, delivered_to, return_path, results, _, received = (
        unfold(value).decode("utf-8", "replace") for _, value in fields[: len(_BLOCK)]
    )
    found = _Results(results)
    sender, recipient = _address(return_path.strip("<>")), _address(delivered_to)
    author = _author([value for name, value in fields if name == b"from"])
    helo = _domain(match[1]) if (match := _HELO.match(received)) else None
    return Origin(
        remote_ip=str(found.ip) if found.ip else "",
        networks=network_keys(found.ip) if found.ip else (),
        ehlo_domain=helo.unicode if helo else "",
        mail_from_localpart=sender.localpart if sender else "",
        mail_from_domain=sender.domain.unicode if sender else "",
        rcpt_to_localpart=recipient.localpart if recipient else "",
        rcpt_to_domain=recipient.domain.unicode if recipient else "",
        from_localpart=author.localpart if author else "",
        from_domain=author.domain.unicode if author else "",
        from_org_domain=organizational_domain(author.domain).unicode if author else "",
        ehlo_validated=found.helo is not None,
        mail_from_validated=found.mail_from is not None,
        from_validation=found.validation(author),
        dkim_domains=tuple(domain.unicode for domain in found.dkim),
        message_id=_first(fields, b"message-id"),
    )


class _Results:
    """What an Authentication-Results field of ours says; see mox.mailauth.authres."""

    def __init__(self, value: str) -> None:
        self.ip = _ip(match[1]) if (match := _ADDRESS.search(value)) else None
        plain = _COMMENT.sub(" ", _REASON.sub(" ", value))
        self.mail_from: Domain | None = None
        self.helo: Domain | None = None
        self.has_dmarc_pass = False
        dkim: dict[Domain, None] = {}
        for method in plain.split(";")[1:]:
            name, *properties = method.split() or [""]
            values = dict(p.partition("=")[::2] for p in properties if "=" in p)
            if name == "spf=pass":
                self.mail_from = _domain(values.get("smtp.mailfrom", ""))
                self.helo = _domain(values.get("smtp.helo", ""))
            elif name == "dkim=pass" and (domain := _domain(values.get("header.d", ""))):
                dkim[domain] = None
            elif name == "dmarc=pass":
                self.has_dmarc_pass = True
        self.dkim = tuple(dkim)

    def validation(self, author: Address | None) -> Validation:
        domains = [domain for domain in (self.mail_from, self.helo, *self.dkim) if domain]
        if author is None:
            return "none"
        if author.domain in domains:
            return "strict"
        if organizational_domain(author.domain) not in map(organizational_domain, domains):
            return "none"
        return "dmarc" if self.has_dmarc_pass else "relaxed"


def _author(values: list[bytes]) -> Address | None:
    found = mailboxes(values[0]) if len(values) == 1 else []
    return found[0].address if len(found) == 1 else None


def _first(fields: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    for name, value in fields:
        if name == wanted:
            return unfold(value).decode("utf-8", "replace")
    return ""


def _address(text: str) -> Address | None:
    try:
        return parse_address(text)
    except AddressError:
        return None


def _domain(text: str) -> Domain | None:
    try:
        return parse_domain(text) if text else None
    except AddressError:
        return None


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
