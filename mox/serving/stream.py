"""A byte stream over one socket, plain or TLS, for servers and clients under gevent.

A stream owns its socket: nothing else may read or write it, and one greenlet uses a stream
at a time. It works on the raw socket and the loop's watchers: an idle stream costs no
greenlet of its own, no file object and no buffer.
"""

from __future__ import annotations

import _socket
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import gevent
from gevent.hub import get_hub

from mox.networks import endpoint
from mox.serving.errors import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.serving.parking import (
    READ,
    WRITE,
    Event,
    Sentry,
    Wake,
    interrupt,
    new_waiter,
    park,
)
from mox.serving.pieces import Bytes, pieces
from mox.tlsio.client import ClientContext
from mox.tlsio.contexts import ServerContext
from mox.tlsio.engine import ChannelBinding, Session, TLSInfo
from mox.tlsio.errors import TLSError
from mox.tlsio.server import Opening
from mox.tlsio.session import TLSSession
from mox.turns import give_turn

if TYPE_CHECKING:
    from gevent._types import _IoWatcher as IoWatcher
    from gevent.hub import Waiter

_RECV_BYTES = 65536
# Reads in a row that found data waiting before others get a turn. Each counts more by the octets
# that it brought: after 256 KB it is enough in any case.
_FAIR_STREAK = 16
_FAIR_OCTETS = 1 << 14
# Slow mode: a second before each read; a byte a second until so much of the limit is left.
_SLOW_STEP_S = 1.0
_SLOW_RESERVE_S = 5.0
SEND_TIMEOUT_S = 30.0
HANDSHAKE_TIMEOUT_S = 60.0


class Stream:
    """One connected socket with time limits, optional TLS and byte counters.

    `remote_ip` is an address object; IPv4-mapped IPv6 addresses appear as IPv4.
    `bytes_received` and `bytes_sent` count protocol bytes (after decryption).
    `slow` makes a nuisance wait (tarpit): reads are delayed, writes drip.
    """

    __slots__ = (
        "_ended",
        "_interruptible",
        "_pending",
        "_session",
        "_sock",
        "_streak",
        "_unsent",
        "_watcher",
        "bytes_received",
        "bytes_sent",
        "draining",
        "local_ip",
        "local_port",
        "remote_ip",
        "remote_port",
        "slow",
        "tls",
    )

    def __init__(self, sock: _socket.socket) -> None:
        """Take over a connected socket. Raises ConnectionLost when it is gone already."""
        self._sock: _socket.socket | None = sock
        self._watcher: IoWatcher | None = None
        self._session: Session | None = None
        self._pending = b""
        self._ended = False
        self._interruptible: Waiter[Event] | Sentry | None = None
        self._streak = 0
        self._unsent = b""
        self.bytes_received = 0
        self.bytes_sent = 0
        self.slow = False
        self.draining = False
        self.tls: TLSInfo | None = None
        try:
            sock.setblocking(False)
            self.remote_ip, self.remote_port = endpoint(sock.getpeername())
            self.local_ip, self.local_port = endpoint(sock.getsockname())
        except OSError as e:
            raise ConnectionLost(str(e)) from e

    # Reading.

    def recv(self, timeout_s: float, *, idle: bool = False) -> bytes:
        """Return the next bytes (at most about 64 KB), b"" at the end of the stream.

        `idle=True` means "waiting for the next command": then, and only then, draining
        interrupts the wait. Raises ConnectionTimeout, ConnectionLost, ConnectionDraining.
        """
        if self.slow and not self.draining:
            self.sleep(_SLOW_STEP_S)
        deadline = 0.0
        while not (idle and self.draining):
            if self._fill():
                data, self._pending = self._pending, b""
                return data
            now = self.clock()
            deadline = deadline or now + timeout_s
            if idle:
                self._release_memory()
            if self._park(READ, deadline - now, interruptible=idle) == "timeout":
                raise ConnectionTimeout(f"nothing received for {timeout_s:g} s")
        raise ConnectionDraining

    def wait(self, timeout_s: float, wake: Wake) -> Literal["readable", "wake", "timeout"]:
        """Wait for bytes (or the end), a ring or the time; starts no greenlet.

        "readable": `recv` returns at once. "wake" is also returned when draining begins:
        look at `draining`. Raises ConnectionLost.
        """
        deadline = self.clock() + timeout_s
        while not self._fill():
            if wake.rung or self.draining:
                wake.rung = False
                return "wake"
            self._release_memory()
            event = self._park(READ, deadline - self.clock(), interruptible=True, wake=wake)
            if event == "timeout":
                return "timeout"
        return "readable"

    def park(
        self, timeout_s: float, wake: Wake | None, callback: Callable[[Event], None]
    ) -> Event | None:
        """Let the loop watch the stream without a greenlet, unless something is there already.

        None: `callback` is called once, on the loop, with "ready", "interrupt" (a ring, or
        draining) or "timeout"; until then nobody may use the stream. Otherwise what there is.
        Raises ConnectionLost.
        """
        if self._fill():
            return "ready"
        self._release_memory()
        if self.draining or (wake is not None and wake.rung):
            return "interrupt"
        self._interruptible = Sentry(self._watcher_for(READ), timeout_s, wake, callback)
        return None

    def _release_memory(self) -> None:
        if self._session is not None:
            out = self._session.rest()
            if out:
                self._send_raw(out, SEND_TIMEOUT_S)

    def _fill(self) -> bool:
        """Get bytes or the end into hand without waiting; false: there is nothing yet."""
        if self._pending or self._ended:
            return True
        # Bounded: TLS records without content must not keep us from looking at the time.
        for _ in range(_FAIR_STREAK):
            data = self._take()
            if data is None:
                return False
            plain = data if self._session is None else self._decrypt(data)
            if plain:
                self._pending = plain
                self.bytes_received += len(plain)
                return True
            if self._ended or not data:
                self._ended = True
                return True
        return False

    def _decrypt(self, data: bytes) -> bytes:
        session = self._session
        assert session is not None
        session.feed(data)
        try:
            plain = session.read()
        except TLSError as e:
            self._send_alert(session)
            raise ConnectionLost(f"TLS: {e.reason}") from e
        self._ended = session.eof
        if not plain:
            # Not application data: there may be an answer to give (a key update).
            self._send_raw(session.outgoing(), SEND_TIMEOUT_S)
        return plain

    def _take(self) -> bytes | None:
        """Read the socket once; None: nothing there."""
        sock = self._socket()
        try:
            data = sock.recv(_RECV_BYTES)
        except BlockingIOError:
            self._streak = 0
            return None
        except OSError as e:
            raise ConnectionLost(e.strerror or str(e)) from e
        self._streak += 1 + len(data) // _FAIR_OCTETS
        if self._streak >= _FAIR_STREAK:
            # A fast sender must not keep the loop from the other connections.
            self._streak = 0
            give_turn()
        return data

    # Writing.

    def send(self, data: Bytes | Sequence[Bytes], timeout_s: float = SEND_TIMEOUT_S) -> None:
        """Send all of `data`; return when the kernel has it.

        The time limit is for the peer to take *something*: a slow reader of a large answer
        is not cut off while it reads. Raises ConnectionTimeout, ConnectionLost.
        """
        if self.slow and not self.draining and not self._unsent:
            self._send_slowly(b"".join(pieces(data)), timeout_s)
            return
        for piece in pieces(data):
            self._send_piece(piece, timeout_s)

    def send_now(self, data: bytes) -> bool:
        """Send a few KB without waiting, also while the stream is parked.

        False: some is left for the next `send`, which may be one of nothing. What raises there
        raises here: TLS that failed, a peer that is gone (ConnectionLost).
        """
        session = self._session
        self.bytes_sent += len(data)
        if session is not None:
            try:
                session.write(data)
            except TLSError as e:
                raise ConnectionLost(f"TLS: {e.reason}") from e
            data = session.outgoing()
        if self._unsent:
            self._unsent += data
            return False
        try:
            sent = self._socket().send(data)
        except BlockingIOError:
            sent = 0
        except OSError as e:
            raise ConnectionLost(e.strerror or str(e)) from e
        self._unsent = data[sent:]
        return not self._unsent

    @property
    def has_unsent(self) -> bool:
        """Whether a `send_now` has left something."""
        return bool(self._unsent)

    def _send_piece(self, piece: Bytes, timeout_s: float) -> None:
        session = self._session
        if session is None:
            self._send_raw(piece, timeout_s)
        else:
            try:
                session.write(piece)
            except TLSError as e:
                raise ConnectionLost(f"TLS: {e.reason}") from e
            self._send_raw(session.outgoing(), timeout_s)
        self.bytes_sent += len(piece)

    def _send_slowly(self, data: bytes, timeout_s: float) -> None:
        drip_until = self.clock() + timeout_s - _SLOW_RESERVE_S
        sent = 0
        while sent < len(data) and self.clock() < drip_until:
            self._send_piece(data[sent : sent + 1], timeout_s)
            sent += 1
            self.sleep(_SLOW_STEP_S)
        if sent < len(data):
            self._send_piece(data[sent:], timeout_s)

    def _send_raw(self, data: Bytes, timeout_s: float) -> None:
        sock = self._socket()
        if self._unsent:
            data, self._unsent = b"".join((self._unsent, data)), b""
        while data:
            try:
                sent = sock.send(data)
            except BlockingIOError:
                if self._park(WRITE, timeout_s) == "timeout":
                    raise ConnectionTimeout(f"nothing taken for {timeout_s:g} s") from None
                continue
            except OSError as e:
                raise ConnectionLost(e.strerror or str(e)) from e
            if sent == len(data):
                return
            data = memoryview(data)[sent:]

    # TLS.

    def start_tls(self, context: ServerContext, timeout_s: float = HANDSHAKE_TIMEOUT_S) -> None:
        """Do the server side of a handshake; call after the go-ahead reply has been sent.

        Raises ConnectionLost (with the reason) when it fails, also when bytes that arrived
        before the handshake have not been handed out; ConnectionTimeout.
        """
        # RFC 3207 §4, RFC 9051 §11.1: what came in plain text must not be taken as protected.
        if self._pending:
            raise ConnectionLost("client sent data before the TLS handshake")
        self.start_tls_at_once(context, timeout_s)

    def start_tls_client(
        self,
        context: ClientContext,
        server_name: str,
        timeout_s: float = HANDSHAKE_TIMEOUT_S,
        *,
        verified_name: str = "",
    ) -> TLSSession:
        """Do the client side of a handshake; the session returned tells about the server.

        `verified_name` is the one that the certificate must be for, if not `server_name`.
        Raises TLSError (protocol or certificate), ConnectionLost, ConnectionTimeout.
        """
        if self._pending:
            raise ConnectionLost("server sent data before the TLS handshake")
        session = TLSSession(context, server_name, verified_name)
        self._handshake(session, self.clock() + timeout_s)
        return session

    def start_tls_at_once(
        self, context: ServerContext, timeout_s: float = HANDSHAKE_TIMEOUT_S
    ) -> None:
        """Like `start_tls` on a port that speaks TLS from the first byte."""
        deadline = self.clock() + timeout_s
        opening = Opening(context)
        data, self._pending = self._pending, b""
        session = opening.feed(data) if data else None
        try:
            while session is None:
                session = opening.feed(self._take_by(deadline))
            self._handshake(session, deadline)
        except TLSError as e:
            raise ConnectionLost(f"TLS handshake: {e.reason}") from e

    def _take_by(self, deadline: float) -> bytes:
        """The next part of a handshake, b"" for the end."""
        while (data := self._take()) is None:
            if self._park(READ, deadline - self.clock()) == "timeout":
                raise ConnectionTimeout("TLS handshake took too long")
        return data

    def _handshake(self, session: Session, deadline: float) -> None:
        while not self._handshake_step(session):
            session.feed(self._take_by(deadline))
        self._session = session
        self.tls = session.info()
        # What came with the last handshake message is application data already.
        self._pending = session.read()
        self._ended = session.eof
        self.bytes_received += len(self._pending)

    def _handshake_step(self, session: Session) -> bool:
        try:
            done = session.handshake()
        except TLSError:
            self._send_alert(session)
            raise
        # What a TLS 1.3 server has left to say then, the client does not wait for: it goes with
        # the first reply and saves both sides a turn.
        if not done or not session.last_flight_can_wait:
            self._send_raw(session.outgoing(), SEND_TIMEOUT_S)
        return done

    def _send_alert(self, session: Session) -> None:
        """Tell the peer why TLS ended, if that takes no waiting."""
        with contextlib.suppress(OSError):
            self._socket().send(session.outgoing())

    @property
    def session(self) -> Session | None:
        """The TLS session, for certificates and verdicts; None in plain text."""
        return self._session

    def channel_binding(self, kind: ChannelBinding) -> bytes | None:
        """Return the binding data of RFC 9266 / RFC 5929, None where it does not exist."""
        return None if self._session is None else self._session.channel_binding(kind)

    # Life.

    def unread(self, data: bytes) -> None:
        """Put bytes back that `recv` gave and that belong to what comes next."""
        self._pending = data + self._pending

    def drain(self) -> None:
        """Tell the stream's greenlet that the process stops (see `recv`, `wait`)."""
        self.draining = True
        if self._interruptible is not None:
            interrupt(self._interruptible)

    def close(self) -> None:
        """Close without waiting: close_notify if it fits, then the socket. Harmless twice."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        # What the peer has not taken by now it does not get: a peer that is gone is no error.
        with contextlib.suppress(OSError):
            if self._session is not None and not self._unsent:
                self._session.close()
                sock.send(self._session.outgoing())
            sock.shutdown(_socket.SHUT_WR)
            # Bytes left unread would turn the end into a reset, which can eat the last reply.
            sock.recv(_RECV_BYTES)
        self._session = None
        sock.close()

    def _socket(self) -> _socket.socket:
        if self._sock is None:
            raise ConnectionLost("connection is closed")
        return self._sock

    def _park(
        self,
        events: int,
        timeout_s: float,
        *,
        interruptible: bool = False,
        wake: Wake | None = None,
    ) -> Event:
        waiter = new_waiter()
        if interruptible:
            self._interruptible = waiter
        if wake is not None:
            wake.waiter = waiter
        watcher = self._watcher_for(events)
        try:
            return park(waiter, watcher, timeout_s)
        finally:
            self._interruptible = None
            if wake is not None:
                wake.waiter = None
            if watcher is not self._watcher:
                watcher.close()

    def _watcher_for(self, events: int) -> IoWatcher:
        """Return the watcher for reading, which is kept, or a new one for writing."""
        fd = self._socket().fileno()
        if events != READ:
            return get_hub().loop.io(fd, events)
        if self._watcher is None:
            self._watcher = get_hub().loop.io(fd, events)
        return self._watcher

    @staticmethod
    def sleep(seconds: float) -> None:
        """Sleep, for slow mode; tests put their own in."""
        gevent.sleep(seconds)

    @staticmethod
    def clock() -> float:
        """Return monotonic seconds; tests put their own in."""
        return time.monotonic()
