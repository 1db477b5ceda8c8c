"""MYRIGHTS, GETACL, SETACL, DELETEACL, LISTRIGHTS (RFC 4314 §3 and §6)."""

from __future__ import annotations

import re

from mox.imap.acl import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from mox.imap.grammar.cursor import Cursor
from mox.imap.grammar.mailbox import mailbox

# RFC 4314 §6: rights are lower-case letters and digits; an upper-case one is an error.
_RIGHTS = re.compile(r"[+-]?[a-z0-9]*")


def myrights(cursor: Cursor, tag: str) -> MyRights:
    cursor.space()
    return MyRights(tag, mailbox(cursor))


def getacl(cursor: Cursor, tag: str) -> GetAcl:
    cursor.space()
    return GetAcl(tag, mailbox(cursor))


def setacl(cursor: Cursor, tag: str) -> SetAcl:
    cursor.space()
    name = mailbox(cursor)
    identifier = _identifier(cursor)
    cursor.space()
    rights = cursor.unicode(cursor.astring("rights"), "rights")
    if not _RIGHTS.fullmatch(rights):
        cursor.fail("malformed rights")
    return SetAcl(tag, name, identifier, rights)


def deleteacl(cursor: Cursor, tag: str) -> DeleteAcl:
    cursor.space()
    name = mailbox(cursor)
    return DeleteAcl(tag, name, _identifier(cursor))


def listrights(cursor: Cursor, tag: str) -> ListRights:
    cursor.space()
    name = mailbox(cursor)
    return ListRights(tag, name, _identifier(cursor))


def _identifier(cursor: Cursor) -> str:
    cursor.space()
    return cursor.unicode(cursor.astring("an identifier"), "identifier")
