"""Mail of our users to our users: from the queue into mailboxes, without SMTP in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from mox.address import Domain, Path, parse_domain
from mox.config.lookup import POSTMASTER, NotLocal
from mox.delivery import incoming, replies
from mox.delivery.arrival import Arrival
from mox.delivery.recipients import Recipient, resolve_incoming
from mox.message.trace import Received
from mox.smtp.reply import Reply

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store import Store
    from mox.store.spool import Spool

# RFC 5321 §4.4: the trace field needs an address; ours is at both ends.
LOOPBACK: Final = IPv4Address("127.0.0.1")
PROTOCOL: Final = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMessage:
    """A message of the queue. `id` stands in the trace field, `when` is its time."""

    reverse_path: Path
    spool: Spool
    hostname: Domain
    id: str
    when: int
    has_8bit: bool = False
    smtputf8: bool = False


def is_local(config: Config, path: Path) -> bool:
    """Say whether this server has the mailbox of a recipient, or would have it."""
    return not isinstance(config.lookup.recipient(path), NotLocal)


def is_ours(config: Config, domain: str) -> bool:
    """Say whether some recipients at a domain (A-labels, or a literal in brackets) are local."""
    if domain.startswith("["):
        return False
    return is_local(config, Path(POSTMASTER, parse_domain(domain)))


def deliver_locally(
    store: Store, config: Config, message: LocalMessage, paths: Sequence[Path]
) -> list[Reply]:
    """Deliver to recipients that are local, by the rules for incoming mail; a reply for each."""
    resolved = [resolve_incoming(config, path, localserve=False) for path in paths]
    recipients = tuple(found for found in resolved if isinstance(found, Recipient))
    accepted = iter(_deliver(store, config, message, recipients) if recipients else ())
    return [found if isinstance(found, Reply) else next(accepted) for found in resolved]


def _deliver(
    store: Store, config: Config, message: LocalMessage, recipients: tuple[Recipient, ...]
) -> list[Reply]:
    arrival = Arrival(
        reverse_path=message.reverse_path,
        recipients=recipients,
        spool=message.spool,
        received=_trace(message),
        has_8bit=message.has_8bit,
    )
    result = incoming.deliver(store, config, arrival, localserve=False)
    if not result.outcomes:
        return [result.reply] * len(recipients)
    return [outcome.reply or replies.DELIVERED for outcome in result.outcomes]


def _trace(message: LocalMessage) -> Received:
    return Received(
        helo=message.hostname,
        remote_ip=LOOPBACK,
        hostname=message.hostname,
        local_ip=LOOPBACK,
        protocol=PROTOCOL,
        id=message.id,
        when=message.when,
        smtputf8=message.smtputf8,
    )
