"""A URL to POST to, taken apart (RFC 9110 §4.2)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from mox.address import AddressError, parse_domain
from mox.errors import UserError

_PORTS: Final = {"http": 80, "https": 443}
# What may stand in a path and a query as it is; the rest is encoded.
_SAFE: Final = "%/:?#[]@!$&'()*+,;=-._~"


class BadURL(UserError):
    """Nothing can be sent to this URL."""


@dataclass(frozen=True, slots=True)
class HTTPAddress:
    """Where a URL leads to. `host` is A-labels or an address without brackets."""

    host: str
    port: int
    is_tls: bool
    authority: str  # for the Host field
    target: str  # path and query
    authorization: str = ""  # of a user and password in the URL


def parse_url(url: str) -> HTTPAddress:
    """Take a URL apart. Raises BadURL."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        host = _ascii_host(parts.hostname or "")
    except (KeyError, ValueError) as e:
        raise BadURL(f"not a URL with http or https: {url!r}") from e
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += f"?{quote(parts.query, safe=_SAFE)}"
    authorization = ""
    if parts.username is not None:
        # RFC 7617 §2
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return HTTPAddress(host, port, parts.scheme == "https", authority, target, authorization)


def _ascii_host(host: str) -> str:
    if not host or any(char.isspace() for char in host):
        raise ValueError("no host")
    if host.isascii():
        return host.rstrip(".")
    try:
        return parse_domain(host.rstrip(".")).ascii
    except AddressError as e:
        raise ValueError(str(e)) from e
