"""Where a webapi is: its URL, with or without the credentials of an account."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from mox.errors import UserError
from mox.webapi.methods import VERSION

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webapi and who calls it. `path` begins and ends with a slash and includes the version."""

    scheme: str
    host: str
    port: int
    path: str
    username: str
    password: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """Value of the header of this name: HTTP basic authentication."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def parse_endpoint(url: str, username: str = "", password: str = "") -> Endpoint:
    """Read a URL such as `https://mail.example.org/webapi/`, with or without `v0/` at its end.

    Credentials may be in it: `https://user%40example.org:password@mail.example.org/webapi/`. Raises
    UserError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as e:
        raise UserError(f"not a URL: {e}") from e
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UserError("the URL of a webapi begins with https:// or http:// and a host name")
    if parts.query or parts.fragment:
        raise UserError("the URL of a webapi ends with its path, such as /webapi/")
    endpoint = Endpoint(
        parts.scheme,
        parts.hostname,
        _PORTS[parts.scheme] if port is None else port,
        _with_version(parts.path),
        username or unquote(parts.username or ""),
        password or unquote(parts.password or ""),
    )
    _check(endpoint)
    return endpoint


def _with_version(path: str) -> str:
    segments = [segment for segment in path.split("/") if segment]
    if segments[-1:] != [VERSION]:
        segments.append(VERSION)
    return f"/{'/'.join(segments)}/"


def _check(endpoint: Endpoint) -> None:
    if not endpoint.username or not endpoint.password:
        raise UserError("calls need the address and the password of an account")
    # RFC 7617 §2: the first colon ends the user-id.
    if ":" in endpoint.username:
        raise UserError("an address with a colon cannot log in with HTTP basic authentication")
    if not (endpoint.path.isascii() and endpoint.path.isprintable() and " " not in endpoint.path):
        raise UserError("the path of the URL needs percent-encoding")
