"""Delivery by SMTP: one session at a time, kept for the next message, to one of a way's hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from mox.queue import metrics, transactions
from mox.queue.connect import connect
from mox.queue.delivery import Delivery, DialedIPs
from mox.queue.dialorder import dial_order
from mox.queue.guard import Guard, keep_failure
from mox.queue.services import Services
from mox.queue.session import Session, SessionFailed
from mox.queue.verdict import Verdict
from mox.queue.way import Hosts, Unroutable, Way
from mox.store.outgoing_records import QueueMessage
from mox.tlspolicy.policy import OPPORTUNISTIC, TLSMode

IP = IPv4Address | IPv6Address

# Of one host, in a message's record: more tell nothing.
_MAX_DIALED: Final = 16

# RFC 8689 §4.1: better not delivered than without the protection that was asked for.
NO_REQUIRETLS: Final = Verdict(
    permanent=True,
    code=554,
    secode="7.30",
    error="554 5.7.30 REQUIRETLS: no server is known to be genuine",
)


class SMTPCarrier:
    """See the module. `is_down`: no host of the way could be talked to at all."""

    def __init__(self, services: Services, way: Way) -> None:
        self.is_down = False
        self._services = services
        self._way = way
        self._session: Session | None = None
        self._addresses: Sequence[IP] = ()  # of the session's host

    def connect(self) -> bool:
        """Begin a session with the first host that may be used."""
        try:
            hosts = self._way.find_hosts()
            with self._guarded(hosts, None) as guard:
                return any(self._begins(host, guard) for host in hosts.names)
        except (Unroutable, SessionFailed):
            return False

    def _begins(self, host: str, guard: Guard | None) -> bool:
        try:
            self._begin(host, None, guard)
        except Unroutable:
            return False
        return True

    def deliver(self, messages: Sequence[QueueMessage]) -> list[Delivery]:
        """Deliver a message to the recipients of these records."""
        self.is_down = False
        attempt = _Attempt(messages)
        if messages[0].require_tls is True and not self._way.takes_requiretls:
            metrics.REQUIRETLS_UNSUPPORTED.labels("nopolicy").inc()
            attempt.settle(NO_REQUIRETLS)
        else:
            self._reuse(attempt)
            if attempt.pending:
                self._try_hosts(attempt)
        return attempt.deliveries()

    def close(self) -> None:
        """End the session, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # ---- one attempt

    def _reuse(self, attempt: _Attempt) -> None:
        """Use the session that there is, if it is good for these messages."""
        session = self._session
        if session is None or not self._fits(session, attempt.first):
            return
        found = transactions.send(session, self._services.outgoing, attempt.pending)
        if session.is_usable or session.sent_content or not _broke_off(found):
            self._note(attempt, session, found)
        # Else the server was tired of the session before it heard of the message.
        self._drop_ended()

    def _fits(self, session: Session, msg: QueueMessage) -> bool:
        if not self._is_safe(session, msg):
            return False
        dialed = _dialed(msg, session.setup.host) if self._way.by_history else []
        if not session.is_usable:
            return False
        return not dialed or self._order(dialed)[:1] == [session.stream.remote_ip]

    def _is_safe(self, session: Session, msg: QueueMessage) -> bool:
        """Say whether a session that others made is as well protected as this message asks for."""
        tls = session.setup.tls
        if self._way.tls is not None or msg.require_tls is False:
            return True
        if tls.lenient or (msg.require_tls is True and not tls.authenticates):
            return False
        # After TLS that did not work: not everything may go without.
        return not (msg.is_dmarc_report and tls.mode is TLSMode.NONE)

    def _try_hosts(self, attempt: _Attempt) -> None:
        """Go through the hosts until all messages have a final verdict."""
        try:
            hosts = self._way.find_hosts()
            with self._guarded(hosts, attempt.first) as guard:
                self._try_each(hosts, attempt, guard)
        except Unroutable as e:
            attempt.settle(e.verdict)
            self.is_down = True
            if e.problem is not None and self._way.tls is None:
                keep_failure(self._services, attempt.first, e.problem)

    def _try_each(self, hosts: Hosts, attempt: _Attempt, guard: Guard | None) -> None:
        reached = attempt.hosts.copy()
        may_do = bool(reached) and not attempt.lacks_requiretls
        for host in hosts.names:
            if host in attempt.hosts:
                continue
            try:
                self._talk_to(host, attempt, guard)
                reached.add(host)
            except (Unroutable, SessionFailed) as e:
                attempt.settle(e.verdict)
            may_do = may_do or not attempt.lacks_requiretls
            # RFC 5321 §5.1: the next host is for what the one before could not do now.
            if not attempt.pending:
                break
        if guard is not None and not may_do and attempt.pending:
            # RFC 8689 §4.2.1: no host can do it, and that will not change by waiting.
            attempt.settle(NO_REQUIRETLS)
        self.is_down = not reached and may_do

    def _talk_to(self, host: str, attempt: _Attempt, guard: Guard | None) -> None:
        """Send what is pending to one host, in as many sessions as it takes."""
        while True:
            session = self._begin(host, attempt.first, guard)
            before = len(attempt.untried)
            found = transactions.send(
                session, self._services.outgoing, attempt.untried or attempt.pending
            )
            self._note(attempt, session, found)
            if any(verdict.lacks_requiretls for verdict in found.values()):
                metrics.REQUIRETLS_UNSUPPORTED.labels("norequiretls").inc()
            self._drop_ended()
            if not attempt.untried or len(attempt.untried) == before:
                return

    def _note(self, attempt: _Attempt, session: Session, found: dict[int, Verdict]) -> None:
        host, ip = session.setup.host, session.stream.remote_ip
        if self._way.tls is None:
            self._services.known_domains.note(attempt.first, session)
        if self._way.by_history and attempt.first.attempts == 1 and _is_dual(self._addresses):
            found = {id: _softened(verdict) for id, verdict in found.items()}
        attempt.note(host, ip, found)

    # ---- sessions

    @contextlib.contextmanager
    def _guarded(self, hosts: Hosts, msg: QueueMessage | None) -> Iterator[Guard | None]:
        """Give what knows the policies of a domain, where these decide. Raises Unroutable."""
        if self._way.tls is not None or hosts.destination is None:
            yield None
            return
        guard = Guard(self._services, hosts.destination, msg)
        try:
            yield guard
        finally:
            guard.keep_results()

    def _begin(self, host: str, msg: QueueMessage | None, guard: Guard | None) -> Session:
        self.close()
        try:
            found = self._way.find_host(host)
        except Unroutable as e:
            if guard is not None and e.problem is not None:
                guard.note_unroutable(host, e.problem)
            raise
        self._addresses = found.addresses
        tls = self._way.tls or (guard.policy(found.names) if guard else OPPORTUNISTIC)
        session = connect(
            self._services,
            self._way,
            host,
            self._order(_dialed(msg, host)) if msg is not None else list(self._addresses),
            tls,
            # RFC 8460 §3 asks for reports over TLS that failed; those of DMARC stay protected.
            may_fall_back=msg is None or not msg.is_dmarc_report,
            note=lambda session: guard.note(host, session) if guard else None,
        )
        self._session = session
        return session

    def _order(self, dialed: Sequence[IP]) -> list[IP]:
        return dial_order(self._addresses, dialed)

    def _drop_ended(self) -> None:
        if self._session is not None and not self._session.is_usable:
            self.close()


class _Attempt:
    """The state of one attempt for messages that share transactions."""

    def __init__(self, messages: Sequence[QueueMessage]) -> None:
        self._messages = messages
        self._verdicts: dict[int, Verdict] = {}
        self._dialed: dict[str, tuple[str, ...]] = {}

    @property
    def first(self) -> QueueMessage:
        return self._messages[0]

    @property
    def hosts(self) -> set[str]:
        """The hosts that have been talked to about these messages."""
        return set(self._dialed)

    @property
    def pending(self) -> list[QueueMessage]:
        """Messages that another host may still take."""
        return [msg for msg in self._messages if not self._is_final(msg)]

    @property
    def untried(self) -> list[QueueMessage]:
        return [msg for msg in self._messages if msg.id not in self._verdicts]

    @property
    def lacks_requiretls(self) -> bool:
        """Whether nothing kept the messages so far but that REQUIRETLS could not be had."""
        verdicts = [self._verdicts.get(msg.id) for msg in self._messages]
        return all(verdict is not None and verdict.lacks_requiretls for verdict in verdicts)

    def _is_final(self, msg: QueueMessage) -> bool:
        verdict = self._verdicts.get(msg.id)
        return verdict is not None and (verdict.success or verdict.permanent)

    def settle(self, verdict: Verdict) -> None:
        """Give everything pending the same verdict."""
        self._update({msg.id: verdict for msg in self.pending})

    def note(self, host: str, ip: IP, found: dict[int, Verdict]) -> None:
        self._dialed[host] = (*self._dialed.get(host, ()), str(ip))
        self._update(found)

    def _update(self, found: dict[int, Verdict]) -> None:
        for id, verdict in found.items():
            old = self._verdicts.get(id)
            # A server's words say more than that another one could not be reached.
            if old is None or verdict.success or verdict.reply or not old.reply:
                self._verdicts[id] = verdict

    def deliveries(self) -> list[Delivery]:
        return [
            Delivery(self._verdicts[msg.id], _merged(msg.dialed_ips, self._dialed))
            for msg in self._messages
        ]


def _merged(before: DialedIPs, new: DialedIPs) -> DialedIPs | None:
    if not new:
        return None
    return before | {
        host: (*before.get(host, ()), *ips)[-_MAX_DIALED:] for host, ips in new.items()
    }


def _dialed(msg: QueueMessage, host: str) -> list[IP]:
    return [ip_address(text) for text in msg.dialed_ips.get(host, ())]


def _broke_off(found: dict[int, Verdict]) -> bool:
    """Say whether nothing came back but that the session is over."""
    return all(
        not verdict.success and (verdict.reply is None or verdict.code == 421)
        for verdict in found.values()
    )


def _is_dual(addresses: Sequence[IP]) -> bool:
    return len({ip.version for ip in addresses}) > 1


def _softened(verdict: Verdict) -> Verdict:
    """A refusal by policy may be about our address: the next attempt uses the other family."""
    if verdict.permanent and verdict.secode.startswith("7."):
        return verdict.as_temporary()
    return verdict
