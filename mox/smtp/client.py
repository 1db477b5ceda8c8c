"""The client side of an SMTP connection as a machine (RFC 5321, RFC 2920).

The shell asks for one thing at a time and gets the outcome as an event:

    hello() → Ready        start_tls() → GoTLS      authenticate(m) → Authenticated
    transact(message) → SendMessage, then send(chunk)… and finish() → Done
    reset() → ResetDone    quit() → QuitDone

or `Failed` where the server says no, or `Lost` when the connection is of no more use; a
transaction always ends with `Done`. `next_event` returns None when there is nothing to do but
send `data_to_send()` and receive; `receive(b"")` tells that the server has closed. Where sending
fails, still receive: the server may have said why before it closed.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mox.errors import MoxError
from mox.smtp.clientevents import (
    Authenticated,
    ClientEvent,
    Done,
    Failed,
    GoTLS,
    Greeted,
    Lack,
    Lost,
    Message,
    QuitDone,
    Ready,
    Replied,
    ResetDone,
    SendMessage,
    Unsendable,
)
from mox.smtp.dsnparameters import NO_REQUEST, encode_xtext
from mox.smtp.errors import LocalProtocolError
from mox.smtp.extensions import NO_EXTENSIONS, Extensions, parse_extensions
from mox.smtp.outgoing import DotWriter
from mox.smtp.reply import Reply
from mox.smtp.replyparser import BadReply, ReplyParser
from mox.smtp.transaction import Transaction

# RFC 5321 §3.2: servers without EHLO answer 500; others are in use for the same.
_NO_EHLO = frozenset({500, 501, 502, 503, 504})
# Longer initial responses go as an answer to an empty challenge (RFC 4954 §4, RFC 5321 §4.5.3.1.4).
_MAX_INITIAL = 480


class AuthMechanism(Protocol):
    """What `Client.authenticate` drives; mox.sasl.client has them."""

    name: str

    def initial(self) -> bytes | None: ...

    def step(self, challenge: bytes) -> bytes: ...

    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ClientConfig:
    hostname: str  # ASCII, for EHLO
    max_reply_line: int = 2048
    max_reply_lines: int = 512
    require_8bitmime: bool = False  # pedantic: no 8-bit content to servers without 8BITMIME


@dataclass(frozen=True, slots=True)
class _Expected:
    """A command that was sent and what to do with its reply."""

    command: str
    on_reply: Callable[[Reply], None]


class Client:
    """One connection. The attributes without underscore are for reading."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self.extensions: Extensions = NO_EXTENSIONS
        self.has_tls = False
        self.is_usable = True
        self._parser = ReplyParser(config.max_reply_line, config.max_reply_lines)
        self._output: list[bytes] = []
        self._events: deque[ClientEvent] = deque()
        self._expected: deque[_Expected] = deque()
        self._eof = False
        self._transaction: Transaction | None = None
        self._writer: DotWriter | None = None
        self._mechanism: AuthMechanism | None = None
        self._expect("", self._on_greeting)

    def receive(self, data: bytes) -> None:
        """Take octets from the network; b"" is the end of the stream."""
        if data:
            self._parser.feed(data)
        else:
            self._eof = True

    def next_event(self) -> ClientEvent | None:
        """Return the next event; None: send what there is, then receive."""
        while not self._events:
            if not self.is_usable or not self._read_reply():
                return None
        return self._events.popleft()

    def data_to_send(self) -> bytes:
        """Return and forget all octets that are to be sent."""
        output = self._output
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return data

    # ---- requests

    def hello(self) -> None:
        """Send EHLO, and HELO where that is not known."""
        self._begin()
        self._command("EHLO", self.config.hostname, self._on_ehlo)

    def start_tls(self) -> None:
        """Send STARTTLS, announced or not."""
        self._begin()
        self._command("STARTTLS", "", self._on_starttls)

    def tls_started(self) -> None:
        """Go on after the handshake; `hello` is due again."""
        # RFC 3207 §4.2: forget what was learned in plain text.
        self.extensions = NO_EXTENSIONS
        self.has_tls = True

    def authenticate(self, mechanism: AuthMechanism) -> None:
        """Send AUTH and drive the mechanism to its end."""
        self._begin()
        self._mechanism = mechanism
        initial = mechanism.initial()
        argument = mechanism.name
        if initial is not None and len(initial) <= _MAX_INITIAL:
            # RFC 4954 §4: "=" is an initial response of no octets.
            argument += " " + (b64encode(initial).decode() or "=")
        self._command("AUTH", argument, self._on_auth)

    def transact(self, message: Message) -> None:
        """Begin a transaction. Raises Unsendable when the server cannot take the message."""
        self._begin()
        if not message.forward_paths:
            raise LocalProtocolError("message without recipients")
        mail = self._mail_argument(message)
        self._transaction = Transaction(message)
        self._command("MAIL", mail, self._on_mail)
        if self.extensions.pipelining:
            for index in range(len(message.forward_paths)):
                self._command("RCPT", self._rcpt_argument(index), self._on_rcpt)
            self._command("DATA", "", self._on_data)

    def send(self, chunk: bytes) -> None:
        """Give content in wire form. Raises BadMessage: then only closing is left."""
        self._output.append(self._content().feed(chunk))

    def finish(self) -> None:
        """End the content. Raises BadMessage: then only closing is left."""
        self._output.append(self._content().finish())
        self._writer = None
        self._expect("DATA", self._on_final)

    def reset(self) -> None:
        self._begin()
        self._command("RSET", "", self._on_reset)

    def quit(self) -> None:
        self._begin()
        self._command("QUIT", "", self._on_quit)

    def _begin(self) -> None:
        if self._expected or self._transaction is not None or not self.is_usable:
            raise LocalProtocolError("the connection is busy or lost")

    def _content(self) -> DotWriter:
        if self._writer is None:
            raise LocalProtocolError("no message is being sent")
        return self._writer

    def _command(self, verb: str, argument: str, on_reply: Callable[[Reply], None]) -> None:
        line = f"{verb} {argument}" if argument else verb
        assert "\r" not in line and "\n" not in line
        self._output.append(line.encode() + b"\r\n")
        self._expect(verb, on_reply)

    def _expect(self, verb: str, on_reply: Callable[[Reply], None]) -> None:
        self._expected.append(_Expected(verb, on_reply))

    def _mail_argument(self, message: Message) -> str:
        extensions = self.extensions
        self._check(message)
        words = [f"FROM:<{message.reverse_path.pack(message.smtputf8)}>"]
        if extensions.size is not None:
            words.append(f"SIZE={message.size}")
        if extensions.eight_bit:
            words.append("BODY=8BITMIME" if message.is_8bit else "BODY=7BIT")
        if message.smtputf8:
            words.append("SMTPUTF8")
        if message.requiretls:
            words.append("REQUIRETLS")
        if extensions.dsn and message.ret:
            words.append(f"RET={message.ret}")
        if extensions.dsn and message.envid:
            words.append(f"ENVID={encode_xtext(message.envid)}")
        return " ".join(words)

    def _rcpt_argument(self, index: int) -> str:
        assert self._transaction is not None
        message = self._transaction.message
        words = [f"TO:<{message.forward_paths[index].pack(message.smtputf8)}>"]
        # RFC 3461 §5.2.1: what was asked for is passed on.
        request = message.request(index) if self.extensions.dsn else NO_REQUEST
        if request.notify:
            words.append(f"NOTIFY={','.join(request.notify)}")
        if request.orcpt:
            type_, _, address = request.orcpt.partition(";")
            words.append(f"ORCPT={type_};{encode_xtext(address)}")
        return " ".join(words)

    def _check(self, message: Message) -> None:
        extensions = self.extensions
        paths = (message.reverse_path, *message.forward_paths)
        if extensions.size and message.size > extensions.size:
            raise Unsendable(Lack.SIZE)
        if message.is_8bit and self.config.require_8bitmime and not extensions.eight_bit:
            raise Unsendable(Lack.EIGHT_BIT)
        needs_utf8 = message.smtputf8 or any(path.needs_smtputf8 for path in paths)
        if needs_utf8 and not (extensions.smtputf8 and message.smtputf8):
            raise Unsendable(Lack.SMTPUTF8)
        if message.requiretls and not extensions.requiretls:
            raise Unsendable(Lack.REQUIRETLS)

    # ---- replies

    def _read_reply(self) -> bool:
        try:
            reply = self._parser.next(enhanced=self.extensions.enhanced_codes)
        except BadReply as err:
            self._lose(str(err))
            return True
        if reply is None:
            if self._eof:
                self._on_eof()
            return self._eof
        if not self._expected:
            self._on_unasked(reply)
            return True
        expected = self._expected.popleft()
        self._events.append(Replied(expected.command, reply))
        expected.on_reply(reply)
        # RFC 5321 §4.2.3: after 421 the server closes.
        if reply.code == 421 and self.is_usable:
            self._lose(f"server said {reply}")
        return True

    def _on_unasked(self, reply: Reply) -> None:
        if self._writer is not None and self._transaction is not None and reply.is_error:
            # Some refuse a message, for its size say, before they have read all of it.
            self._events.append(Replied("DATA", reply))
            self._transaction.final = reply
        self._lose(f"server said {reply}")

    def _on_eof(self) -> None:
        if self._expected and self._expected[0].command == "QUIT":
            self.is_usable = False
            self._events.append(QuitDone(None))
        else:
            self._lose("server closed the connection")

    def _lose(self, reason: str) -> None:
        self.is_usable = False
        self._expected.clear()
        transaction, self._transaction = self._transaction, None
        self._writer = None
        if transaction is not None:
            self._events.append(Done(transaction.results(), False, reason))
        self._events.append(Lost(reason))

    def _fail(self, command: str, reply: Reply, detail: str = "") -> None:
        self._events.append(Failed(command, reply, detail))

    def _on_greeting(self, reply: Reply) -> None:
        if reply.code == 220:
            self._events.append(Greeted(reply))
        else:
            self._fail("", reply)

    def _on_ehlo(self, reply: Reply) -> None:
        if reply.is_positive:
            self.extensions = parse_extensions(reply.lines[1:])
            self._events.append(Ready(self.extensions))
        elif reply.code in _NO_EHLO and not self.has_tls:
            self._command("HELO", self.config.hostname, self._on_helo)
        else:
            self._fail("EHLO", reply)

    def _on_helo(self, reply: Reply) -> None:
        if reply.is_positive:
            self._events.append(Ready(self.extensions))
        else:
            self._fail("HELO", reply)

    def _on_starttls(self, reply: Reply) -> None:
        if reply.code != 220:
            self._fail("STARTTLS", reply)
        elif not self._parser.is_empty:
            # Replies in plain text must not be taken as if they had come over TLS.
            self._lose("server sent data after its reply to STARTTLS")
        else:
            self._events.append(GoTLS())

    def _on_auth(self, reply: Reply) -> None:
        mechanism = self._mechanism
        assert mechanism is not None
        try:
            if reply.code == 334:
                answer = mechanism.step(_decode(reply))
                self._output.append(b64encode(answer) + b"\r\n")
                self._expect("AUTH", self._on_auth)
            elif reply.is_positive:
                mechanism.finish()
                self._events.append(Authenticated(reply))
            else:
                self._fail("AUTH", reply)
        except (MoxError, binascii.Error) as err:
            self._give_up_auth(reply, str(err))

    def _give_up_auth(self, reply: Reply, detail: str) -> None:
        if reply.code != 334:
            # The server let us in without proof of who it is.
            self._fail("AUTH", reply, detail)
            return
        # RFC 4954 §4: "*" cancels, the server answers 501.
        self._output.append(b"*\r\n")
        self._expect("AUTH", lambda cancelled: self._fail("AUTH", cancelled, detail))

    def _on_mail(self, reply: Reply) -> None:
        transaction = self._running()
        transaction.mail = reply
        if self.extensions.pipelining:
            return
        if reply.is_positive:
            self._next_rcpt(transaction)
        else:
            self._end_transaction()

    def _on_rcpt(self, reply: Reply) -> None:
        transaction = self._running()
        transaction.rcpts.append(reply)
        if self.extensions.pipelining:
            return
        if not transaction.stop_if_too_many(reply) and not transaction.all_answered:
            self._next_rcpt(transaction)
        elif transaction.any_accepted:
            self._command("DATA", "", self._on_data)
        else:
            self._end_transaction()

    def _next_rcpt(self, transaction: Transaction) -> None:
        self._command("RCPT", self._rcpt_argument(len(transaction.rcpts)), self._on_rcpt)

    def _on_data(self, reply: Reply) -> None:
        transaction = self._running()
        if reply.code != 354:
            transaction.refused_data = reply
            self._end_transaction()
        elif transaction.any_accepted and not _refused(transaction.mail):
            self._writer = DotWriter()
            self._events.append(SendMessage())
        else:
            # RFC 2920 §3.1: 354 without a recipient: an empty message brings us back in step.
            self._output.append(b".\r\n")
            self._expect("DATA", lambda _: self._end_transaction())

    def _on_final(self, reply: Reply) -> None:
        self._running().final = reply
        self._end_transaction()

    def _end_transaction(self) -> None:
        transaction = self._running()
        self._transaction = None
        done = transaction.final is not None and transaction.final.is_positive
        self._events.append(Done(transaction.results(), needs_reset=not done))

    def _running(self) -> Transaction:
        assert self._transaction is not None
        return self._transaction

    def _on_reset(self, reply: Reply) -> None:
        if reply.is_positive:
            self._events.append(ResetDone(reply))
        else:
            self._fail("RSET", reply)

    def _on_quit(self, reply: Reply) -> None:
        self.is_usable = False
        self._events.append(QuitDone(reply))


def _decode(reply: Reply) -> bytes:
    return binascii.a2b_base64(reply.lines[0].strip().encode(), strict_mode=True)


def _refused(reply: Reply | None) -> bool:
    return reply is None or not reply.is_positive
