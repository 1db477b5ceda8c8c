"""LIST with its extensions, and LSUB.

RFC 9051 §6.3.9, RFC 5258 (selection and return options), RFC 5819 (STATUS), RFC 6154
(SPECIAL-USE), RFC 9590 (METADATA), RFC 3501 §6.3.9 (LSUB).
"""

from __future__ import annotations

from mox.imap.commands import List, ListPattern, ListReturn, ListSelect, Lsub, StatusItem
from mox.imap.grammar.authenticated import status_items
from mox.imap.grammar.cursor import Cursor
from mox.imap.grammar.mailbox import list_pattern, reference
from mox.imap.grammar.metadata import entries
from mox.imap.metadata import Entries

_SELECTS = {option.value: option for option in ListSelect}
_RETURNS = {option.value: option for option in ListReturn}


# RFC 9051 §9: list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
def list_(cursor: Cursor, tag: str) -> List:
    cursor.space()
    selection: frozenset[ListSelect] = frozenset()
    extended = cursor.peek() == b"("
    if extended:
        selection = _selection(cursor)
        cursor.space()
    name = reference(cursor)
    cursor.space()
    extended |= cursor.peek() == b"("
    patterns = _patterns(cursor)
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    asked: Entries | None = None
    if cursor.more():
        extended = True
        returns, status, asked = _return_options(cursor)
    return List(tag, name, patterns, selection, returns, status, extended, asked)


def lsub(cursor: Cursor, tag: str) -> Lsub:
    cursor.space()
    name = reference(cursor)
    cursor.space()
    return Lsub(tag, name, list_pattern(cursor))


def _selection(cursor: Cursor) -> frozenset[ListSelect]:
    options = frozenset(cursor.parenthesised(lambda: _select_option(cursor), empty=True))
    # RFC 5258 §3.1: RECURSIVEMATCH modifies another option than REMOTE, alone it is an error.
    if ListSelect.RECURSIVEMATCH in options and options <= {
        ListSelect.RECURSIVEMATCH,
        ListSelect.REMOTE,
    }:
        cursor.fail("RECURSIVEMATCH needs another selection option")
    return options


def _select_option(cursor: Cursor) -> ListSelect:
    option = _SELECTS.get(cursor.word("a selection option"))
    if option is None:
        cursor.fail("unknown selection option")
    return option


def _patterns(cursor: Cursor) -> tuple[ListPattern, ...]:
    if cursor.peek() != b"(":
        return (list_pattern(cursor),)
    patterns = cursor.parenthesised(lambda: list_pattern(cursor))
    if len(patterns) > cursor.limits.list_patterns:
        cursor.fail("too many patterns")
    return tuple(patterns)


def _return_options(
    cursor: Cursor,
) -> tuple[frozenset[ListReturn], tuple[StatusItem, ...], Entries | None]:
    if cursor.word("RETURN") != "RETURN":
        cursor.fail("expected RETURN")
    cursor.space()
    options = cursor.parenthesised(lambda: _return_option(cursor), empty=True)
    returns = frozenset(option for option in options if isinstance(option, ListReturn))
    status = [option for option in options if isinstance(option, tuple)]
    asked = [option for option in options if isinstance(option, Entries)]
    return returns, status[-1] if status else (), asked[-1] if asked else None


def _return_option(cursor: Cursor) -> ListReturn | tuple[StatusItem, ...] | Entries:
    name = cursor.word("a return option")
    if name == "STATUS":
        cursor.space()
        return status_items(cursor)
    if name == "METADATA":
        return entries(cursor)
    option = _RETURNS.get(name)
    if option is None:
        cursor.fail("unknown return option")
    return option
