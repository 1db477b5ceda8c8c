"""The header section of one message, split once and asked many times (RFC 5322 §3.6)."""

from __future__ import annotations

from collections.abc import Iterable

from mox.address import Address
from mox.message.fields import body_offset, has_separator, split_fields, unfold
from mox.message.limits import LIMITS
from mox.message.mailboxes import mailboxes
from mox.message.windowed import Windowed


class Headers:
    """The header fields of a message in stored form. Never raises on what the message contains."""

    __slots__ = ("_fields", "has_separator", "section")

    def __init__(self, stored: bytes | Windowed) -> None:
        end = min(len(stored), LIMITS.header_octets)
        self.section = stored[: body_offset(stored, 0, end, wire=False)]
        self.has_separator = has_separator(self.section, wire=False)
        fields: dict[bytes, list[bytes]] = {}
        for name, value in split_fields(self.section, wire=False):
            fields.setdefault(name.lower(), []).append(value)
        self._fields = fields

    def names(self) -> Iterable[bytes]:
        """Return the lower-case names of all fields, each once, as they first occur."""
        return self._fields.keys()

    def count(self, name: bytes) -> int:
        """Return how often the field (lower-case name) occurs."""
        return len(self._fields.get(name, ()))

    def values(self, name: bytes) -> list[bytes]:
        """Return the unfolded values of the field (lower-case name), in order."""
        return [unfold(value) for value in self._fields.get(name, ())]

    def raw(self, name: bytes) -> list[bytes]:
        """Return the values of the field (lower-case name) as they are folded, in order."""
        return self._fields.get(name, [])

    def first(self, name: bytes) -> bytes:
        """Return the first value of the field, b"" when there is none."""
        values = self._fields.get(name)
        return unfold(values[0]) if values else b""

    def with_prefix(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Return (rest of the name, unfolded value) of fields that begin with `prefix`."""
        return [
            (name[len(prefix) :], unfold(value))
            for name, values in self._fields.items()
            if name.startswith(prefix)
            for value in values
        ]

    @property
    def message_id(self) -> str:
        """The Message-ID as written, "" when there is none."""
        return self.first(b"message-id").decode("utf-8", "replace")

    def single_from(self) -> Address | None:
        """Return the one valid address of the one From field, else None."""
        values = self._fields.get(b"from", ())
        if len(values) != 1:
            return None
        found = mailboxes(values[0])
        return found[0].address if len(found) == 1 else None
