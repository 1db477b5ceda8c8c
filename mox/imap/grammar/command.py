"""From an assembled command to its value: tag, name, then the rule for that name."""

from __future__ import annotations

import re
from collections.abc import Callable

from mox.imap.commands import Command
from mox.imap.grammar import (
    acl,
    any_state,
    authenticated,
    list_,
    metadata,
    notify,
    searching,
    selected,
    unauthenticated,
)
from mox.imap.grammar.append import UID_REPLACE, UPLOADS
from mox.imap.grammar.cursor import Cursor

# RFC 9051 §9: tag = 1*<any ASTRING-CHAR except "+">
_TAG = re.compile(rb"[!#-$&',-\[\]^-z|}~]++")
_NAME = re.compile(rb"[A-Za-z]{1,20}(?![^ ])")
_REPLACE = re.compile(rb" REPLACE(?![^ ])", re.IGNORECASE)

COMMANDS: dict[str, Callable[[Cursor, str], Command]] = {
    "CAPABILITY": any_state.capability,
    "NOOP": any_state.noop,
    "LOGOUT": any_state.logout,
    "ID": any_state.client_id,
    "STARTTLS": unauthenticated.starttls,
    "AUTHENTICATE": unauthenticated.authenticate,
    "LOGIN": unauthenticated.login,
    "ENABLE": authenticated.enable,
    "SELECT": authenticated.select,
    "EXAMINE": authenticated.examine,
    "CREATE": authenticated.create,
    "DELETE": authenticated.delete,
    "RENAME": authenticated.rename,
    "SUBSCRIBE": authenticated.subscribe,
    "UNSUBSCRIBE": authenticated.unsubscribe,
    "LIST": list_.list_,
    "LSUB": list_.lsub,
    "NAMESPACE": authenticated.namespace,
    "STATUS": authenticated.status,
    "IDLE": authenticated.idle,
    "GETQUOTA": authenticated.getquota,
    "GETQUOTAROOT": authenticated.getquotaroot,
    "SETQUOTA": authenticated.setquota,
    "COMPRESS": authenticated.compress,
    "UNAUTHENTICATE": authenticated.unauthenticate,
    "NOTIFY": notify.notify,
    "GETMETADATA": metadata.getmetadata,
    "SETMETADATA": metadata.setmetadata,
    "MYRIGHTS": acl.myrights,
    "GETACL": acl.getacl,
    "SETACL": acl.setacl,
    "DELETEACL": acl.deleteacl,
    "LISTRIGHTS": acl.listrights,
    "CHECK": selected.check,
    "CLOSE": selected.close,
    "UNSELECT": selected.unselect,
    "EXPUNGE": selected.expunge,
    "SEARCH": searching.search,
    "SORT": searching.sort,
    "THREAD": searching.thread,
    "ESEARCH": searching.esearch,
    "CANCELUPDATE": searching.cancelupdate,
    "FETCH": selected.fetch,
    "STORE": selected.store,
    "COPY": selected.copy,
    "MOVE": selected.move,
    "UIDBATCHES": selected.uidbatches,
    "UID": selected.uid_command,
}


def read_tag(cursor: Cursor) -> str:
    """Read the tag and the space after it."""
    tag = cursor.match(_TAG, "a tag")
    if len(tag) > cursor.limits.tag:
        cursor.fail("tag too long")
    cursor.space()
    return tag.decode("ascii")


def read_name(cursor: Cursor) -> str:
    """Read the command's name, upper case; it is one of COMMANDS or UPLOADS."""
    found = _NAME.match(cursor.text, cursor.at)
    name = found.group().decode("ascii").upper() if found else ""
    if found is None or (name not in COMMANDS and name not in UPLOADS):
        cursor.fail("unknown command")
    cursor.at = found.end()
    replace = _REPLACE.match(cursor.text, cursor.at) if name == "UID" else None
    if replace is not None:
        cursor.at = replace.end()
        return UID_REPLACE
    return name


def read_arguments(cursor: Cursor, tag: str, name: str) -> Command:
    """Read everything after the name; raises SyntaxFailure and CharsetFailure."""
    command = COMMANDS[name](cursor, tag)
    cursor.end()
    return command
