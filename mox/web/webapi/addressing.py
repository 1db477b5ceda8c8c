"""Addresses of requests: read, with the errors that callers expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mox.address import Address, AddressError, Path, parse_address
from mox.message.composefields import has_controls
from mox.turns import give_turn
from mox.web.webapi.errors import CallError
from mox.webapi.types import ErrorCode, NameAddress

# More than any address that can be used has, also with a quoted localpart.
_MAX_ADDRESS: Final = 1000
# So many are read before others have a turn: each takes some microseconds.
_TURN: Final = 200


def parse(text: str) -> Address:
    """Read an address. Raises CallError."""
    try:
        if len(text) > _MAX_ADDRESS:
            raise AddressError(f"longer than {_MAX_ADDRESS} characters")
        return parse_address(text)
    except AddressError as e:
        shown = text[:_MAX_ADDRESS]
        raise CallError(ErrorCode.BAD_ADDRESS, f'parsing address "{shown}": {e}') from e


def parse_path(text: str) -> Path:
    """Read an address as a path. Raises CallError."""
    address = parse(text)
    return Path(address.localpart, address.domain)


def parse_all(given: Sequence[NameAddress]) -> list[tuple[str, Address]]:
    """Read addresses with display names. Raises CallError."""
    found: list[tuple[str, Address]] = []
    for each in given:
        found.append((_name(each), parse(each.address)))
        if len(found) % _TURN == 0:
            give_turn()
    return found


def _name(given: NameAddress) -> str:
    if has_controls(given.name):
        raise CallError(ErrorCode.USER, "control characters not allowed in names")
    return given.name.strip(" ")
