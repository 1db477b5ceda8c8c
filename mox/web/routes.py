"""Which web services a port of a listener has, at which paths, and for which host names.

Pure: from the configuration to values. The supervisor opens the ports that are named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mox.address import parse_domain
from mox.web.host import names_this_host

if TYPE_CHECKING:
    from mox.config import Config
    from mox.config.listener import Listener
    from mox.config.webservice import WebHTTP, WebHTTPS


class Hosts(Enum):
    """Under which names of ours a service answers."""

    ANY = "any"
    SERVICE = "service"  # IP addresses, localhost, the listener's and client settings' names


@dataclass(frozen=True, slots=True)
class Mount:
    """A service at a path, which begins and ends with a slash."""

    service: str
    path: str
    hosts: Hosts = Hosts.SERVICE

    def covers(self, path: str) -> bool:
        return path.startswith(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What one port of a listener serves; mounts with longer paths come first.

    `forwarded`: a reverse proxy is in front, and tells the client's address and scheme.
    """

    listener: str
    is_https: bool
    mounts: tuple[Mount, ...]
    forwarded: bool = False
    service_hosts: frozenset[str] = frozenset()

    def find(self, host: str, path: str) -> Mount | None:
        """The mount for a request; `host` is lower-case, in ASCII form, without port."""
        for mount in self.mounts:
            if mount.covers(path) and self._answers(mount, host):
                return mount
        return None

    def redirect(self, host: str, path: str) -> str | None:
        """The path that one without its final slash leads to; None: nowhere."""
        wanted = f"{path}/"
        for mount in self.mounts:
            if mount.path == wanted and self._answers(mount, host):
                return wanted
        return None

    def _answers(self, mount: Mount, host: str) -> bool:
        if mount.hosts is Hosts.ANY:
            return True
        return names_this_host(host) or host in self.service_hosts


@dataclass(frozen=True, slots=True)
class _Placed:
    """A mount with its port."""

    port: int
    is_https: bool
    forwarded: bool
    mount: Mount


def web_ports(listener: Listener) -> dict[int, bool]:
    """The ports of a listener that have web services; true for those with TLS."""
    return {placed.port: placed.is_https for placed in _placed(listener)}


def site_of(config: Config, listener_name: str, port: int) -> Site:
    """What a port of a listener serves under this configuration."""
    listener = config.static.listeners[listener_name]
    here = [placed for placed in _placed(listener) if placed.port == port]
    mounts = sorted((placed.mount for placed in here), key=lambda mount: -len(mount.path))
    return Site(
        listener=listener_name,
        is_https=any(placed.is_https for placed in here),
        mounts=tuple(mounts),
        # One proxy is in front of a port, or none.
        forwarded=any(placed.forwarded for placed in here),
        service_hosts=frozenset(_service_hosts(config, listener)),
    )


def _placed(listener: Listener) -> Iterator[_Placed]:
    metrics = listener.metrics_http
    if metrics.enabled:
        yield _Placed(metrics.port, False, False, Mount("metrics", "/", Hosts.ANY))
    services: tuple[tuple[str, WebHTTP | WebHTTPS, bool], ...] = (
        ("webapi", listener.webapi_http, False),
        ("webapi", listener.webapi_https, True),
    )
    for service, block, is_https in services:
        if block.enabled:
            yield _Placed(block.port, is_https, block.forwarded, Mount(service, block.path))


def _service_hosts(config: Config, listener: Listener) -> Iterator[str]:
    yield parse_domain(listener.hostname).ascii
    for domain in config.dynamic.domains.values():
        if domain.client_settings_domain:
            yield parse_domain(domain.client_settings_domain).ascii
