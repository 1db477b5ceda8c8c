"""What the supervisor takes from a configuration."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mox.serving.context import ConfigSource
from mox.supervisor.errors import StartError
from mox.web.routes import web_ports

if TYPE_CHECKING:
    from mox.config import Config
    from mox.serving.certificates import Certificates

# How long a worker that was told to stop may finish what it does. Longer than the limit that the
# shells set themselves, so that they can still say goodbye.
GRACE_S = 35.0


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """An address and port to listen on, for one service of one listener."""

    ip: str
    port: int
    service: str
    listener: str
    implicit_tls: bool = False

    def __str__(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{host}:{self.port} ({self.service} of listener {self.listener})"


@dataclass(frozen=True, slots=True)
class Identity:
    """The user that workers run as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Settings:
    """One generation's needs; `certificates` are read while root may still read the keys."""

    data_dir: Path
    config_source: ConfigSource
    endpoints: tuple[Endpoint, ...] = ()
    identity: Identity | None = None
    workers: int = 1
    grace_s: float = GRACE_S
    log_level: str = "info"
    package_log_levels: Mapping[str, str] = field(default_factory=dict)
    certificates: Certificates | None = None
    localserve: bool = False
    fix_permissions: bool = False


def endpoints_of(config: Config) -> tuple[Endpoint, ...]:
    """List what the configuration listens on; an address and port has one protocol, one listener.

    The protocols http and https stand for all web services of a port, see mox.web.routes.
    """
    found: dict[tuple[str, int], Endpoint] = {}
    for name, listener in config.static.listeners.items():
        services = (
            ("smtp", listener.smtp, False),
            ("submission", listener.submission, False),
            ("submissions", listener.submissions, True),
            ("imap", listener.imap, False),
            ("imaps", listener.imaps, True),
        )
        ports = [(block.port, service, tls) for service, block, tls in services if block.enabled]
        for port, is_https in web_ports(listener).items():
            ports.append((port, "https" if is_https else "http", is_https))
        for port, service, implicit_tls in ports:
            for ip in listener.ips:
                endpoint = Endpoint(ip, port, service, name, implicit_tls)
                other = found.setdefault((ip, port), endpoint)
                if other != endpoint:
                    raise StartError(f"{endpoint} and {other} are configured on the same port")
    return tuple(found.values())


def identity_of(user: str) -> Identity | None:
    """The uid and gid of User; None when that is who we are already.

    Raises StartError when the user is unknown or we are not root and cannot become it.
    """
    try:
        entry = pwd.getpwnam(user)
        identity = Identity(entry.pw_uid, entry.pw_gid)
    except KeyError:
        if not user.isascii() or not user.isdecimal():
            raise StartError(
                f"no such user: {user} (field User of mox.conf); create it, or name another"
            ) from None
        identity = Identity(int(user), int(user))
    if identity.uid == os.getuid():
        return None
    if os.getuid() != 0:
        raise StartError(
            f"must be started as root to run as user {user}; to run as an ordinary user, "
            f"set User in mox.conf to {os.getuid()}"
        )
    return identity
