"""The server side of an SMTP connection as a machine (RFC 5321; h11's shape).

The shell runs this loop and decides policy; syntax, order, line ends and limits are the machine's.

    server.reply(Reply(220, None, f"{hostname} ESMTP mox"))
    while not server.closed:
        event = server.next_event()
        if event is None:                       # all complete commands are answered:
            connection.send(server.data_to_send())  # one write for all replies
            server.receive(connection.recv())
        elif isinstance(event, events.NEEDS_REPLY):
            server.accept() or server.reply(Reply(550, "5.1.1", "no such user"))
    connection.send(server.data_to_send())

On `StartTLS`: accept, send, do the handshake, `tls_started(config)`. On `Auth`: `challenge` until
the mechanism is through, then `reply` with 235 or an error. Nothing is read while an event waits
for its reply, nor before the greeting, nor while TLS is being negotiated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mox.smtp.arguments import (
    decode_base64,
    encode_base64,
    parse_auth,
    parse_bdat,
    parse_free_text,
    parse_hello,
    parse_mail,
    parse_rcpt,
    syntax_error,
)
from mox.smtp.config import ServerConfig
from mox.smtp.errors import CommandRefused, LocalProtocolError
from mox.smtp.events import (
    NEEDS_REPLY,
    Answered,
    Auth,
    AuthResponse,
    Data,
    DataEnd,
    Event,
    Hello,
    MailFrom,
    RcptTo,
    Reset,
    StartTLS,
)
from mox.smtp.incoming import Incoming
from mox.smtp.keywords import ehlo_lines
from mox.smtp.linebuffer import Bad, LineBuffer
from mox.smtp.parameters import Clock
from mox.smtp.reply import Reply
from mox.smtp.state import ALLOWED, NEXT, TRANSACTION_STATES, State, Trigger

OUT_OF_ORDER = Reply(503, "5.5.1", "bad sequence of commands")
UNKNOWN = Reply(500, "5.5.1", "unknown command")
NOT_SMTP = Reply(500, "5.5.2", "please try again speaking smtp")
BAD_LINES = {
    Bad.TOO_LONG: Reply(500, "5.5.0", "line too long"),
    Bad.BARE_LF: Reply(500, "5.5.2", "lines must end in carriage return and line feed"),
}
BAD_OCTET = Reply(500, "5.5.2", "bad character in command")
AUTH_REQUIRED = Reply(530, "5.7.0", "authentication required")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "encryption required for this mechanism")
AUTH_UNKNOWN = Reply(504, "5.5.4", "mechanism not supported")
AUTH_CANCELLED = Reply(501, "5.5.0", "authentication aborted")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "authentication line too long")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "too many recipients")

# What `accept` sends, where it is the same for everybody.
ACCEPTANCE: dict[type[Event], Reply] = {
    StartTLS: Reply(220, "2.0.0", "go!"),
    MailFrom: Reply(250, "2.1.0", "looking good"),
    RcptTo: Reply(250, "2.1.0", "now on the list"),
    Data: Reply(354, None, "see you at the bare dot"),
    DataEnd: Reply(250, "2.2.0", "it is done"),
    AuthResponse: Reply(235, "2.7.0", "nice"),
    Auth: Reply(235, "2.7.0", "nice"),
}


class Server:
    """One connection. Public attributes are for reading; only the machine sets them."""

    def __init__(
        self, config: ServerConfig, *, has_tls: bool = False, now: Clock | None = None
    ) -> None:
        """`now` is needed for FUTURERELEASE only and must return times in UTC."""
        self.config = config
        self.has_tls = has_tls
        self.is_authenticated = False
        self.state = State.GREETING
        self.hello: Hello | None = None
        self.mail: MailFrom | None = None
        self.recipients: list[RcptTo] = []
        # Error replies since the last accepted message or login, by whomever decided.
        self.errors = 0
        self._now = now
        self._input = LineBuffer()
        self._output: list[bytes] = []
        self._events: deque[Event] = deque()
        self._awaiting: Event | None = None
        self._commands = 0
        self._skipping: int | None = None  # octets of a bad line dropped so far
        self._incoming: Incoming | None = None

    @property
    def closed(self) -> bool:
        """The conversation is over: send what `data_to_send` returns and close."""
        return self.state is State.CLOSED

    @property
    def in_transaction(self) -> bool:
        return self.state in TRANSACTION_STATES

    def receive(self, data: bytes) -> None:
        """Take octets from the network; cheap, all work is done in `next_event`."""
        if self.state is not State.CLOSED:
            self._input.feed(data)

    def next_event(self) -> Event | None:
        """Return the next event; None: nothing left to do but send, then receive."""
        if self._awaiting is not None:
            raise LocalProtocolError(f"{self._awaiting} has not been replied to")
        while not self._events:
            reader = self._READERS.get(self.state)
            if reader is None or not reader(self):
                return None
        event = self._events.popleft()
        if isinstance(event, NEEDS_REPLY):
            self._awaiting = event
        return event

    def data_to_send(self) -> bytes:
        """Return and forget all octets that are to be sent."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    # Answers of the shell

    def accept(self) -> None:
        """Reply to the event that waits with the usual positive reply."""
        event = self._awaiting
        if isinstance(event, Hello):
            self.reply(self._hello_reply(event))
        elif event is None:
            raise LocalProtocolError("there is nothing to accept")
        else:
            self.reply(ACCEPTANCE[type(event)])

    def reply(self, reply: Reply, *, close: bool = False) -> None:
        """Greet, or reply to the event that waits. A 421 or `close` ends the conversation."""
        event = self._awaiting
        if event is None and self.state is not State.GREETING:
            raise LocalProtocolError(f"no command waits for {reply}")
        self._awaiting = None
        if event is None:
            self._go(Trigger.GREETED)
        else:
            self._check_reply(event, reply)
        if not (isinstance(event, Data) and event.chunking):
            self._write(reply)
        if event is not None:
            self._conclude(event, reply)
        if close or reply.code == 421 or (event is None and reply.is_error):
            self._close()

    def challenge(self, data: bytes) -> None:
        """Send a challenge of the authentication mechanism; an `AuthResponse` follows."""
        if not isinstance(self._awaiting, Auth | AuthResponse):
            raise LocalProtocolError("no authentication is going on")
        self._awaiting = None
        # RFC 4954 §4: 334 without enhanced code, then base64.
        self._output.append(b"334 " + encode_base64(data) + b"\r\n")
        self._go(Trigger.CHALLENGED)

    def tls_started(self, config: ServerConfig) -> None:
        """Go on after the handshake, as if freshly connected, with `config` from now on."""
        self._go(Trigger.TLS_DONE)
        self.config = config
        self.has_tls = True
        # RFC 3207 §4.2: forget what was learned before, the argument of EHLO first of all.
        self.hello = None
        self._input.clear()

    def preauthenticate(self) -> None:
        """Note that the client is known by its certificate. It may still use AUTH."""
        self._preauthenticated = True

    def abort(self, reply: Reply) -> None:
        """Send `reply` whatever the client is doing, and close."""
        self._awaiting = None
        self._write(reply)
        self._close()
