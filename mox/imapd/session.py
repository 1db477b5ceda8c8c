"""One client's connection: who it is, what it has enabled and selected, and what goes out.

Handlers write untagged responses through a session; the command loop (mox.imapd.loop) writes the
tagged ones and decides when bytes leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from mox import logfmt
from mox.imap import codes, responses
from mox.imap.deflate import Compression, DeflateError
from mox.imap.framing import Reader
from mox.imap.limits import LIMITS, LIMITS_BEFORE_LOGIN
from mox.imap.state import Feature, Happening
from mox.imap.state import Session as ProtocolState
from mox.imapd import notifying
from mox.imapd.pace import Pace
from mox.imapd.updates import idler_text
from mox.serving.clientcert import Certified, certified
from mox.serving.connection import ConnectionLost, Wake
from mox.serving.login import Client
from mox.store.errors import StoreError

if TYPE_CHECKING:
    from mox.imap.events import Event
    from mox.imap.notify import Interest
    from mox.imapd.bodies import Message
    from mox.imapd.feed import Feed
    from mox.imapd.service import Service
    from mox.imapd.view import View
    from mox.logfmt import Kind
    from mox.serving.connection import Connection
    from mox.serving.login import LoginSession
    from mox.store.account import Account

LOGIN_TIMEOUT_S: Final = 30.0
LITERAL_TIMEOUT_S: Final = 30.0
# RFC 9051 §5.4: an inactivity timer must give at least 30 minutes.
COMMAND_TIMEOUT_S: Final = 30 * 60.0
SEND_TIMEOUT_S: Final = 5 * 60.0
# Octets of responses that are collected before they are sent.
_BATCH: Final = 128 * 1024


# Octets that a socket takes at once when it is writable at all.
_AT_ONCE: Final = 2048


class Idling(NamedTuple):
    """A running IDLE: its tag, and since when (time.monotonic())."""

    tag: str
    since: float


class Session:
    """The state of a connection.

    state: the protocol's state and what the client has enabled.
    account, feed: set once logged in. view: the selected mailbox.
    cached: the message that was fetched from last. finished: the running command is the last.
    then: to be done when the running command's OK has been sent.
    bad_commands: those in a row that made no sense. idling: the IDLE that is running.
    user: the name that was logged in with. compression: set once COMPRESS is in force.
    interest: what NOTIFY asked for. heard: the account's modseq up to which that was told.
    unfinished: a response has been begun and is not complete.
    quiet_since: when the session was parked between commands; 0 if it is not.
    """

    __slots__ = (
        "_login",
        "_out",
        "_size",
        "account",
        "bad_commands",
        "cached",
        "compression",
        "conn",
        "feed",
        "finished",
        "heard",
        "idling",
        "interest",
        "log",
        "quiet_since",
        "reader",
        "service",
        "state",
        "then",
        "unfinished",
        "user",
        "view",
        "wake",
    )

    def __init__(self, service: Service, conn: Connection) -> None:
        self.service = service
        self.conn = conn
        self.log = self._logger()
        pedantic = service.ctx.config.static.pedantic
        self.reader = Reader(LIMITS_BEFORE_LOGIN, pedantic=pedantic)
        self.state = ProtocolState()
        self._login: LoginSession | None = None
        self.account: Account | None = None
        self.feed: Feed | None = None
        self.user = ""
        self.compression: Compression | None = None
        self.interest: Interest | None = None
        self.heard = 0
        self.quiet_since = 0.0
        self.unfinished = False
        self.wake = Wake()
        self.view: View | None = None
        self.cached: Message | None = None
        self.finished = False
        self.bad_commands = -1  # until the first command has been understood
        self.idling: Idling | None = None
        self.then: Callable[[], None] | None = None
        self._out: list[bytes] = []
        self._size = 0

    def _logger(self) -> logfmt.Logger:
        return logfmt.logger("imapserver").bind(cid=self.conn.cid, remote_ip=self.conn.remote_ip)

    # ---- writing

    def write(self, data: bytes, kind: Kind = "line") -> None:
        """Add to what is to be sent; sends when a batch is full."""
        self._add(data, kind)
        if self._size >= _BATCH:
            self.flush()

    def write_in_turn(self, pieces: Sequence[bytes]) -> None:
        """Write a response in pieces: lines and data in turn."""
        if self.log.trace_enabled():
            for i, piece in enumerate(pieces):
                self.log.trace_protocol("S: ", piece, "data" if i % 2 else "line")
        self._out += pieces
        self._size += sum(map(len, pieces))
        if self._size >= _BATCH:
            self.flush()

    def _add(self, data: bytes, kind: Kind = "line") -> None:
        if self.log.trace_enabled():
            self.log.trace_protocol("S: ", data, kind)
        self._out.append(data)
        self._size += len(data)

    def flush(self) -> None:
        """Send what has been written."""
        if self._out:
            out, size = self._out, self._size
            self._out, self._size = [], 0
            timeout_s = LOGIN_TIMEOUT_S if self.account is None else SEND_TIMEOUT_S
            if self.compression is None and size > 2 * _BATCH:
                # Something large, which is not copied once more for a client that is slow.
                self.conn.send(out, timeout_s)
                return
            data = out[0] if len(out) == 1 else b"".join(out)
            if self.compression is None:
                self.conn.send(data, timeout_s)
            else:
                self._send_compressed(self.compression, data, timeout_s)
        elif self.conn.has_unsent:
            self.conn.send(b"", SEND_TIMEOUT_S)

    def _send_compressed(self, compression: Compression, data: bytes, timeout_s: float) -> None:
        pace = Pace()
        for start in range(0, len(data), _BATCH):
            self.conn.send(compression.compress(data[start : start + _BATCH]), timeout_s)
            if start:
                pace()

    # ---- reading

    @property
    def command_timeout_s(self) -> float:
        return LOGIN_TIMEOUT_S if self.account is None else COMMAND_TIMEOUT_S

    def receive(self, timeout_s: float, *, idle: bool = False) -> None:
        """Wait for octets and give them to the reader. Raises ConnectionLost at their end."""
        self.flush()
        compression = self.compression
        if compression is not None and compression.pending:
            self._inflate(compression)
            return
        data = self.conn.recv(timeout_s, idle=idle)
        if not data:
            raise ConnectionLost("client closed the connection")
        if compression is None:
            self.reader.feed(data)
        else:
            compression.feed(data)
            self._inflate(compression)

    def _inflate(self, compression: Compression) -> None:
        try:
            self.reader.feed(compression.read())
        except DeflateError as e:
            raise ConnectionLost(str(e)) from e

    @property
    def has_input(self) -> bool:
        """Whether receive() has something without waiting for the client."""
        return self.compression is not None and self.compression.pending

    def start_compression(self) -> None:
        """From here on both directions are compressed, also what the client sent already."""
        self.compression = Compression()
        rest = self.reader.take_rest()
        if rest:
            self.compression.feed(rest)

    def next_event(self) -> Event:
        """The next event within a command."""
        while (event := self.reader.next_event()) is None:
            self.receive(LITERAL_TIMEOUT_S)
        return event

    # ---- logging in

    @property
    def login(self) -> LoginSession:
        """The client's attempts to log in."""
        if self._login is None:
            self._login = self._login_session()
        return self._login

    def _login_session(self) -> LoginSession:
        conn = self.conn
        listener = self.service.ctx.config.static.listeners[conn.listen.listener]
        known = self.certified
        client = Client(
            kind="imap",
            ip=conn.remote_ip,
            has_tls=conn.tls is not None,
            plaintext_allowed=listener.imap.no_require_starttls,
            announce_binding=listener.sasl_channel_binding,
            binding=conn.channel_binding,  # type: ignore[arg-type]  # it is asked for known kinds
            certificate=None if known is None else known.login,
        )
        return self.service.authenticator.session(client, self.log)

    @property
    def certified(self) -> Certified | None:
        """What the client's TLS certificate stands for."""
        return certified(self.service.ctx, self.conn)

    def start_tls(self) -> None:
        """Do the handshake; what the client said before it is forgotten."""
        # RFC 9051 §11.1: what came in plain text must not be taken as protected.
        if self.reader.take_rest():
            raise ConnectionLost("client sent data before the TLS handshake")
        assert self.conn.tls_context is not None, "checked by STARTTLS"
        self.conn.start_tls(self.conn.tls_context)
        self._login = None

    def tire(self) -> None:
        """Make a connection that guesses passwords wait, and one that knew it no longer."""
        self.conn.slow = self.login.is_slow

    def logged_in(self, account: Account, user: str) -> None:
        """Enter the authenticated state."""
        self.account = account
        self.user = user
        self.feed = self.service.feeds.join(account)
        self.reader.limits = LIMITS
        self.state.happened(Happening.AUTHENTICATED)
        self.log = self.log.bind(account=account.name)

    def log_out(self) -> None:
        """Go back to where the connection began, but for TLS (RFC 8437 §3)."""
        if self.view is not None:
            self.deselect()
        if self.feed is not None:
            self.service.feeds.leave(self.feed, self)
            self.feed = None
        self.account = None
        self.user = ""
        self.interest = None
        self._login = None
        self.state.happened(Happening.UNAUTHENTICATED)
        self.reader.limits = LIMITS_BEFORE_LOGIN
        self.reader.utf8 = False
        self.log = self._logger()

    def end_compression(self) -> None:
        """What the client sends after this is plain again."""
        self.compression = None

    # ---- the selected mailbox

    def select(self, view: View) -> None:
        self.view = view
        self.state.happened(Happening.SELECTED, read_only=view.read_only)

    def deselect(self) -> None:
        """Leave the selected state. Messages shown as \\Recent here are so nowhere else."""
        view, self.view = self.view, None
        self.cached = None
        if view is None or self.account is None:
            return
        self.state.happened(Happening.DESELECTED)
        view.close()
        if view.read_only or self.state.rev2 or view.uidnext <= view.recent_claimed:
            return
        mailbox = self.account.mailbox_by_id(view.mailbox_id)
        if mailbox is not None and mailbox.recent_from < view.uidnext:
            self.account.claim_recent(view.mailbox_id)

    def tell(self, *, expunge: bool) -> None:
        """Write what others did; `expunge`: removals from the selected mailbox too."""
        if self.feed is not None:
            notifying.tell(self, expunge=expunge)

    @property
    def listens(self) -> bool:
        """Whether the client is told of changes also when it says nothing (NOTIFY)."""
        return self.interest is not None and bool(self.interest.groups)

    def attend(self) -> None:
        """Hear of changes, or no longer: when the client begins or ends to be told at once."""
        if self.feed is not None:
            if self.idling is not None or self.listens:
                self.feed.follow(self)
            else:
                self.feed.unfollow(self)

    def announce(self) -> None:
        """There may be news. A client that idles is told at once if that takes no waiting."""
        if self.interest is not None or self.state.metadata:
            # What there is to tell may take waiting.
            if self.listens or self.idling is not None:
                self.wake.ring()
            return
        view, feed = self.view, self.feed
        if self.idling is None or view is None or feed is None:
            return
        is_parked = self.wake.waiter is not None and not view.contexts
        if not is_parked or self._out or self.conn.slow or self.conn.has_unsent:
            self.wake.ring()
            return
        # Nothing here lets another greenlet run before all is said.
        text = idler_text(view, feed, self.state)
        if text:
            self._tell_now(text)

    def _tell_now(self, text: bytes) -> None:
        """Send a client that is parked what it is told; a slow one gets it by its session."""
        if self.log.trace_enabled():
            self.log.trace_protocol("S: ", text)
        if len(text) > _AT_ONCE:
            self._out.append(text)
            self._size = len(text)
            self.wake.ring()
            return
        if self.compression is not None:
            text = self.compression.compress(text)
            self.compression.rest()
        try:
            if not self.conn.send_now(text):
                self.wake.ring()
        except ConnectionLost:
            # The session finds out by itself.
            self.wake.ring()

    def use_condstore(self) -> None:
        """RFC 7162 §3.1: the first use of CONDSTORE enables it for the rest of the session."""
        if self.state.enable(Feature.CONDSTORE):
            self.tell_modseq()

    def tell_modseq(self) -> None:
        """CONDSTORE was enabled just now: from which modseq on the client is told of changes."""
        if self.view is not None and self.account is not None:
            mailbox = self.account.mailbox_by_id(self.view.mailbox_id)
            if mailbox is not None:
                # Not above what this client has been told of.
                code = codes.highestmodseq(min(mailbox.modseq, self.view.modseq))
                self.write(responses.untagged("OK", "condstore enabled", code))

    # ---- life

    def shrink(self) -> None:
        """Free what can be made again, before a long wait."""
        self.cached = None
        if self.account is not None:
            self._login = None
        if self.compression is not None:
            self.compression.rest()
        if self.view is not None:
            self.view.shrink()

    def close(self) -> None:
        """The connection is over."""
        try:
            self.deselect()
        except StoreError as e:
            self.log.error("leaving mailbox", err=e)
        finally:
            if self.feed is not None:
                self.service.feeds.leave(self.feed, self)
                self.feed = None
