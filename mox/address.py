"""Domains, addresses and SMTP paths as values.

RFC 5321 §4.1.2 and RFC 6531 §3.3 for the grammar, RFC 5890 and UTS 46 for domains in other
scripts. A `Domain` always has both forms: A-labels for DNS and comparison, U-labels for people
and database keys. A localpart is kept unquoted and in Unicode normalisation form C.

The cursors that read MAIL and RCPT lines are in `mox.smtp`; header fields are read by
`mox.message`. Nothing here looks anything up.

>>> parse_address('"a b"@Xn--Mnchen-3ya.Example')
Address(localpart='a b', domain=Domain(ascii='xn--mnchen-3ya.example', unicode='münchen.example'))
>>> str(parse_address("p.q@example.org"))
'p.q@example.org'
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import idna

from mox.errors import UserError

MAX_DOMAIN_OCTETS = 255
MAX_LABEL_OCTETS = 63
# RFC 5321 §4.5.3.1.1 says 64; longer ones are in use (list bounces, VERP).
MAX_LOCALPART_OCTETS = 128

# RFC 5321 §4.1.2: sub-domain = Let-dig [Ldh-str]; "_" is allowed for service and MX names.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PLAIN_DOMAIN = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*+")
_IPV4_LIKE = re.compile(r"[0-9]+(?:\.[0-9]+){3}")

# RFC 6532 §3.2: UTF8-non-ascii, without C1 controls, line separators, surrogates, noncharacters.
_NON_ASCII = "\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
_ATEXT = rf"A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{_NON_ASCII}"
_DOT_STRING = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*+")
# RFC 5321 §4.1.2: quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE
_QUOTED = re.compile(rf'"((?:[ !#-\[\]-~{_NON_ASCII}]|\\[ -~])*+)"')
_QUOTED_PAIR = re.compile(r"\\(.)")
_QUOTABLE = re.compile(rf"[ -~{_NON_ASCII}]*+")


class AddressError(UserError):
    """A domain, localpart or address that does not follow the grammar."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain name, lower-case, without final dot. Make them with `parse_domain`."""

    ascii: str  # A-labels: what DNS and protocols without SMTPUTF8 see
    unicode: str  # U-labels; equal to `ascii` when there is nothing to show differently

    def __str__(self) -> str:
        return self.unicode

    def pack(self, smtputf8: bool) -> str:
        """Return the form for a protocol: U-labels only where the peer takes them."""
        return self.unicode if smtputf8 else self.ascii


@dataclass(frozen=True, slots=True)
class Address:
    """An address with a domain. The localpart is unquoted, its case is kept."""

    localpart: str
    domain: Domain

    def __str__(self) -> str:
        return f"{format_localpart(self.localpart)}@{self.domain.unicode}"

    def pack(self, smtputf8: bool) -> str:
        """Return the form for a protocol. Without SMTPUTF8 check `needs_smtputf8` first."""
        return f"{format_localpart(self.localpart)}@{self.domain.pack(smtputf8)}"

    @property
    def needs_smtputf8(self) -> bool:
        """True when no ASCII form exists: a localpart has no A-label."""
        return not self.localpart.isascii()


@dataclass(frozen=True, slots=True)
class Path:
    """An SMTP reverse-path or forward-path.

    `domain` is None for the null path (empty localpart) and for the bare `postmaster`.
    """

    localpart: str
    domain: Domain | IPv4Address | IPv6Address | None

    @property
    def is_null(self) -> bool:
        return self.domain is None and self.localpart == ""

    @property
    def address(self) -> Address | None:
        """The address, or None when the domain is not a name."""
        if isinstance(self.domain, Domain):
            return Address(self.localpart, self.domain)
        return None

    @property
    def needs_smtputf8(self) -> bool:
        return not self.localpart.isascii()

    def __str__(self) -> str:
        return self.pack(smtputf8=True)

    def pack(self, smtputf8: bool) -> str:
        """Return the path for a protocol, without the angle brackets."""
        if self.domain is None:
            return format_localpart(self.localpart) if self.localpart else ""
        return f"{format_localpart(self.localpart)}@{format_domain(self.domain, smtputf8)}"


NULL_PATH = Path("", None)


def parse_domain(text: str) -> Domain:
    """Read a domain in A-label or U-label form. Raises AddressError. Cached."""
    # RFC 5321 §4.5.3.1.2: 255 octets. The check is here to keep the cache's keys small.
    if len(text) > MAX_DOMAIN_OCTETS:
        raise AddressError("domain is too long")
    return _parse_domain(text)


@lru_cache(maxsize=8192)
def _parse_domain(text: str) -> Domain:
    lower = text.lower() if text.isascii() else _uts46(text)
    if _PLAIN_DOMAIN.fullmatch(lower):
        # The character classes are ASCII, so this is a complete name in ASCII.
        if _IPV4_LIKE.fullmatch(lower):
            raise AddressError("domain must not be an IP address")
        if "xn--" not in lower:
            return Domain(lower, lower)
    labels = [_ascii_label(label) for label in lower.split(".")]
    ascii_name = ".".join(labels)
    if len(ascii_name) > MAX_DOMAIN_OCTETS:
        raise AddressError("domain is too long")
    return Domain(ascii_name, ".".join(map(_unicode_label, labels)))


def _uts46(text: str) -> str:
    try:
        return idna.uts46_remap(text, std3_rules=False, transitional=False)
    except idna.IDNAError as err:
        raise AddressError(f"bad domain: {err}") from err


def _ascii_label(label: str) -> str:
    if label.isascii():
        if not _LABEL.fullmatch(label):
            raise AddressError(f"bad label {label!r} in domain" if label else "empty domain label")
        return label
    try:
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError as err:
        raise AddressError(f"bad domain: {err}") from err


def _unicode_label(label: str) -> str:
    """Return the U-label, or the label itself where it is none or a broken A-label."""
    if not label.startswith("xn--"):
        return label
    try:
        unicode_label = idna.ulabel(label)
        is_canonical = idna.alabel(unicode_label) == label.encode("ascii")
    except (idna.IDNAError, UnicodeError):
        # Names with such labels exist in DNS (emoji, IDNA 2003): keep them as plain ASCII.
        return label
    return unicode_label if is_canonical else label


def parse_localpart(text: str) -> str:
    """Read a dot-string or quoted-string and return the unquoted, normalised localpart."""
    if _DOT_STRING.fullmatch(text):
        localpart = text
    elif match := _QUOTED.fullmatch(text):
        localpart = _QUOTED_PAIR.sub(r"\1", match[1])
    else:
        raise AddressError("bad localpart in address" if text else "missing localpart in address")
    return normalize_localpart(localpart)


def normalize_localpart(localpart: str) -> str:
    """Return an unquoted localpart in NFC, checked for length and characters."""
    if not localpart.isascii():
        # RFC 6532 §3.1: NFC, so that one mailbox has one spelling.
        localpart = unicodedata.normalize("NFC", localpart)
    if len(localpart.encode("utf-8", "surrogatepass")) > MAX_LOCALPART_OCTETS:
        raise AddressError("localpart is too long")
    if not _QUOTABLE.fullmatch(localpart):
        raise AddressError("bad character in localpart")
    return localpart


def parse_address(text: str) -> Address:
    """Read `localpart@domain`. Raises AddressError, also for IP literals."""
    localpart, at, domain = text.rpartition("@")
    if not at:
        raise AddressError("missing @ in address")
    return Address(parse_localpart(localpart), parse_domain(domain))


def format_localpart(localpart: str) -> str:
    """Return the localpart, quoted when it is not a dot-string."""
    if _DOT_STRING.fullmatch(localpart):
        return localpart
    escaped = localpart.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def format_domain(domain: Domain | IPv4Address | IPv6Address, smtputf8: bool) -> str:
    """Return a name, or an address literal with its brackets (RFC 5321 §4.1.3)."""
    if isinstance(domain, Domain):
        return domain.pack(smtputf8)
    if isinstance(domain, IPv6Address):
        return f"[IPv6:{domain}]"
    return f"[{domain}]"
