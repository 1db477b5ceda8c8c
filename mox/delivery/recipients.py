"""Who gets a message: forward-paths resolved at RCPT, aliases expanded at the end of DATA."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from mox.address import Address, Domain, Path, parse_domain
from mox.config.lookup import Disabled, NotLocal, ToAccount, ToAlias, Unknown
from mox.delivery.replies import DISABLED_RECIPIENT
from mox.smtp.dsnparameters import NO_REQUEST, DsnRequest
from mox.smtp.reply import Reply

if TYPE_CHECKING:
    from mox.config import Config

NOT_LOCAL: Final = Reply(550, "5.1.1", "not accepting email for domain")
NO_LITERALS: Final = Reply(550, "5.1.1", "not accepting email for ip")
NO_SUCH_USER: Final = Reply(550, "5.1.1", "no such user")
LOCALSERVE_ADDRESS: Final = Address("mox", Domain("localhost", "localhost"))


@dataclass(frozen=True, slots=True)
class Recipient:
    """An accepted forward-path. `to` None: nobody, to be refused after the message.

    `request` is what the sender wants to be told.
    """

    path: Path
    to: ToAccount | ToAlias | None
    request: DsnRequest = NO_REQUEST


def resolve_incoming(config: Config, path: Path, *, localserve: bool) -> Recipient | Reply:
    """Resolve a forward-path of another server, or say why it is not accepted."""
    if path.domain is None:
        path = Path(path.localpart, parse_domain(config.static.hostname))
    if not isinstance(path.domain, Domain):
        return NO_LITERALS
    found = config.lookup.recipient(path)
    match found:
        case ToAccount() | ToAlias():
            return _refusal(found) or Recipient(path, found)
        case Disabled():
            return DISABLED_RECIPIENT
        case NotLocal():
            return Recipient(path, _everybody(config)) if localserve else NOT_LOCAL
        case Unknown():
            # Whether the user exists is told after the message only: a sender that collects
            # addresses has to send one each time.
            return Recipient(path, _everybody(config) if localserve else None)
    assert_never(found)


def refuse_outgoing(config: Config, path: Path, *, localserve: bool) -> Reply | None:
    """Return why a user cannot send to a forward-path; None: it may go to the queue."""
    if not isinstance(path.domain, Domain):
        return None
    found = config.lookup.recipient(path)
    match found:
        case ToAccount() | ToAlias():
            return _refusal(found)
        case Disabled():
            return DISABLED_RECIPIENT
        case NotLocal():
            return None
        case Unknown():
            return None if localserve else NO_SUCH_USER
    assert_never(found)


def _refusal(found: ToAccount | ToAlias) -> Reply | None:
    """Return the error that the administrator set for this address."""
    text = found.destination.smtp_error if isinstance(found, ToAccount) else ""
    if not text:
        return None
    code, _, rest = text.partition(" ")
    if code == "421":  # would close the connection: said as an error of this recipient
        return Reply(451, "4.3.0", rest)
    return Reply(550, "5.1.1", rest)


def _everybody(config: Config) -> ToAccount:
    """Return the account that localserve gives all mail to."""
    found = config.lookup.find(LOCALSERVE_ADDRESS)
    if isinstance(found, ToAccount):
        return found
    postmaster = config.lookup.recipient(Path("postmaster", None))
    assert isinstance(postmaster, ToAccount), "the postmaster is an account"
    return postmaster


def may_post(alias: ToAlias, header_from: Address | None, config: Config) -> bool:
    """Say whether a message with this From may go to the members of an alias.

    That From is genuine is for message authentication to say.
    """
    if alias.alias.post_public:
        return True
    if header_from is None:
        return False
    canonical = config.lookup.canonical(header_from)
    if canonical == alias.canonical:
        return alias.alias.allow_msg_from
    return any(member.canonical == canonical for member in alias.members)


def members_to_deliver(
    alias: ToAlias, recipients: Iterable[Recipient], header_from: Address | None, config: Config
) -> Iterator[ToAccount]:
    """Yield the members that get a copy: not the author, nobody who is a recipient as well."""
    skip = {r.to.canonical for r in recipients if isinstance(r.to, ToAccount)}
    if header_from is not None:
        skip.add(config.lookup.canonical(header_from))
    return (member for member in alias.members if member.canonical not in skip)
