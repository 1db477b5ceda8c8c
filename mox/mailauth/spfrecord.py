"""The grammar of SPF records: text in, terms out. RFC 7208 §4.6.1, §7.1, §12.

Strict: an error anywhere makes the whole record unusable, as the RFC wants. The evaluation is in
`mox.mailauth.spfquery`.

>>> record = parse_record("v=spf1 ip4:192.0.2.0/24 mx/26 -all exp=why.example.org")
>>> [directive.text for directive in record.directives]
['ip4:192.0.2.0/24', 'mx/26', '-all']
>>> record.explanation
'why.example.org'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal, cast

Mechanism = Literal["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"]
Qualifier = Literal["+", "-", "~", "?"]

# RFC 7208 §3.4 wants records below 512 octets; those of large senders have up to some 2,000.
MAX_RECORD: Final = 4096

_VERSION: Final = re.compile(rb"v=spf1(?: .*)?", re.IGNORECASE | re.DOTALL)
_DIRECTIVE: Final = re.compile(r"([-+?~]?)([a-z][a-z0-9_.-]*+)(.*)", re.IGNORECASE)
_MODIFIER: Final = re.compile(r"([a-z][a-z0-9_.-]*+)=(.*)", re.IGNORECASE)
# RFC 7208 §5.6, §5.3: no leading zeros; `//` is in front of the IPv6 length of a and mx.
_DUAL_CIDR: Final = re.compile(r"(?:/(0|[1-9]\d?))?(?://(0|[1-9]\d{0,2}))?\Z", re.ASCII)
_CIDR: Final = re.compile(r"(?:/(0|[1-9]\d{0,2}))?\Z", re.ASCII)

# RFC 7208 §7.1: macro-expand and macro-literal. The number of labels kept is not zero.
_MACRO: Final = re.compile(
    r"%(?:[%_-]|\{([slodiphcrtv])(?:0*[1-9][0-9]{0,4}|)(r?)[-.+,/_=]*+\})", re.IGNORECASE
)
_LITERAL: Final = re.compile(r"[!-$&-~]++")
_TEXT_LITERAL: Final = re.compile(r"[ -$&-~]++")
# RFC 7208 §7.1: toplabel, which is not all digits.
_TOPLABEL: Final = re.compile(
    r"\.(?![0-9]+\.?\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?\Z", re.IGNORECASE
)
# RFC 7208 §7.2: these have a meaning in explanations only.
_ONLY_IN_TEXT: Final = frozenset("crt")
_DOMAIN_NEEDED: Final = frozenset({"include", "exists"})
_DOMAIN_ALLOWED: Final = frozenset({"include", "exists", "a", "mx", "ptr"})


class SPFSyntaxError(ValueError):
    """A record that does not follow the grammar; the text says where."""


@dataclass(frozen=True, slots=True)
class Directive:
    """A mechanism with its qualifier.

    network: of ip4 and ip6. macros: the letters of the macros in the domain, lower-case.
    lengths: `/24//64` of a and mx, as written.
    """

    text: str  # as in the record
    qualifier: Qualifier
    mechanism: Mechanism
    domain: str = ""  # with macros; "": the current domain
    lengths: str = ""
    macros: frozenset[str] = frozenset()
    network: IPv4Network | IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class SPFRecord:
    """`redirect` and `explanation` are domains with macros, "" when absent."""

    text: str
    directives: tuple[Directive, ...]
    redirect: str = ""
    explanation: str = ""
    unknown: tuple[tuple[str, str], ...] = ()  # other modifiers: name, value


def is_record(text: bytes) -> bool:
    """Tell whether the text of a TXT record is meant for SPF (RFC 7208 §4.5)."""
    return _VERSION.fullmatch(text) is not None


def parse_record(text: str) -> SPFRecord:
    """Read a record. Raises SPFSyntaxError. Cached."""
    if len(text) > MAX_RECORD:
        raise SPFSyntaxError(f"record is longer than {MAX_RECORD} characters")
    return _parse(text)


@lru_cache(maxsize=512)
def _parse(text: str) -> SPFRecord:
    version, *terms = text.split(" ")
    if version.lower() != "v=spf1":
        raise SPFSyntaxError("record does not begin with v=spf1")
    directives: list[Directive] = []
    once: dict[str, str] = {}
    unknown: list[tuple[str, str]] = []
    for term in filter(None, terms):
        if not (modifier := _MODIFIER.fullmatch(term)):
            directives.append(_directive(term))
            continue
        name, value = modifier[1].lower(), modifier[2]
        if name not in ("redirect", "exp"):
            macro_letters(value)
            unknown.append((name, value))
            continue
        # RFC 7208 §6: each at most once.
        if name in once:
            raise SPFSyntaxError(f"{name}= more than once")
        _domain_macros(value, term)
        once[name] = value
    return SPFRecord(
        text, tuple(directives), once.get("redirect", ""), once.get("exp", ""), tuple(unknown)
    )


def _directive(term: str) -> Directive:
    match = _DIRECTIVE.fullmatch(term)
    if match is None:
        raise SPFSyntaxError(f"not a term: {term!r}")
    qualifier: Qualifier = match[1] or "+"  # type: ignore[assignment]
    name: str = match[2].lower()
    rest: str = match[3]
    if name == "all" and not rest:
        return Directive(term, qualifier, "all")
    mechanism = cast(Mechanism, name)
    if name in ("ip4", "ip6"):
        return Directive(term, qualifier, mechanism, network=_network(name, rest, term))
    if name not in _DOMAIN_ALLOWED:
        raise SPFSyntaxError(f"unknown mechanism or argument: {term!r}")
    lengths = ""
    if name in ("a", "mx"):
        lengths = _lengths(rest, term)
        rest = rest.removesuffix(lengths)
    if not (rest.startswith(":") if rest else name not in _DOMAIN_NEEDED):
        raise SPFSyntaxError(f"domain expected: {term!r}")
    macros = _domain_macros(rest[1:], term) if rest else frozenset()
    return Directive(term, qualifier, mechanism, rest[1:], lengths, macros)


def _lengths(text: str, term: str) -> str:
    """Return the dual-cidr-length at the end of the text."""
    match = _DUAL_CIDR.search(text)
    if match is None:
        return ""
    if int(match[1] or 0) > 32 or int(match[2] or 0) > 128:
        raise SPFSyntaxError(f"prefix length is too large: {term!r}")
    return match[0]


def _network(name: str, rest: str, term: str) -> IPv4Network | IPv6Network:
    match = _CIDR.search(rest)
    address = rest[: match.start()] if match else rest
    length = match[1] if match else None
    try:
        # A scope ("%eth0") is not in the RFC's grammar.
        if not address.startswith(":") or "%" in address:
            raise ValueError("not an address")
        if name == "ip4":
            return IPv4Network((address[1:], int(length or 32)), strict=False)
        return IPv6Network((address[1:], int(length or 128)), strict=False)
    except ValueError as e:
        raise SPFSyntaxError(f"not a network: {term!r}") from e


def _domain_macros(text: str, term: str) -> frozenset[str]:
    """Check a domain-spec; returns its macro letters."""
    letters = macro_letters(text)
    if letters & _ONLY_IN_TEXT:
        raise SPFSyntaxError(f"macro has no meaning in a domain: {term!r}")
    # RFC 7208 §7.1: domain-end = ( "." toplabel [ "." ] ) / macro-expand
    if not _ends_with_macro(text) and not _TOPLABEL.search(text):
        raise SPFSyntaxError(f"not a complete domain: {term!r}")
    return letters


def macro_letters(text: str, *, is_explanation: bool = False) -> frozenset[str]:
    """Check a macro-string (or explain-string); returns the letters of its macros, lower-case.

    Raises SPFSyntaxError. Linear in the length of the text.
    """
    literal = _TEXT_LITERAL if is_explanation else _LITERAL
    letters: set[str] = set()
    at = 0
    while at < len(text):
        match = (_MACRO if text[at] == "%" else literal).match(text, at)
        if match is None:
            raise SPFSyntaxError(f"not a macro or character of a domain: {text[at : at + 20]!r}")
        if text[at] == "%" and match[1]:
            letters.add(match[1].lower())
        at = match.end()
    return frozenset(letters)


def _ends_with_macro(text: str) -> bool:
    """Tell whether a valid macro-string ends with a macro-expand."""
    start = text.rfind("%{") if text.endswith("}") else len(text) - 2
    if start < 0 or text[start : start + 1] != "%":
        return False
    # An escaped percent sign in front of the end is not the beginning of a macro.
    percents = start - len(text[:start].rstrip("%"))
    return percents % 2 == 0
