"""A message as signatures see it: header fields, each once in canonical form, and body hashes.

One object serves all signatures of a message, of DKIM and of ARC, so that nothing is canonicalised
or hashed twice. Hashing is the only long work: where it may be long it is handed in short steps to
a `Run` of the caller's, which may let others have a turn between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mox.mailauth.canonical import BodyCanonicalizer, Canonicalization, canonical_field
from mox.message.fields import body_offset, split_lines
from mox.message.limits import LIMITS
from mox.message.windowed import Windowed

Data = bytes | Windowed

# From these sizes on hashing is done through `run`. Below, it takes a few milliseconds at most.
LONG_BODY_OCTETS: Final = 1 << 18
LONG_HEADER_OCTETS: Final = 1 << 17
# What is hashed in one step: less than a millisecond of work.
PIECE_OCTETS: Final = 1 << 15
# Splitting takes about 1 µs a line; nothing but an attack has a header like this.
_MAX_HEADER_LINES: Final = 50_000


@dataclass(frozen=True, slots=True)
class BodyHash:
    """What a signature says of the body: name of the hash algorithm for hashlib, and form."""

    algorithm: str
    canonicalization: Canonicalization


# Goes through all steps of long work, and returns when it is done (`mox.turns.in_turns`).
Run = Callable[[Iterator[None]], None]


def run_here(steps: Iterator[None]) -> None:
    """Do the work at once."""
    for _ in steps:
        pass


class SignedContent:
    """The header fields and the body of one message. Never raises on what it contains."""

    __slots__ = ("_canonical", "_hashes", "_message", "_names", "_wire", "body_start", "fields")

    def __init__(
        self,
        message: Data,
        *,
        prefix: bytes = b"",
        wire: bool = False,
        hashes: Mapping[BodyHash, bytes] | None = None,
    ) -> None:
        """`message` is in stored form, or in wire form with `wire`.

        `prefix`: header fields before those of the message, in either form. `hashes`: digests of
        a body that was hashed while it passed by (BodyHasher); then `message` is the header alone.
        """
        self._message = message
        self._wire = wire
        end = min(len(message), LIMITS.header_octets)
        self.body_start = body_offset(message, 0, end, wire=wire)
        section = (prefix + message[: self.body_start]).replace(b"\r\n", b"\n")
        is_sane = section.count(b"\n") <= _MAX_HEADER_LINES
        lines = split_lines(section, wire=False) if is_sane else []
        # What has no colon is no field, and nothing can sign it.
        self.fields = tuple(line for line in lines if b":" in line)
        self._names: dict[bytes, list[int]] = {}
        for index, line in enumerate(self.fields):
            self._names.setdefault(field_name(line), []).append(index)
        self._canonical: dict[tuple[int, Canonicalization], bytes] = {}
        self._hashes: dict[BodyHash, bytes] = dict(hashes or {})

    @property
    def is_header_complete(self) -> bool:
        """False when there is more than we look at of the header: nothing can be verified."""
        return self.body_start < LIMITS.header_octets or len(self._message) == self.body_start

    def count(self, name: bytes) -> int:
        """Return how many fields have this name (lower case)."""
        return len(self._names.get(name, ()))

    def indices(self, name: bytes) -> tuple[int, ...]:
        """Return the places in `fields` of those with this name (lower case), top down."""
        return tuple(self._names.get(name, ()))

    def canonical(self, index: int, algorithm: Canonicalization) -> bytes:
        """Return one field in canonical form with its CRLF."""
        key = (index, algorithm)
        found = self._canonical.get(key)
        if found is None:
            found = canonical_field(self.fields[index], algorithm) + b"\r\n"
            self._canonical[key] = found
        return found

    def selected(self, names: Iterable[bytes], algorithm: Canonicalization) -> Iterator[bytes]:
        """Give the fields that an h= tag lists (lower case), canonical, in its order."""
        left: dict[bytes, list[int]] = {}
        for name in names:
            indices = left.get(name)
            if indices is None:
                indices = left[name] = list(self._names.get(name, ()))
            # RFC 6376 §5.4.2: the last field with the name first, then upwards; a name without a
            # field left adds nothing.
            if indices:
                yield self.canonical(indices.pop(), algorithm)

    def header_digest(
        self,
        names: Iterable[bytes],
        algorithm: Canonicalization,
        last: bytes,
        *,
        hash_name: str = "sha256",
        run: Run = run_here,
    ) -> bytes:
        """Return the digest of selected fields and of what follows them.

        A long header goes through `run`: ten signatures may each cover all of it.
        """
        digest = hashlib.new(hash_name, usedforsecurity=False)

        def steps() -> Iterator[None]:
            octets = 0
            for field in self.selected(names, algorithm):
                digest.update(field)
                octets += len(field)
                if octets >= PIECE_OCTETS:
                    octets = 0
                    yield
            digest.update(last)

        (run if self.body_start > LONG_HEADER_OCTETS else run_here)(steps())
        return digest.digest()

    def body_hash(self, wanted: BodyHash) -> bytes:
        """Return a digest, from those that `prepare` made or made now."""
        self.prepare({wanted})
        return self._hashes[wanted]

    def prepare(self, wanted: Iterable[BodyHash], run: Run = run_here) -> None:
        """Make digests of the body; for a long body through `run`."""
        missing = [each for each in dict.fromkeys(wanted) if each not in self._hashes]
        if missing:
            is_long = len(self._message) - self.body_start > LONG_BODY_OCTETS
            (run if is_long else run_here)(self._hash(missing))

    def _hash(self, missing: Sequence[BodyHash]) -> Iterator[None]:
        """Make the digests together: the message is read once."""
        hashers = [BodyHasher(each, wire=self._wire) for each in missing]
        begin = self.body_start
        # From multiples of the size on: no piece lies in two windows.
        for start in range(begin - begin % PIECE_OCTETS, len(self._message), PIECE_OCTETS):
            piece = self._message[max(start, begin) : start + PIECE_OCTETS]
            for hasher in hashers:
                yield from hasher.steps(piece)
        for each, hasher in zip(missing, hashers, strict=True):
            self._hashes[each] = hasher.finish()


class BodyHasher:
    """Hashes a body that comes in pieces, split anywhere."""

    __slots__ = ("_canonicalizer", "_digest")

    def __init__(self, wanted: BodyHash, *, wire: bool) -> None:
        self._canonicalizer = BodyCanonicalizer(wanted.canonicalization, wire=wire)
        self._digest = hashlib.new(wanted.algorithm, usedforsecurity=False)

    def feed(self, piece: bytes) -> None:
        for _ in self.steps(piece):
            pass

    def steps(self, piece: bytes) -> Iterator[None]:
        """Take a piece as `feed` does, with a pause after it, and amid many empty lines."""
        is_long = False
        for canonical in self._canonicalizer.feed(piece):
            if is_long:
                yield
            self._digest.update(canonical)
            is_long = len(canonical) >= PIECE_OCTETS
        yield

    def finish(self) -> bytes:
        """Take the end of the body; returns the digest."""
        for canonical in self._canonicalizer.finish():
            self._digest.update(canonical)
        return self._digest.digest()


def field_name(field: bytes) -> bytes:
    """Return the name of a whole header field in lower case."""
    return field.partition(b":")[0].rstrip(b" \t").lower()
