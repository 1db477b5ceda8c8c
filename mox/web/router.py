"""From a request to the application that answers it.

In this order: the client's address, the limit on requests, the host, the path. The router is
itself an application; around its call the worker attaches the connection and takes note of the
handler's name, for metrics and the log.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from mox import logfmt
from mox.networks import IP, plain_ip
from mox.web import answers
from mox.web.host import parse_host
from mox.web.request import Request, put_request
from mox.web.routes import Site, site_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from mox.config import Config
    from mox.serving.connection import Connection
    from mox.serving.context import Context, Listen
    from mox.web.request_limit import RequestLimit

_CONNECTION: Final = "mox.connection"

_log = logfmt.logger("http")


@dataclass(slots=True)
class Arrival:
    """A request at the door: on which connection, and, once routed, where it went."""

    conn: Connection
    cid: int
    handler: str = "(none)"
    remote_ip: IP | None = None
    is_https: bool = False


def put_arrival(environ: WSGIEnvironment, arrival: Arrival) -> None:
    environ[_CONNECTION] = arrival


class Router:
    """The root application of one process."""

    def __init__(
        self, ctx: Context, apps: Mapping[str, WSGIApplication], limit: RequestLimit
    ) -> None:
        self._ctx = ctx
        self._apps = apps
        self._limit = limit
        self._sites: dict[tuple[str, int], Site] = {}
        self._config: Config | None = None

    def site(self, listen: Listen) -> Site:
        """What this socket serves under the configuration in force."""
        config = self._ctx.config
        if config is not self._config:
            self._sites, self._config = {}, config
        key = (listen.listener, listen.port)
        site = self._sites.get(key)
        if site is None:
            site = self._sites[key] = site_of(config, *key)
        return site

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        arrival: Arrival = environ[_CONNECTION]
        return self._find(environ, arrival)(environ, start_response)

    def _find(self, environ: WSGIEnvironment, arrival: Arrival) -> WSGIApplication:
        conn = arrival.conn
        site = self.site(conn.listen)
        arrival.remote_ip, arrival.is_https = conn.remote_ip, site.is_https
        if site.forwarded and not _take_forwarded(environ, arrival):
            arrival.handler = "(forwarded)"
            return answers.NOT_FORWARDED
        if not self._limit.admits(arrival.remote_ip):
            arrival.handler = "(ratelimited)"
            return answers.TOO_MANY
        host = _host_of(environ)
        if host is None:
            arrival.handler = "(nohost)"
            return answers.NO_HOST
        return self._mounted(environ, arrival, site, host)

    def _mounted(
        self, environ: WSGIEnvironment, arrival: Arrival, site: Site, host: str
    ) -> WSGIApplication:
        path = clean_path(environ["PATH_INFO"])
        mount = site.find(host, path)
        if mount is None or mount.service not in self._apps:
            return self._unmounted(environ, arrival, site.redirect(host, path))
        arrival.handler = mount.service
        environ["SCRIPT_NAME"] = mount.path[:-1]
        environ["PATH_INFO"] = path[len(mount.path) - 1 :]
        assert arrival.remote_ip is not None
        request = Request(
            cid=arrival.cid,
            remote_ip=arrival.remote_ip,
            listener=site.listener,
            service=mount.service,
            is_https=arrival.is_https,
            tls=arrival.conn.tls,
            log=logfmt.logger(mount.service).bind(cid=arrival.cid, remote_ip=arrival.remote_ip),
        )
        put_request(environ, request)
        return self._apps[mount.service]

    def _unmounted(
        self, environ: WSGIEnvironment, arrival: Arrival, target: str | None
    ) -> WSGIApplication:
        if target is None:
            arrival.handler = "(nomatch)"
            return answers.NOT_FOUND
        arrival.handler = "(redirect)"
        query = environ["QUERY_STRING"]
        location = quote(target, safe="/", encoding="latin-1")
        return answers.see_other(f"{location}?{query}" if query else location)


def clean_path(path: str) -> str:
    """Take `.`, `..` and empty segments out of a path; a final slash stays."""
    if "//" not in path and "/." not in path and path.startswith("/"):
        return path
    cleaned = posixpath.normpath(f"/{path.lstrip('/')}")
    is_directory = path.endswith(("/", "/.", "/..")) and cleaned != "/"
    return f"{cleaned}/" if is_directory else cleaned


def _host_of(environ: WSGIEnvironment) -> str | None:
    """The host that a request is for, in the form that sites compare; None: it has none."""
    target: str = environ["RAW_URI"]
    if not target.startswith("/") and "://" in target:
        # RFC 9112 §3.2.2: the host of a target in absolute form counts, not the field.
        return parse_host(urlsplit(target).netloc)
    field: str | None = environ.get("HTTP_HOST")
    if field is not None:
        return parse_host(field)
    # RFC 9112 §3.2: HTTP/1.1 without Host is an error; HTTP/1.0 asks for the address it reached.
    if environ["SERVER_PROTOCOL"] != "HTTP/1.0":
        return None
    name: str = environ["SERVER_NAME"]
    return f"[{name}]" if ":" in name else name


def _take_forwarded(environ: WSGIEnvironment, arrival: Arrival) -> bool:
    """Believe the reverse proxy about the client; false: it says nothing usable."""
    text: str = environ.get("HTTP_X_FORWARDED_FOR", "").partition(",")[0].strip()
    try:
        arrival.remote_ip = plain_ip(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        _log.error(
            "request without a usable X-Forwarded-For, is there a reverse proxy as Forwarded says?",
            forwarded_for=text,
            remote_ip=arrival.conn.remote_ip,
            cid=arrival.cid,
        )
        return False
    scheme: str = environ.get("HTTP_X_FORWARDED_PROTO", "")
    arrival.is_https = scheme.partition(",")[0].strip().lower() == "https" or arrival.is_https
    environ["REMOTE_ADDR"] = str(arrival.remote_ip)
    environ["wsgi.url_scheme"] = "https" if arrival.is_https else "http"
    return True
