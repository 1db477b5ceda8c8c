"""How large a request's parts may be, besides the whole: what is done to them takes its time.

The limits are far from what programs need, so that going over one is an error of the caller. The
texts of a message's header are kept for each recipient, in the queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mox.web.webapi.errors import CallError
from mox.webapi.types import ErrorCode, NameAddress, SendRequest

MAX_SUBJECT: Final = 64 << 10
MAX_REFERENCES: Final = 64 << 10
MAX_EXTRA: Final = 64 << 10
MAX_HEADERS: Final = 1000
MAX_FILES: Final = 1000
MAX_FILE_NAME: Final = 1000
MAX_HEADER: Final = 512 << 10
MAX_FLAGS: Final = 1000


def check_sizes(request: SendRequest) -> None:
    """Raise CallError when a message is beyond the limits."""
    files = (*request.alternative_files, *request.inline_files, *request.attached_files)
    extra = sum(len(key) + len(value) for key, value in request.extra.items())
    for field, size, limit in (
        ("Subject", len(request.subject), MAX_SUBJECT),
        ("References", sum(map(len, request.references)), MAX_REFERENCES),
        ("Extra", extra, MAX_EXTRA),
        ("Name of a file", max((len(file.name) for file in files), default=0), MAX_FILE_NAME),
    ):
        if size > limit:
            raise _error(f"{field} is longer than {limit} characters")
    for field, count, limit in (
        ("Headers", len(request.headers), MAX_HEADERS),
        ("Files", len(files), MAX_FILES),
    ):
        if count > limit:
            raise _error(f"more than {limit} {field}")
    if sum(map(len, _header_texts(request))) > MAX_HEADER:
        raise _error(f"the header of the message is longer than {MAX_HEADER} characters")


def _header_texts(request: SendRequest) -> Iterator[str]:
    yield from (request.subject, request.message_id, *request.references)
    for pair in request.headers:
        yield from pair
    everyone: tuple[NameAddress, ...] = (
        *request.from_,
        *request.to,
        *request.cc,
        *request.bcc,
        *request.reply_to,
    )
    for each in everyone:
        yield each.name
        yield each.address


def check_flags(flags: tuple[str, ...]) -> None:
    """Raise CallError when there are too many."""
    if len(flags) > MAX_FLAGS:
        raise _error(f"more than {MAX_FLAGS} flags")


def _error(text: str) -> CallError:
    return CallError(ErrorCode.USER, text)
