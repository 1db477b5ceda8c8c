"""Arguments of commands other than parameters: paths, hello names, address literals, xtext.

RFC 5321 §4.1.2 and §4.1.3, RFC 6531 §3.3, RFC 3461 §4 (xtext). Everything is read left to right
by position; errors are `SyntaxProblem` with a text for the client.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TypeVar

from mox.address import NULL_PATH, AddressError, Domain, Path, parse_domain, parse_localpart
from mox.smtp.errors import SMTPError

T = TypeVar("T")

# RFC 5321 §4.1.2: Dot-string characters, any script; parse_localpart looks closer.
_LOCALPART = re.compile(r'"(?:[^"\\]|\\.)*+"|[^\s"(),:;<>@\[\\\]]*+')
_DOMAIN = re.compile(r"[^\s\"(),:;<>@\[\\\]]*+")
# RFC 5321 §4.1.2: A-d-l = At-domain *( "," At-domain )
_SOURCE_ROUTE = re.compile(r"@([^\s\"(),:;<>@\[\\\]]++)")
_LITERAL = re.compile(r"\[([^\[\]\\\s]*+)\]")
# RFC 3461 §4: xchar = any CHAR from "!" to "~" except "+" and "="
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+")
_XTEXT_HEX = re.compile(r"\+([0-9A-F]{2})")


class SyntaxProblem(SMTPError):
    """An argument does not follow the grammar; the text may go to the client."""


def parse_path(text: str, start: int, limits_path: int, limits_localpart: int) -> tuple[Path, int]:
    """Read `<...>` at `start`; return the path and the position after it.

    Non-ASCII is read in any case: whether it may be there is known after the parameters.
    Source routes are checked and dropped (RFC 5321 §4.1.1.3 lets us).
    """
    if not text.startswith("<", start):
        raise SyntaxProblem("path must begin with <")
    if text.startswith("<>", start):
        return NULL_PATH, start + 2
    pos = _skip_source_route(text, start + 1)
    match = _LOCALPART.match(text, pos)
    if match is None or match.end() == pos:
        raise SyntaxProblem("missing localpart in path")
    localpart = _checked(parse_localpart, match[0])
    if len(localpart.encode()) > limits_localpart:
        raise SyntaxProblem("localpart is too long")
    path, pos = _after_localpart(text, match.end(), localpart)
    if not text.startswith(">", pos):
        raise SyntaxProblem("path must end with >")
    if len(text[start : pos + 1].encode()) > limits_path:
        raise SyntaxProblem("path is too long")
    return path, pos + 1


def _after_localpart(text: str, pos: int, localpart: str) -> tuple[Path, int]:
    if text.startswith(">", pos):
        # RFC 5321 §4.1.1.3: "<Postmaster>" in any case, without domain.
        if localpart.lower() == "postmaster":
            return Path("postmaster", None), pos
        raise SyntaxProblem("missing domain in path")
    if not text.startswith("@", pos):
        raise SyntaxProblem("unexpected character in path")
    if text.startswith("[", pos + 1):
        address, end = parse_literal(text, pos + 1)
        return Path(localpart, address), end
    match = _DOMAIN.match(text, pos + 1)
    if match is None or not match[0]:
        raise SyntaxProblem("missing domain in path")
    return Path(localpart, _domain(match[0])), match.end()


def _skip_source_route(text: str, pos: int) -> int:
    if not text.startswith("@", pos):
        return pos
    while True:
        match = _SOURCE_ROUTE.match(text, pos)
        if match is None:
            raise SyntaxProblem("bad source route")
        _domain(match[1])
        pos = match.end()
        if text.startswith(":", pos):
            return pos + 1
        if not text.startswith(",", pos):
            raise SyntaxProblem("bad source route")
        pos += 1


def parse_literal(
    text: str, start: int, *, tag_needed: bool = True
) -> tuple[IPv4Address | IPv6Address, int]:
    """Read an address literal with its brackets; return the address and the position after it."""
    match = _LITERAL.match(text, start)
    if match is None:
        raise SyntaxProblem("bad address literal")
    value = match[1]
    try:
        # RFC 5321 §4.1.3: IPv6-address-literal = "IPv6:" IPv6-addr
        if value[:5].upper() == "IPV6:":
            return _ipv6(value[5:]), match.end()
        if ":" in value and not tag_needed:
            return _ipv6(value), match.end()
        return IPv4Address(value), match.end()
    except AddressValueError as err:
        raise SyntaxProblem("bad address literal") from err


def _ipv6(text: str) -> IPv6Address:
    if "%" in text:
        raise SyntaxProblem("address literal must not have a zone")
    return IPv6Address(text)


def parse_xtext(text: str) -> str:
    """Decode xtext; the result is ASCII or UTF-8 text."""
    if not _XTEXT.fullmatch(text):
        raise SyntaxProblem("bad xtext")
    raw = _XTEXT_HEX.sub(lambda match: chr(int(match[1], 16)), text)
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError as err:
        raise SyntaxProblem("bad xtext") from err


def _domain(text: str) -> Domain:
    return _checked(parse_domain, text)


def _checked(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except AddressError as err:
        raise SyntaxProblem(str(err)) from err
