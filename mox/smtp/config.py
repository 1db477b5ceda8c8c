"""What a server machine announces and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["delivery", "submission"]

# 60 days
FUTURE_RELEASE_MAX_S = 5_184_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a client can make the machine hold or read."""

    command_line: int = 2048  # octets with CRLF (RFC 5321 §4.5.3.1.4 asks for 512 and extensions)
    auth_line: int = 12_288  # RFC 4954 §4
    discard: int = 65_536  # of an overlong or broken line before the connection is given up
    drain: int = 128 << 20  # of a refused message before the connection is given up
    recipients: int = 1000
    localpart: int = 128
    path: int = 256  # RFC 5321 §4.5.3.1.3
    parameters: int = 20


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of one connection; `Server.tls_started` may replace them."""

    kind: Kind
    hostname: str  # ASCII
    session_id: str = ""  # put after every error reply as " (id)"
    max_size: int = 104_857_600
    starttls: bool = False  # announce and allow
    requiretls: bool = False  # announce and allow MAIL's REQUIRETLS (once TLS is on)
    # Mechanisms announced and allowed now; None: there is no AUTH here at all.
    auth: tuple[str, ...] | None = None
    # Mechanisms that are answered with "538 encryption required" now.
    auth_after_tls: tuple[str, ...] = ()
    auth_required: bool = False  # MAIL before authentication is 530
    chunking: bool = True
    smtputf8: bool = True
    dsn: bool = False  # announce and allow NOTIFY, ORCPT, RET, ENVID (RFC 3461)
    future_release_s: int = 0  # longest hold; 0: FUTURERELEASE not offered
    pedantic: bool = False
    limits: Limits = LIMITS
