"""What the client machine tells the shell, and what it is asked to send."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mox.address import Path
from mox.smtp.dsnparameters import NO_REQUEST, DsnRequest
from mox.smtp.errors import SMTPError
from mox.smtp.extensions import Extensions
from mox.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class Message:
    """One transaction to be. `size` is that of the content in wire form, for SIZE."""

    reverse_path: Path
    forward_paths: tuple[Path, ...]
    size: int
    is_8bit: bool = False
    smtputf8: bool = False  # addresses or header need it
    requiretls: bool = False
    # RFC 3461, for servers that offer DSN: `requests` are in the order of the forward paths.
    ret: str = ""
    envid: str = ""
    requests: tuple[DsnRequest, ...] = ()

    def request(self, index: int) -> DsnRequest:
        return self.requests[index] if self.requests else NO_REQUEST


class Lack(Enum):
    """What the server cannot do that a message needs."""

    SIZE = "message is larger than the server takes"
    EIGHT_BIT = "server does not take 8-bit messages"
    SMTPUTF8 = "server does not take internationalized addresses"
    REQUIRETLS = "server does not support REQUIRETLS"


class Unsendable(SMTPError):
    """The server cannot take the message; nothing was sent. `temporary`: another host might."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.value)
        self.lack = lack
        self.temporary = lack in (Lack.SMTPUTF8, Lack.REQUIRETLS)


@dataclass(frozen=True, slots=True)
class Greeted:
    """The server's 220. Say `hello`."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Ready:
    """EHLO or HELO was accepted."""

    extensions: Extensions


@dataclass(frozen=True, slots=True)
class GoTLS:
    """STARTTLS was accepted: do the handshake, `tls_started`, `hello`."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    reply: Reply


@dataclass(frozen=True, slots=True)
class SendMessage:
    """354: `send` the content and `finish`."""


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """What became of one recipient.

    `reply` is what the server said about it; None when the connection ended before that.
    `tried` False: not sent, because the server takes no more recipients with this message.
    """

    path: Path
    reply: Reply | None
    delivered: bool
    temporary: bool
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction is over. `results` are in the order of the message's forward paths.

    After a failure `needs_reset` asks for RSET before the next transaction. `problem` says, for
    the log, why the connection ended, if it did.
    """

    results: tuple[RecipientResult, ...]
    needs_reset: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ResetDone:
    reply: Reply


@dataclass(frozen=True, slots=True)
class QuitDone:
    """The server said goodbye, or closed without (None)."""

    reply: Reply | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The server refused a request other than a transaction. `detail`: our own reason, if any."""

    command: str
    reply: Reply
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is of no more use: closed, or the server does not speak SMTP."""

    reason: str


@dataclass(frozen=True, slots=True)
class Replied:
    """A notice, for metrics and traces: the server has answered a command."""

    command: str
    reply: Reply


ClientEvent = (
    Greeted
    | Ready
    | GoTLS
    | Authenticated
    | SendMessage
    | Done
    | ResetDone
    | QuitDone
    | Failed
    | Lost
    | Replied
)
