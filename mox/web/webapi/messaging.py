"""The methods about messages in mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

from mox.address import Address, parse_domain
from mox.delivery import content
from mox.errors import UserError
from mox.message import parse
from mox.message.piecewise import whole_pieces
from mox.message.sniff import sniff
from mox.store import places
from mox.store.errors import MessageGone
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS, M_SIZE, M_UID, FlagOp
from mox.store.origin import Origin
from mox.store.places import Place
from mox.web.webapi.call import Octets
from mox.web.webapi.errors import CallError
from mox.web.webapi.flagging import parse_flags, shown_flags
from mox.web.webapi.opened import Opened, open_message
from mox.web.webapi.sizes import check_flags
from mox.webapi import types
from mox.webapi.naming import mailbox_name
from mox.webapi.reading import NoSuchPart, part_at, part_content, show
from mox.webapi.types import ErrorCode

if TYPE_CHECKING:
    from mox.store.model import Mailbox
    from mox.web.webapi.call import Call

_GONE: Final = "message was removed"
# Others may move a message just now.
_TRIES: Final = 3


# ---- looking


def get(call: Call, request: types.MessageGetRequest) -> types.MessageGetResult:
    place, opened = _open(call, request.msg_id)
    try:
        shown = opened.aside(partial(show, opened.octets, wire=opened.wire))
    finally:
        opened.close()
    meta = _meta(call, place, is_dsn=shown.root.is_dsn)
    return types.MessageGetResult(shown.message, shown.structure, meta)


def raw_get(call: Call, request: types.MessageRawGetRequest) -> Octets:
    _, opened = _open(call, request.msg_id)
    return Octets("text/plain", opened.pieces(partial(whole_pieces, wire=opened.wire)))


def part_get(call: Call, request: types.MessagePartGetRequest) -> Octets:
    _, opened = _open(call, request.msg_id)
    try:
        root = opened.aside(partial(parse, opened.octets, wire=opened.wire))
        part = part_at(root, request.part_path)
    except NoSuchPart as e:
        opened.close()
        raise CallError(ErrorCode.PART_NOT_FOUND, str(e)) from e
    pieces = opened.pieces(lambda octets: part_content(octets, part, wire=opened.wire))
    head = next(pieces, b"")
    return Octets(sniff(head), (piece for piece in chain((head,), pieces) if piece))


def _open(call: Call, msg_id: int) -> tuple[Place, Opened]:
    place = _look_up(call, msg_id)
    try:
        return place, open_message(call.account, place)
    except MessageGone as e:
        raise CallError(ErrorCode.MESSAGE_NOT_FOUND, "message not found") from e


def _look_up(call: Call, msg_id: int) -> Place:
    place = places.find(call.account, msg_id)
    if place is None:
        raise CallError(ErrorCode.MESSAGE_NOT_FOUND, "message not found")
    return place


def _meta(call: Call, place: Place, *, is_dsn: bool) -> types.Meta:
    account, message = call.account, place.message
    mailbox = account.mailbox_by_id(place.mailbox_id)
    if mailbox is None:
        raise CallError(ErrorCode.MESSAGE_NOT_FOUND, "message not found")
    known = account.history(None).origin(place.mailbox_id, message[M_UID])
    # Copies of sent messages have an origin, too, which says to whom they went.
    origin = known if known is not None and known.remote_ip else Origin()
    mail_from_domain = origin.mail_from_domain or origin.original_mail_from_domain
    return types.Meta(
        size=message[M_SIZE],
        dsn=is_dsn,
        flags=shown_flags(message[M_FLAGS] & FLAG_MASK, message[M_KEYWORDS], mailbox.keywords),
        mail_from=_address(origin.mail_from_localpart, mail_from_domain),
        mail_from_validated=origin.mail_from_validated,
        rcpt_to=_address(origin.rcpt_to_localpart, origin.rcpt_to_domain),
        msg_from=_address(origin.from_localpart, origin.from_domain),
        msg_from_validated=origin.from_validated,
        dkim_verified_domains=origin.dkim_domains or origin.original_dkim_domains,
        remote_ip=origin.remote_ip,
        mailbox_name=mailbox_name(mailbox.name),
    )


def _address(localpart: str, domain: str) -> str:
    return str(Address(localpart, parse_domain(domain))) if domain else ""


# ---- changing


def delete(call: Call, request: types.MessageDeleteRequest) -> types.Empty:
    def remove(place: Place) -> bool:
        return bool(call.account.remove(place.mailbox_id, [place.message[M_UID]]).uids)

    return _change(call, request.msg_id, remove)


def add_flags(call: Call, request: types.MessageFlagsAddRequest) -> types.Empty:
    return _store(call, request.msg_id, FlagOp.ADD, request.flags)


def remove_flags(call: Call, request: types.MessageFlagsRemoveRequest) -> types.Empty:
    return _store(call, request.msg_id, FlagOp.REMOVE, request.flags)


def _store(call: Call, msg_id: int, op: FlagOp, names: tuple[str, ...]) -> types.Empty:
    check_flags(names)
    try:
        flags, keywords = parse_flags(names, pedantic=call.config.static.pedantic)
    except UserError as e:
        raise CallError(ErrorCode.USER, str(e)) from e

    def store(place: Place) -> bool:
        uids = [place.message[M_UID]]
        stored = call.account.store_flags(place.mailbox_id, uids, op, flags, keywords)
        return bool(stored.changed)

    return _change(call, msg_id, store)


def move(call: Call, request: types.MessageMoveRequest) -> types.Empty:
    target = _target(call, request.dest_mailbox_name)
    marks = content.marks(call.account_config)

    def to_target(place: Place) -> bool:
        if target.id == place.mailbox_id:
            text = f"moving message: message {request.msg_id} already in destination mailbox"
            raise CallError(ErrorCode.USER, text)
        uids = [place.message[M_UID]]
        return bool(call.account.move(place.mailbox_id, uids, target.id, marks).source_uids)

    return _change(call, request.msg_id, to_target)


def _change(call: Call, msg_id: int, change: Callable[[Place], bool]) -> types.Empty:
    """Change a message where it is; false: it was not there any more, so look again."""
    for _ in range(_TRIES):
        if change(_present(call, msg_id)):
            return types.Empty()
    raise CallError(ErrorCode.USER, f"getting message: {_GONE}")


def _target(call: Call, name: str) -> Mailbox:
    if not name:
        raise CallError(ErrorCode.USER, "getting mailbox: invalid zero mailbox ID")
    mailbox = call.account.mailbox(name)
    # Names are compared exactly, also that of the inbox, which IMAP knows in any case.
    if mailbox is None or name not in (mailbox.name, mailbox_name(mailbox.name)):
        raise CallError(ErrorCode.USER, "looking up mailbox name: not found")
    return mailbox


def _present(call: Call, msg_id: int) -> Place:
    """Return where a message is that is to be changed."""
    if msg_id == 0:
        raise CallError(ErrorCode.USER, "getting message: invalid zero message id")
    account = call.account
    place = places.find(account, msg_id)
    if place is not None:
        return place
    if 0 < msg_id <= account.last_email_id():
        raise CallError(ErrorCode.USER, f"getting message: {_GONE}")
    raise CallError(ErrorCode.MESSAGE_NOT_FOUND, "getting message: no such message")
