"""gunicorn's parser, set up for our connections."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

if TYPE_CHECKING:
    from mox.web.wire import Wire

_SETTINGS: Final[dict[str, object]] = {
    "limit_request_line": 8190,
    "limit_request_fields": 100,
    "limit_request_field_size": 8190,
    "http_parser": "python",
    # No peer is trusted with anything: the router decides what a reverse proxy may say.
    "secure_scheme_headers": {},
    "forwarder_headers": "",
    "forwarded_allow_ips": "",
}
# What the parser and the response look at.
_LOOKED_AT: Final = (
    *_SETTINGS,
    "casefold_http_method",
    "header_map",
    "is_ssl",
    "permit_obsolete_folding",
    "permit_unconventional_http_method",
    "permit_unconventional_http_version",
    "protocol",
    "proxy_protocol",
    "sendfile",
    "strip_header_spaces",
)


def parser_settings() -> SimpleNamespace:
    """gunicorn's settings with ours, checked by it, as plain attributes.

    Its own object looks each of them up in a dictionary of objects, fifty times a request.
    """
    cfg = Config()
    for name, value in _SETTINGS.items():
        cfg.set(name, value)
    return SimpleNamespace(**{name: getattr(cfg, name) for name in _LOOKED_AT})


def new_parser(settings: SimpleNamespace, wire: Wire) -> RequestParser:
    """A parser for a new connection.

    It is told no peer, which stands for a trusted one: its address would be parsed for each
    request, to no avail, as there is nothing that the settings trust anybody with.
    """
    return RequestParser(settings, wire, "")
