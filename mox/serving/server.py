"""Accept connections on a worker's sockets and run a handler for each, until drained.

Connections come in by a door or, when other workers of the kind have more, from one of them.
"""

from __future__ import annotations

import _socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event
from greenlet import getcurrent, greenlet

from mox import logfmt, metrics
from mox.serving.connection import Connection
from mox.serving.door import Door, most_connections
from mox.serving.errors import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.serving.limits import Refusal
from mox.serving.parking import Event as ParkEvent
from mox.serving.parking import Parked
from mox.serving.proxy import MAX_HEADER_BYTES, ProxyError, parse_proxy_header
from mox.serving.sharing import Sharing

if TYPE_CHECKING:
    from gevent import Greenlet

    from mox.serving.context import Context, Listen
    from mox.tlsio.contexts import ServerContext

DRAIN_GRACE_S = 30.0
# When the process stops: a client that says something this often is in the middle of a
# conversation, and may go on with it for so long in all.
_PAUSE_S = 0.5
_CONVERSATION_S = 5.0
_PROXY_TIMEOUT_S = 5.0
# After the grace: time for handlers to clean up when they are told to die.
_LAST_MOMENT_S = 2.0

Handler = Callable[[Connection], Parked | None]


@dataclass(frozen=True, slots=True)
class Admission:
    """What a protocol wants of the front door.

    `group`: connections of equal group share limits ("smtp" for port 25 and submission).
    `auth_services`: services (Listen.service) closed to networks with many failed logins.
    `refuse(conn, refusal)` gives the bytes to send before closing, b"" for none.
    `unlimited`: sockets whose peers are not limited: reverse proxies bring everybody's.
    `package`: for log lines and mox_panic_total.
    `margin`: another worker that has so many connections less gets the next one.
    """

    group: str
    auth_services: frozenset[str]
    refuse: Callable[[Connection, Refusal], bytes]
    package: str = "serve"
    unlimited: Callable[[Listen], bool] = lambda _: False
    margin: int = 1


def serve(
    ctx: Context,
    handler: Handler,
    admission: Admission,
    *,
    grace_s: float = DRAIN_GRACE_S,
) -> None:
    """Serve all of ctx.listens until ctx.stopping is set and the connections are done.

    The handler runs in one greenlet per connection. When it returns None or raises, the
    connection is closed; when it returns Parked, the connection waits without a greenlet.
    ConnectionLost, ConnectionTimeout and ConnectionDraining that leave it are normal ends;
    anything else is logged with its stack and counted.
    """
    doors = [Door(ctx, listen) for listen in ctx.listens]
    server = _Server(ctx, handler, admission, doors)
    acceptors = [gevent.spawn(server.keep_open, number) for number in range(len(doors))]
    taker = server.begin_taking()
    try:
        ctx.ready()
        ctx.stopping.wait()
    finally:
        gevent.killall(acceptors)
        for door in doors:
            door.close()
    server.take_the_last()
    server.drain(grace_s)
    taker.kill()


@dataclass(slots=True, eq=False)
class _Visit:
    """A connection that is open: who it is, and what is to be given back at its end."""

    server: _Server
    conn: Connection
    door: Door
    admitted: bool = False
    running: greenlet | None = None  # None while it is parked
    resume: Callable[[ParkEvent], Parked | None] | None = None  # what it is parked for

    def woken(self, event: ParkEvent) -> None:
        """The park ends; called on the loop."""
        self.server.go_on_with(self, event)


class _Server:
    """The connections of a worker that are open now."""

    def __init__(
        self, ctx: Context, handler: Handler, admission: Admission, doors: Sequence[Door]
    ) -> None:
        self._ctx = ctx
        self._doors = doors
        self._sharing = ctx.sharing or Sharing.alone()
        self._handler = handler
        self._admission = admission
        self._limits = ctx.limits
        self._cids = ctx.cids
        self._most = most_connections()
        self._accepted = 0  # and not closed yet: those in _open and those about to be
        self._open: set[_Visit] = set()
        self._changed = Event()
        self._log = logfmt.logger(admission.package)

    def keep_open(self, number: int) -> None:
        """Accept from a door until killed."""
        door, margin = self._doors[number], self._admission.margin

        def take(sock: _socket.socket) -> None:
            if self._sharing.give(sock, number, margin):
                door.handed_over.inc()
            else:
                self._take(sock, door)

        door.accept(take, self._is_full)

    def begin_taking(self) -> Greenlet[..., None]:
        """Be there for what other workers hand over; returns what is to be killed at the end."""
        self._sharing.join(self._take_given)
        return gevent.spawn(self._sharing.listen, self._take_given, self._is_full)

    def take_the_last(self) -> None:
        """Tell the other workers to hand nothing over, and take what they already have."""
        self._sharing.leave(self._take_given)

    def _take_given(self, fd: int, number: int) -> None:
        door = self._doors[number]
        self._take(door.accepted(fd), door)

    def _take(self, sock: _socket.socket, door: Door) -> None:
        self._count(1)
        gevent.spawn_raw(self._begin, sock, door)

    def _count(self, by: int) -> None:
        self._accepted += by
        self._sharing.set_open(self._accepted)

    def _is_full(self) -> bool:
        return self._accepted >= self._most

    # One connection's life.

    def _begin(self, sock: _socket.socket, door: Door) -> None:
        try:
            conn = Connection(sock, door.listen, self._cids.next())
        except ConnectionLost:
            # Gone before we looked: nothing to say, nobody to say it to.
            sock.close()
            self._left()
            return
        visit = _Visit(self, conn, door)
        self._open.add(visit)
        door.gauge.inc()
        self._go_on(visit, partial(self._attend, visit))

    def _go_on(self, visit: _Visit, step: Callable[[], Parked | None]) -> None:
        """Run a step of a connection in this greenlet; then it is parked, or at its end."""
        visit.running = getcurrent()
        stays = False
        try:
            parked = step()
            while parked is not None and not stays:
                visit.resume = parked.resume
                event = visit.conn.park(parked.timeout_s, parked.wake, visit.woken)
                stays = event is None
                if event is not None:
                    parked = parked.resume(event)
        except (ConnectionLost, ConnectionTimeout, ConnectionDraining, ProxyError) as e:
            conn = visit.conn
            self._log.debug("connection ends", err=e, cid=conn.cid, remote_ip=conn.remote_ip)
        except Exception:
            metrics.PANICS.labels(self._admission.package).inc()
            self._log.exception(
                "connection failed for an unexpected reason",
                cid=visit.conn.cid,
                remote_ip=visit.conn.remote_ip,
            )
        finally:
            if stays:
                visit.running = None
            else:
                self._end(visit)

    def go_on_with(self, visit: _Visit, event: ParkEvent) -> None:
        """Give a parked connection a greenlet again."""
        resume, visit.resume = visit.resume, None
        assert resume is not None, "it is parked"
        gevent.spawn_raw(self._go_on, visit, partial(resume, event))

    def _end(self, visit: _Visit) -> None:
        visit.conn.close()
        visit.door.gauge.dec()
        self._open.discard(visit)
        if visit.admitted:
            self._limits.connection_closed(self._admission.group, visit.conn.remote_ip)
        self._left()

    def _left(self) -> None:
        self._count(-1)
        self._changed.set()

    def _tls_context(self, listen: Listen) -> ServerContext | None:
        certificates = self._ctx.certificates
        if certificates is None:
            return None
        takes_logins = listen.service in self._admission.auth_services
        asking = takes_logins and self._ctx.has_tls_keys
        return certificates.server_context(listen.listener, listen.service, asking=asking)

    def _attend(self, visit: _Visit) -> Parked | None:
        conn = visit.conn
        conn.tls_context = self._tls_context(conn.listen)
        if visit.door.is_proxy(conn.remote_ip):
            read_proxy_header(conn)
        group, service = self._admission.group, conn.listen.service
        check_auth = service in self._admission.auth_services
        refusal = None
        if not self._admission.unlimited(conn.listen):
            refusal = self._limits.connection_opened(group, conn.remote_ip, check_auth=check_auth)
            visit.admitted = refusal is None
        if conn.listen.implicit_tls:
            if conn.tls_context is None:
                raise ConnectionLost("listener has no certificate yet")
            conn.start_tls_at_once(conn.tls_context)
        if refusal is None and not conn.draining:
            return self._handler(conn)
        self._turn_away(conn, refusal or Refusal.SHUTTING_DOWN)
        return None

    def _turn_away(self, conn: Connection, refusal: Refusal) -> None:
        self._log.info("connection refused", reason=refusal, cid=conn.cid, remote_ip=conn.remote_ip)
        text = self._admission.refuse(conn, refusal)
        if text:
            conn.send(text)

    # The end.

    def drain(self, grace_s: float) -> None:
        """Tell all connections to finish; cut off those that do not."""
        end = time.monotonic() + grace_s
        self._let_finish(min(_CONVERSATION_S, grace_s))
        for visit in list(self._open):
            visit.conn.drain()
        self._wait_until_empty(end - time.monotonic())
        if self._open:
            self._log.warn("connections cut off at shutdown", connections=len(self._open))
            for visit in list(self._open):
                if visit.running is not None:
                    gevent.kill(visit.running)
            self._wait_until_empty(_LAST_MOMENT_S)

    def _let_finish(self, limit_s: float) -> None:
        """Tell those who are silent; those who have just come or are talking get their answers."""
        deadline = time.monotonic() + limit_s
        heard: dict[_Visit, int] = {}
        while self._accepted and time.monotonic() < deadline:
            for visit in list(self._open):
                received = visit.conn.bytes_received
                if heard.get(visit) == received:
                    visit.conn.drain()
                heard[visit] = received
            self._wait_until_empty(_PAUSE_S)

    def _wait_until_empty(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self._accepted and (left_s := deadline - time.monotonic()) > 0:
            self._changed.clear()
            self._changed.wait(left_s)


def read_proxy_header(conn: Connection) -> None:
    """Take the header off the beginning and the client's address out of it.

    Raises ProxyError, ConnectionTimeout (5 s for all of it), ConnectionLost.
    """
    deadline = conn.clock() + _PROXY_TIMEOUT_S
    data = b""
    while (header := parse_proxy_header(data)) is None:
        more = conn.recv(max(deadline - conn.clock(), 0.0))
        if not more:
            raise ProxyError("connection ended before its PROXY header")
        data += more
    assert header.length <= MAX_HEADER_BYTES
    conn.unread(data[header.length :])
    if header.source is not None and header.destination is not None:
        conn.remote_ip, conn.remote_port = header.source
        conn.local_ip, conn.local_port = header.destination
