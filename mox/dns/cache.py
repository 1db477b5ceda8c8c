"""What was answered before: in this process, and in a place that all processes share.

RFC 1034 §4.3.4, RFC 2308. Whether an answer was authentic is kept with it.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from mox.dns.answer import Answer, Status
from mox.dns.record import Record

Key = tuple[str, str]  # name in lower case without last dot, type

_MAX_ENTRIES: Final = 10_000
_MAX_TTL_S: Final = 3600
# RFC 2308 §5 allows hours. A record that was just published should not have to wait for that.
_MAX_NEGATIVE_TTL_S: Final = 900


class SharedCache(Protocol):
    """Where processes leave answers for each other. Neither call waits for others or raises.

    Times are seconds of time.monotonic, which all processes of one boot share.
    """

    def get(self, key: bytes, now: float) -> bytes | None:
        """Return what was put and has not expired."""

    def put(self, key: bytes, value: bytes, expires: float, now: float) -> None:
        """Keep a value, as far as there is room."""


class Cache:
    """The answers of one resolver, by question."""

    def __init__(self, shared: SharedCache | None = None, *, trusts_ad: bool = False) -> None:
        """Answers that were found with and without trust in the AD bit are kept apart."""
        self._entries: dict[Key, tuple[float, Answer]] = {}
        self._shared = shared
        self._realm = "+" if trusts_ad else "-"

    def get(self, key: Key, now: float) -> Answer | None:
        """Return an answer of this process that is still good."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and entry[0] > now else None

    def get_shared(self, key: Key, now: float) -> Answer | None:
        """Return an answer that another process got, and keep it here too."""
        value = self._shared.get(self._shared_key(key), now) if self._shared is not None else None
        found = _decoded(value) if value is not None else None
        if found is None or found[0] <= now:
            return None
        self._keep(key, *found, now)
        return found[1]

    def put(self, key: Key, answer: Answer, now: float) -> None:
        """Keep an answer as long as it says; trouble is not kept."""
        positive = answer.status is Status.OK
        ttl = min(answer.ttl, _MAX_TTL_S if positive else _MAX_NEGATIVE_TTL_S)
        if answer.status is Status.TEMPORARY or ttl <= 0:
            return
        expires = now + ttl
        self._keep(key, expires, answer, now)
        if self._shared is not None:
            self._shared.put(self._shared_key(key), _encoded(expires, answer), expires, now)

    def _shared_key(self, key: Key) -> bytes:
        return f"{self._realm}{key[1]} {key[0]}".encode("utf-8", "surrogatepass")

    def _keep(self, key: Key, expires: float, answer: Answer, now: float) -> None:
        if len(self._entries) >= _MAX_ENTRIES:
            self._evict(now)
        self._entries[key] = (expires, answer)

    def _evict(self, now: float) -> None:
        """Drop what has expired, and the oldest half when that is not enough."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry[0] > now}
        if len(self._entries) >= _MAX_ENTRIES:
            for key in list(self._entries)[: _MAX_ENTRIES // 2]:
                del self._entries[key]


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """An answer outside of the process."""

    expires: float
    status: Status
    authentic: bool
    ttl: int
    canonical: str
    records: tuple[Record, ...]


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_Stored)


def _encoded(expires: float, answer: Answer) -> bytes:
    return _encoder.encode(
        _Stored(
            expires,
            answer.status,
            answer.authentic,
            answer.ttl,
            answer.canonical,
            answer.records,
        )
    )


def _decoded(value: bytes) -> tuple[float, Answer] | None:
    """Return expiry and answer; None for what another version of the program wrote."""
    try:
        stored = _decoder.decode(value)
    except msgspec.DecodeError:
        return None
    answer = Answer(stored.status, stored.records, stored.authentic, stored.ttl, stored.canonical)
    return stored.expires, answer
