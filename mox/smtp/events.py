"""What the server machine tells the shell (RFC 5321 §4.1).

Each event in `NEEDS_REPLY` waits for `Server.reply`, `Server.accept` or, in AUTH,
`Server.challenge`; the others are notices. Texts come decoded, addresses parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from mox.address import Domain, Path
from mox.smtp.dsnparameters import NO_REQUEST, DsnRequest
from mox.smtp.reply import Reply

BodyType = Literal["7BIT", "8BITMIME"]


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO or HELO. The transaction, if any, is gone (RFC 5321 §4.1.4).

    `name` is what the client said, cleaned; "" when a submission client said nothing usable.
    `domain` is set when the name is a valid domain, `address` when it is an address literal.
    """

    name: str
    domain: Domain | None
    address: IPv4Address | IPv6Address | None
    is_extended: bool  # EHLO


@dataclass(frozen=True, slots=True)
class StartTLS:
    """The client wants TLS: accept, send the bytes, do the handshake, call `tls_started`."""


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH with a mechanism that is announced. `initial` None: no initial response."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The client's decoded answer to a challenge."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MailFrom:
    """MAIL with valid syntax and parameters."""

    path: Path
    size: int | None = None
    body: BodyType | None = None
    smtputf8: bool = False
    requiretls: bool = False
    auth: str | None = None  # decoded AUTH= value, "" for <>
    hold_for_s: int | None = None
    hold_until: datetime | None = None
    ret: str = ""  # RFC 3461: FULL, HDRS
    envid: str = ""  # decoded
    hold: str = ""  # "for;<seconds>" or "until;<time>" as given, for DSNs (RFC 4865 §5)


@dataclass(frozen=True, slots=True)
class RcptTo:
    """RCPT with valid syntax. `Path("postmaster", None)` is the bare <postmaster>."""

    path: Path
    request: DsnRequest = NO_REQUEST


@dataclass(frozen=True, slots=True)
class Data:
    """A message is about to come. Accept (nothing goes out for BDAT) or refuse."""

    chunking: bool  # BDAT


@dataclass(frozen=True, slots=True)
class DataChunk:
    """Octets of the message in wire form, dots unstuffed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class DataEnd:
    """The message is complete; the reply ends the transaction.

    With a `problem` the message is not complete and must not be used: reply with the problem.
    """

    size: int  # octets given in chunks
    problem: Reply | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """A transaction was dropped (RSET, EHLO, BDAT out of order); forget its message."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The machine has answered a command by itself: NOOP, QUIT, syntax, sequence, AUTH cancelled…

    `verb` is "" when the command could not be told. An error with verb "AUTH" ends a running
    authentication exchange.
    """

    verb: str
    reply: Reply


Event = (
    Hello
    | StartTLS
    | Auth
    | AuthResponse
    | MailFrom
    | RcptTo
    | Data
    | DataChunk
    | DataEnd
    | Reset
    | Answered
)
NEEDS_REPLY = (Hello, StartTLS, Auth, AuthResponse, MailFrom, RcptTo, Data, DataEnd)
