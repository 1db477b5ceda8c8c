"""The server side of an SMTP connection as a machine (RFC 5321; h11's shape).

The shell runs this loop and decides policy; syntax, order, line ends and limits are the machine's.

>>> server = Server(ServerConfig("delivery", "mx.example"))
>>> server.reply(Reply(220, None, "mx.example ESMTP"))
>>> server.receive(b"HELO client.example\\r\\nNOOP\\r\\nQUIT\\r\\n")
>>> while (event := server.next_event()) is not None:
...     if isinstance(event, NEEDS_REPLY):
...         server.accept()  # or server.reply(Reply(550, "5.1.1", "no such user"))
>>> server.data_to_send().splitlines()[:2]
[b'220 mx.example ESMTP', b'250 mx.example']
>>> server.closed
True

`next_event` returns None when all complete commands are answered: then one write sends all
replies, and if the machine is not `closed` more octets are received. On `StartTLS`: accept, send,
do the handshake, call `tls_started`. On `Auth`: `challenge` until the mechanism is through, then
reply with 235 or an error. Nothing is read while an event waits for its reply, nor before the
greeting, nor while TLS is being negotiated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from mox.smtp import replies
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
    DataChunk,
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
from mox.smtp.state import ALLOWED, COMMAND_STATES, NEXT, TRANSACTION_STATES, State, Trigger

_AFTER_LOGIN = frozenset({"MAIL", "RCPT", "DATA", "BDAT"})


class Server:
    """One connection. The attributes without underscore are for reading."""

    def __init__(
        self, config: ServerConfig, *, has_tls: bool = False, now: Clock | None = None
    ) -> None:
        """`now` returns the time in UTC; without it FUTURERELEASE is not offered."""
        self.config = config
        self.has_tls = has_tls
        self.is_authenticated = False
        self.state = State.GREETING
        self.hello: Hello | None = None
        self.mail: MailFrom | None = None
        self.recipients: list[RcptTo] = []
        # Error replies since the last accepted message or login, whoever decided them.
        self.errors = 0
        self._now = now
        self._used_auth = False
        self._input = LineBuffer()
        self._output: list[bytes] = []
        self._events: deque[Event] = deque()
        self._awaiting: Event | None = None
        self._commands = 0
        self._skipped: int | None = None  # octets of a bad line dropped so far
        self._drain: tuple[int, Reply] | None = None  # octets of a refused chunk, its reply
        self._chunk: tuple[int, bool] = (0, False)  # octets to come, LAST
        self._incoming: Incoming | None = None

    @property
    def closed(self) -> bool:
        """The conversation is over: send what `data_to_send` returns and close."""
        return self.state is State.CLOSED

    @property
    def in_transaction(self) -> bool:
        return self.state in TRANSACTION_STATES

    def receive(self, data: bytes) -> None:
        """Take octets from the network; all work is done in `next_event`."""
        if self.state is not State.CLOSED:
            self._input.feed(data)

    def next_event(self) -> Event | None:
        """Return the next event; None: send what there is, then receive."""
        if self._awaiting is not None:
            raise LocalProtocolError(f"{self._awaiting} waits for its reply")
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

    # ---- what the shell decides

    def accept(self) -> None:
        """Give the usual positive reply to the event that waits."""
        event = self._awaiting
        if event is None:
            raise LocalProtocolError("there is nothing to accept")
        if isinstance(event, Hello):
            self.reply(self._hello_reply(event))
        else:
            self.reply(replies.ACCEPTANCE[type(event)])

    def reply(self, reply: Reply, *, close: bool = False) -> None:
        """Greet, or reply to the event that waits. A 421 or `close` ends the conversation."""
        event, self._awaiting = self._awaiting, None
        if event is None:
            if self.state is not State.GREETING:
                raise LocalProtocolError(f"no command waits for {reply}")
            self._go(Trigger.GREETED)
            close = close or reply.is_error
        if isinstance(event, DataEnd) and event.problem and not reply.is_error:
            raise LocalProtocolError("this message cannot be accepted")
        if not (isinstance(event, Data) and event.chunking):
            self._write(reply)
        if event is not None:
            self._CONCLUSIONS[type(event)](self, event, reply)
        if close or reply.code == 421:
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
        """Go on after the handshake as if freshly connected, with `config` from now on."""
        self._go(Trigger.TLS_DONE)
        self.config = config
        self.has_tls = True
        # RFC 3207 §4.2: forget what was learned before, the argument of EHLO first of all.
        self.hello = None

    def preauthenticate(self) -> None:
        """Note that the client is known by its certificate. It may still use AUTH."""
        self.is_authenticated = True

    def abort(self, reply: Reply) -> None:
        """Send `reply` whatever the client is doing, and close."""
        self._awaiting = None
        self._events.clear()
        self._write(reply)
        self._close()

    def _hello_reply(self, event: Hello) -> Reply:
        if not event.is_extended:
            return Reply(250, None, self.config.hostname)
        now = self._now() if self._now and self.config.future_release_s else None
        return Reply(250, None, ehlo_lines(self.config, has_tls=self.has_tls, now=now))

    # ---- what follows from a reply

    def _conclude_hello(self, event: Event, reply: Reply) -> None:
        if reply.is_positive and isinstance(event, Hello):
            self.hello = event
            self._go(Trigger.HELLO)

    def _conclude_starttls(self, event: Event, reply: Reply) -> None:
        if reply.is_positive:
            self._go(Trigger.TLS_ACCEPTED)
            # RFC 3207 §6: what came in plain text after STARTTLS is not part of the TLS session.
            self._input.clear()

    def _conclude_auth(self, event: Event, reply: Reply) -> None:
        self._go(Trigger.AUTH_DONE)
        if reply.is_positive:
            self.is_authenticated = self._used_auth = True
            self.errors = 0

    def _conclude_mail(self, event: Event, reply: Reply) -> None:
        if reply.is_positive and isinstance(event, MailFrom):
            self.mail = event
            self._go(Trigger.MAIL_ACCEPTED)

    def _conclude_rcpt(self, event: Event, reply: Reply) -> None:
        if reply.is_positive and isinstance(event, RcptTo):
            self.recipients.append(event)
            self._go(Trigger.RCPT_ACCEPTED)

    def _conclude_data(self, event: Event, reply: Reply) -> None:
        assert isinstance(event, Data)
        octets, _ = self._chunk
        if reply.is_error:
            self._end_transaction()
            if event.chunking:
                self._drain_chunk(octets, reply)
            return
        self._incoming = Incoming(self.config)
        self._go(Trigger.CHUNK_BEGINS if event.chunking else Trigger.DATA_ACCEPTED)

    def _conclude_message(self, event: Event, reply: Reply) -> None:
        exhausted = self._incoming is not None and self._incoming.exhausted
        self._end_transaction()
        if reply.is_positive:
            self.errors = 0
        if exhausted:
            self._close()

    # ---- reading, by state

    def _read_command(self) -> bool:
        if self._drain is not None:
            return self._read_drain(*self._drain)
        if self._skipped is not None:
            return self._read_skip(self._skipped)
        limits = self.config.limits
        # RFC 4954 §4: the line of AUTH with an initial response may be that long.
        is_auth = self._input.starts_with(b"AUTH ")
        line = self._input.line(limits.auth_line if is_auth else limits.command_line)
        if line is None:
            return False
        self._commands += 1
        if isinstance(line, Bad):
            self._skipped = 0
            self._refuse("", replies.BAD_LINES[line])
        else:
            self._command(line)
        return True

    def _read_auth(self) -> bool:
        line = self._input.line(self.config.limits.auth_line)
        if line is None:
            return False
        try:
            if isinstance(line, Bad):
                self._skipped = 0
                too_long = line is Bad.TOO_LONG
                raise CommandRefused(
                    replies.AUTH_LINE_TOO_LONG if too_long else replies.BAD_LINES[line]
                )
            # RFC 4954 §4: "*" cancels, answered with 501.
            if line == b"*":
                raise CommandRefused(replies.AUTH_CANCELLED)
            self._events.append(AuthResponse(decode_base64(line)))
        except CommandRefused as refused:
            self._go(Trigger.AUTH_DONE)
            self._refuse("AUTH", refused.reply)
        return True

    def _read_data(self) -> bool:
        octets = self._input.take()
        if not octets:
            return False
        incoming = self._message()
        content, rest = incoming.data(octets)
        if content:
            self._events.append(DataChunk(content))
        if rest:
            self._input.push_back(rest)
        if rest is not None or incoming.exhausted:
            self._events.append(DataEnd(incoming.size, incoming.problem))
        return True

    def _read_chunk(self) -> bool:
        missing, is_last = self._chunk
        octets = self._input.take(missing)
        if missing and not octets:
            return False
        incoming = self._message()
        self._chunk = (missing - len(octets), is_last)
        content = incoming.chunk(octets)
        if len(octets) == missing and is_last:
            incoming.last_chunk_done()
        if content:
            self._events.append(DataChunk(content))
        if len(octets) == missing:
            self._chunk_done(missing_reply=is_last or incoming.problem is not None)
        elif incoming.exhausted:
            self._events.append(DataEnd(incoming.size, incoming.problem))
        return True

    def _chunk_done(self, *, missing_reply: bool) -> None:
        incoming = self._message()
        if missing_reply:
            self._events.append(DataEnd(incoming.size, incoming.problem))
            return
        self._go(Trigger.CHUNK_TAKEN)
        self._answer("BDAT", Reply(250, "2.0.0", f"{incoming.size} octets received"))

    def _read_skip(self, skipped: int) -> bool:
        dropped, found = self._input.skip_line()
        self._skipped = None if found else skipped + dropped
        if skipped + dropped > self.config.limits.discard:
            self._close()
        return found

    def _read_drain(self, missing: int, reply: Reply) -> bool:
        missing -= len(self._input.take(missing))
        if missing:
            self._drain = (missing, reply)
            return False
        self._drain = None
        self._refuse("BDAT", reply)
        return True

    # ---- commands

    def _command(self, line: bytes) -> None:
        verb = ""
        try:
            text = _decode(line)
            name, _, argument = text.partition(" ")
            if not self.config.pedantic and name.upper() != "AUTH":
                argument = argument.rstrip(" \t")
            name = name.rstrip("\t").upper()
            command = self._COMMANDS.get(name)
            if command is None:
                first = self._commands == 1
                raise CommandRefused(replies.NOT_SMTP if first else replies.UNKNOWN, close=first)
            verb = name
            # A chunk has to be read whatever comes of it: cmd_bdat looks at the order itself.
            if verb != "BDAT":
                self._check_order(verb)
            command(self, argument)
        except CommandRefused as refused:
            self._refuse(verb, refused.reply, close=refused.close)

    def _check_order(self, verb: str) -> None:
        if verb in _AFTER_LOGIN and self.config.auth_required and not self.is_authenticated:
            raise CommandRefused(replies.AUTH_REQUIRED)
        if self.state not in ALLOWED[verb]:
            raise CommandRefused(replies.OUT_OF_ORDER)

    def cmd_helo(self, argument: str) -> None:
        self._say_hello(parse_hello(argument, self.config, is_extended=False))

    def cmd_ehlo(self, argument: str) -> None:
        self._say_hello(parse_hello(argument, self.config, is_extended=True))

    def _say_hello(self, hello: Hello) -> None:
        # RFC 5321 §4.1.4: EHLO during a session clears all buffers as RSET does.
        self._drop_transaction()
        self._events.append(hello)

    def cmd_starttls(self, argument: str) -> None:
        _no_argument(argument)
        if not self.config.starttls or self.has_tls or self._used_auth:
            raise CommandRefused(replies.NO_TLS)
        self._events.append(StartTLS())

    def cmd_auth(self, argument: str) -> None:
        # RFC 4954 §4: after a successful AUTH no more AUTH.
        if self.config.auth is None or self._used_auth:
            raise CommandRefused(replies.OUT_OF_ORDER)
        auth = parse_auth(argument, self.config)
        if auth.mechanism not in self.config.auth:
            later = auth.mechanism in self.config.auth_after_tls
            raise CommandRefused(replies.AUTH_NEEDS_TLS if later else replies.AUTH_UNKNOWN)
        self._events.append(auth)

    def cmd_mail(self, argument: str) -> None:
        self._events.append(parse_mail(argument, self.config, has_tls=self.has_tls, now=self._now))

    def cmd_rcpt(self, argument: str) -> None:
        smtputf8 = self.mail is not None and self.mail.smtputf8
        recipient = parse_rcpt(argument, self.config, smtputf8=smtputf8)
        # RFC 5321 §4.5.3.1.10: 452, and the others are still served.
        if len(self.recipients) >= self.config.limits.recipients:
            raise CommandRefused(replies.TOO_MANY_RECIPIENTS)
        self._events.append(recipient)

    def cmd_data(self, argument: str) -> None:
        _no_argument(argument)
        self._events.append(Data(chunking=False))

    def cmd_bdat(self, argument: str) -> None:
        if not self.config.chunking:
            # The octets that follow would be taken for commands.
            raise CommandRefused(replies.UNKNOWN, close=True)
        octets, is_last = parse_bdat(argument)
        if octets > self.config.limits.drain + self.config.max_size:
            raise CommandRefused(replies.TOO_LARGE, close=True)
        try:
            self._check_order("BDAT")
        except CommandRefused as refused:
            self._drain_chunk(octets, refused.reply)
            return
        self._chunk = (octets, is_last)
        if self.state is State.CHUNKS:
            self._go(Trigger.CHUNK_BEGINS)
        else:
            self._events.append(Data(chunking=True))

    def cmd_rset(self, argument: str) -> None:
        _no_argument(argument)
        self._drop_transaction()
        self._answer("RSET", replies.OK)

    def cmd_vrfy(self, argument: str) -> None:
        parse_free_text(argument)
        self._answer("VRFY", replies.CANNOT_VERIFY)

    def cmd_expn(self, argument: str) -> None:
        parse_free_text(argument)
        self._answer("EXPN", replies.CANNOT_VERIFY)

    def cmd_help(self, argument: str) -> None:
        self._answer("HELP", replies.HELP)

    def cmd_noop(self, argument: str) -> None:
        # RFC 5321 §4.1.1.9: a string after NOOP is ignored.
        self._answer("NOOP", replies.OK)

    def cmd_quit(self, argument: str) -> None:
        _no_argument(argument)
        self._drop_transaction()
        self._answer("QUIT", replies.BYE)
        self._close()

    # ---- small steps

    def _go(self, trigger: Trigger) -> None:
        try:
            self.state = NEXT[trigger][self.state]
        except KeyError:
            raise LocalProtocolError(f"{trigger.name} in state {self.state.name}") from None

    def _write(self, reply: Reply) -> None:
        if reply.is_error:
            self.errors += 1
            if self.config.session_id:
                reply = reply.with_suffix(f"({self.config.session_id})")
        utf8 = self.mail is not None and self.mail.smtputf8
        self._output.append(reply.encode(utf8=utf8))

    def _answer(self, verb: str, reply: Reply) -> None:
        self._write(reply)
        self._events.append(Answered(verb, reply))

    def _refuse(self, verb: str, reply: Reply, *, close: bool = False) -> None:
        self._answer(verb, reply)
        if close:
            self._close()

    def _drain_chunk(self, octets: int, reply: Reply) -> None:
        self._drain = (octets, reply)

    def _message(self) -> Incoming:
        assert self._incoming is not None
        return self._incoming

    def _drop_transaction(self) -> None:
        if self.in_transaction:
            self._end_transaction()
            self._events.append(Reset())

    def _end_transaction(self) -> None:
        self._go(Trigger.RESET)
        self.mail = None
        self.recipients = []
        self._incoming = None

    def _close(self) -> None:
        self._go(Trigger.CLOSE)
        self._input.clear()
        self._incoming = None

    _READERS: ClassVar[dict[State, Callable[[Server], bool]]] = {
        **dict.fromkeys(COMMAND_STATES, _read_command),
        State.AUTH: _read_auth,
        State.DATA: _read_data,
        State.BDAT: _read_chunk,
    }
    _COMMANDS: ClassVar[dict[str, Callable[[Server, str], None]]] = {
        "HELO": cmd_helo,
        "EHLO": cmd_ehlo,
        "STARTTLS": cmd_starttls,
        "AUTH": cmd_auth,
        "MAIL": cmd_mail,
        "RCPT": cmd_rcpt,
        "DATA": cmd_data,
        "BDAT": cmd_bdat,
        "RSET": cmd_rset,
        "VRFY": cmd_vrfy,
        "EXPN": cmd_expn,
        "HELP": cmd_help,
        "NOOP": cmd_noop,
        "QUIT": cmd_quit,
    }
    _CONCLUSIONS: ClassVar[dict[type[Event], Callable[[Server, Event, Reply], None]]] = {
        Hello: _conclude_hello,
        StartTLS: _conclude_starttls,
        Auth: _conclude_auth,
        AuthResponse: _conclude_auth,
        MailFrom: _conclude_mail,
        RcptTo: _conclude_rcpt,
        Data: _conclude_data,
        DataEnd: _conclude_message,
    }


def _decode(line: bytes) -> str:
    # RFC 5321 §4.1.2 has no NUL, CR or LF within a command.
    if b"\0" in line or b"\r" in line or b"\n" in line:
        raise CommandRefused(replies.BAD_OCTET)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as err:
        raise CommandRefused(replies.BAD_OCTET) from err


def _no_argument(argument: str) -> None:
    if argument:
        raise syntax_error("unexpected argument")
