"""Checks that several fields share: mailboxes, accounts, domains, reply texts, patterns."""

from __future__ import annotations

import re
import unicodedata

from mox import patterns
from mox.address import AddressError, Domain, parse_address, parse_domain, parse_localpart
from mox.config.report import Scope

MAX_REPLY_TEXT = 256
MAX_ACCOUNT_OCTETS = 200

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_REPLY_TEXT = re.compile(r"[ -~]*")


def mailbox_problem(name: str) -> str:
    """Tell what is wrong with a mailbox name; "" when nothing is."""
    if not name:
        return "mailbox name is empty"
    if not unicodedata.is_normalized("NFC", name):
        return "mailbox name is not in Unicode normalisation form C"
    if _CONTROL.search(name):
        return "mailbox name has a control character"
    if name.startswith("#"):
        return "mailbox name begins with #"
    components = name.split("/")
    if "" in components:
        return "mailbox name has a slash at its begin or end, or two in a row"
    if "." in components or ".." in components:
        return "mailbox name has . or .. as a component"
    return ""


def is_inbox(name: str) -> bool:
    """Tell whether a mailbox name is that of the inbox, whose case does not matter."""
    return name.lower() == "inbox"


def check_mailbox(scope: Scope, name: str, field: str | int, *, not_inbox: bool = False) -> None:
    """Report a bad mailbox name; `field` is where it stands."""
    if problem := mailbox_problem(name):
        scope.error(problem, field)
    elif not_inbox and is_inbox(name):
        scope.error("must not be Inbox", field)


def account_problem(name: str) -> str:
    """Tell why a name cannot be that of an account's directory; "" when it can."""
    if not name or len(name.encode("utf-8", "replace")) > MAX_ACCOUNT_OCTETS:
        return f"account name must have 1 to {MAX_ACCOUNT_OCTETS} bytes"
    if "/" in name or name.startswith(".") or name != name.strip() or _CONTROL.search(name):
        return "account name must do as a directory name: no slash, no dot or space in front"
    return ""


def check_reply_text(scope: Scope, text: str, field: str) -> None:
    """Report a text that cannot be part of a protocol reply."""
    if len(text) > MAX_REPLY_TEXT or not _REPLY_TEXT.fullmatch(text):
        scope.error(f"must be printable ASCII of at most {MAX_REPLY_TEXT} characters", field)


def check_domain(scope: Scope, text: str, *field: str | int) -> Domain | None:
    """Return a domain, or report why it is none."""
    try:
        return parse_domain(text)
    except AddressError as err:
        scope.error(str(err), *field)
        return None


def check_address(scope: Scope, text: str, field: str) -> None:
    """Report what is not an address."""
    try:
        parse_address(text)
    except AddressError as e:
        scope.error(str(e), field)


def check_localpart(scope: Scope, text: str, field: str, *, ascii_only: bool = False) -> str | None:
    """Return an unquoted localpart, or report why it is none."""
    try:
        localpart = parse_localpart(text)
    except AddressError as err:
        scope.error(str(err), field)
        return None
    if ascii_only and not localpart.isascii():
        scope.error("localpart must be ASCII", field)
        return None
    return localpart


def check_pattern(scope: Scope, text: str, *field: str | int) -> None:
    """Report a regular expression that does not compile."""
    try:
        patterns.check(text)
    except ValueError as err:
        scope.error(str(err), *field)
