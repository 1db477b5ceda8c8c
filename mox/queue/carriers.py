"""The carrier for each kind of next hop."""

from __future__ import annotations

from collections.abc import Sequence

from mox.delivery.local import LocalMessage, deliver_locally, is_local, is_ours
from mox.queue.delivery import Carrier, Delivery
from mox.queue.nexthop import Direct, NextHop, Refusal
from mox.queue.services import Services
from mox.queue.smtpcarrier import SMTPCarrier
from mox.queue.verdict import Verdict, of_reply, short_code
from mox.queue.way import way_of
from mox.smtp.reply import Reply
from mox.store.errors import StoreError
from mox.store.outgoing_records import QueueMessage


def carrier_to(services: Services, hop: NextHop) -> Carrier:
    """Return a new carrier to a next hop."""
    if isinstance(hop, Refusal):
        return Refuser(hop)
    smtp = SMTPCarrier(services, way_of(services, hop))
    return DirectCarrier(services, hop.domain, smtp) if isinstance(hop, Direct) else smtp


class Refuser:
    """Delivers nothing: transports of kind Fail, and what is configured wrong."""

    def __init__(self, hop: Refusal) -> None:
        self.is_down = False
        self._delivery = Delivery(
            Verdict(permanent=hop.permanent, code=hop.code, secode=hop.secode, error=hop.error)
        )

    def connect(self) -> bool:
        return True

    def deliver(self, messages: Sequence[QueueMessage]) -> list[Delivery]:
        return [self._delivery] * len(messages)

    def close(self) -> None:
        """Nothing is open."""


class DirectCarrier:
    """Delivers to a domain: what is ours into mailboxes, the rest by SMTP."""

    def __init__(self, services: Services, domain: str, smtp: SMTPCarrier) -> None:
        self._services = services
        self._domain = domain
        self._smtp = smtp

    @property
    def is_down(self) -> bool:
        return self._smtp.is_down

    def connect(self) -> bool:
        return is_ours(self._services.config, self._domain) or self._smtp.connect()

    def deliver(self, messages: Sequence[QueueMessage]) -> list[Delivery]:
        config = self._services.config
        local: list[QueueMessage] = []
        remote: list[QueueMessage] = []
        for msg in messages:
            (local if is_local(config, msg.recipient.path()) else remote).append(msg)
        self._smtp.is_down = False
        found: dict[int, Delivery] = {}
        if remote:
            delivered = self._smtp.deliver(remote)
            found |= {msg.id: one for msg, one in zip(remote, delivered, strict=True)}
        if local:
            verdicts = self._deliver_locally(local)
            found |= {msg.id: Delivery(one) for msg, one in zip(local, verdicts, strict=True)}
        return [found[msg.id] for msg in messages]

    def close(self) -> None:
        self._smtp.close()

    def _deliver_locally(self, messages: Sequence[QueueMessage]) -> list[Verdict]:
        services, first = self._services, messages[0]
        paths = [msg.recipient.path() for msg in messages]
        try:
            with services.ctx.store.spool() as spool:
                for piece in services.outgoing.chunks(first):
                    spool.write(piece)
                message = LocalMessage(
                    reverse_path=first.sender.path(),
                    spool=spool,
                    hostname=services.hostname,
                    id=f"q{first.id}",
                    when=int(services.clock()),
                    has_8bit=first.has_8bit,
                    smtputf8=first.smtputf8,
                )
                replies = deliver_locally(services.ctx.store, services.config, message, paths)
        except StoreError as e:
            return [Verdict(error=str(e))] * len(messages)
        return [_of_local(reply) for reply in replies]


def _of_local(reply: Reply) -> Verdict:
    if reply.is_positive:
        return Verdict(success=True, code=reply.code, secode=short_code(reply), reply=reply)
    return of_reply(reply)
