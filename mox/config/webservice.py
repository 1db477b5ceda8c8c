"""The HTTP services of a listener."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mox.config.schema import Field

_ENABLED = Field("Enabled", "Offer the service.", example="true")
_FORWARDED = Field(
    "Forwarded",
    "A reverse proxy of yours is in front: take the client's address from X-Forwarded-For and the "
    "scheme from X-Forwarded-Proto.",
)
_NON_TLS = Field("NonTLS", "Serve without TLS, for use behind a reverse proxy that does TLS.")
_RATE_LIMIT = Field("RateLimitDisabled", "Do not limit requests per client address.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebHTTP:
    """Web pages for people or programs, without TLS."""

    enabled: Annotated[bool, _ENABLED]
    port: Annotated[int, Field("Port", "TCP port.")] = 80
    path: Annotated[
        str,
        Field(
            "Path",
            "Path that the pages are below, with a slash at both ends. Without it / for account, "
            "/admin/, /webmail/ and /webapi/ for the others.",
            example="/pages/",
        ),
    ] = ""
    forwarded: Annotated[bool, _FORWARDED] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebHTTPS:
    """Web pages for people or programs, with TLS."""

    enabled: Annotated[bool, _ENABLED]
    port: Annotated[int, Field("Port", "TCP port.")] = 443
    path: Annotated[
        str,
        Field(
            "Path",
            "Path that the pages are below, with a slash at both ends. Without it / for account, "
            "/admin/, /webmail/ and /webapi/ for the others.",
            example="/pages/",
        ),
    ] = ""
    forwarded: Annotated[bool, _FORWARDED] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsHTTP:
    """Numbers for Prometheus."""

    enabled: Annotated[bool, _ENABLED]
    port: Annotated[int, Field("Port", "TCP port.")] = 8010


@dataclass(frozen=True, slots=True, kw_only=True)
class PprofHTTP:
    """Profiles of the running server."""

    enabled: Annotated[bool, _ENABLED]
    port: Annotated[int, Field("Port", "TCP port, shared with nothing else.")] = 8011


@dataclass(frozen=True, slots=True, kw_only=True)
class WellKnownHTTPS:
    """A service at a fixed name of each domain."""

    enabled: Annotated[bool, _ENABLED]
    port: Annotated[int, Field("Port", "TCP port.")] = 443
    non_tls: Annotated[bool, _NON_TLS] = False
    forwarded: Annotated[bool, _FORWARDED] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebserverHTTP:
    """The handlers and redirects of domains.conf, without TLS."""

    enabled: Annotated[bool, _ENABLED]
    port: Annotated[int, Field("Port", "TCP port.")] = 80
    rate_limit_disabled: Annotated[bool, _RATE_LIMIT] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebserverHTTPS:
    """The handlers and redirects of domains.conf, with TLS."""

    enabled: Annotated[bool, _ENABLED]
    port: Annotated[int, Field("Port", "TCP port.")] = 443
    rate_limit_disabled: Annotated[bool, _RATE_LIMIT] = False


NO_WEB_HTTP = WebHTTP(enabled=False)
NO_WEB_HTTPS = WebHTTPS(enabled=False)
NO_METRICS_HTTP = MetricsHTTP(enabled=False)
NO_PPROF_HTTP = PprofHTTP(enabled=False)
NO_WELL_KNOWN_HTTPS = WellKnownHTTPS(enabled=False)
NO_WEBSERVER_HTTP = WebserverHTTP(enabled=False)
NO_WEBSERVER_HTTPS = WebserverHTTPS(enabled=False)
