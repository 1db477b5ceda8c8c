"""What the server knows of a request beyond the keys of PEP 3333."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from mox import logfmt
    from mox.networks import IP
    from mox.tlsio.engine import TLSInfo

_KEY: Final = "mox.request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as the router hands it to an application.

    `remote_ip` is the client's, also behind a reverse proxy (Forwarded) or load balancer.
    `is_https` says what the client speaks, also when a reverse proxy does the TLS; `tls` is
    what this server agreed on with whoever is connected. `cid` is unique; `log` has it bound,
    with the address.
    """

    cid: int
    remote_ip: IP
    listener: str
    service: str  # as in mox.web.routes: "webapi", "metrics"
    is_https: bool
    tls: TLSInfo | None
    log: logfmt.Logger


def request_of(environ: WSGIEnvironment) -> Request:
    """Return the request that an application was called for."""
    request = environ[_KEY]
    assert isinstance(request, Request)
    return request


def put_request(environ: WSGIEnvironment, request: Request) -> None:
    """Attach the request, for `request_of`."""
    environ[_KEY] = request
