"""Addresses of requests: read, with the errors that callers expect."""

from __future__ import annotations

from collections.abc import Sequence

from mox.address import Address, AddressError, Path, parse_address
from mox.message.composefields import has_controls
from mox.web.webapi.errors import CallError
from mox.webapi.types import ErrorCode, NameAddress


def parse(text: str) -> Address:
    """Read an address. Raises CallError."""
    try:
        return parse_address(text)
    except AddressError as e:
        raise CallError(ErrorCode.BAD_ADDRESS, f'parsing address "{text}": {e}') from e


def parse_path(text: str) -> Path:
    """Read an address as a path. Raises CallError."""
    address = parse(text)
    return Path(address.localpart, address.domain)


def parse_all(given: Sequence[NameAddress]) -> list[tuple[str, Address]]:
    """Read addresses with display names. Raises CallError."""
    return [(_name(each), parse(each.address)) for each in given]


def _name(given: NameAddress) -> str:
    if has_controls(given.name):
        raise CallError(ErrorCode.USER, "control characters not allowed in names")
    return given.name.strip(" ")
