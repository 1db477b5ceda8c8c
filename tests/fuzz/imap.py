"""Coverage-guided fuzzing of the IMAP reader: python -m tests.fuzz.imap -max_total_time=600

Needs atheris, which `make fuzz` installs where there is a wheel of it.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["mox.imap"]):
    from mox.imap.events import (
        AppendStart,
        CatenateText,
        CatenateUrl,
        CommandReady,
        NeedContinuation,
    )
    from mox.imap.framing import Reader
    from mox.imap.url import UrlError, parse

_WAITING = NeedContinuation | AppendStart | CatenateText | CatenateUrl


def read(data: bytes) -> None:
    """Anything but the core's own errors ends the run and leaves a file with the input."""
    choice = data[0] if data else 0
    reader = Reader(utf8=bool(choice & 1))
    step = choice >> 2 or len(data) or 1
    for start in range(1, len(data), step):
        reader.feed(data[start : start + step])
        while (event := reader.next_event()) is not None:
            if isinstance(event, CommandReady):
                repr(event.command)
            if isinstance(event, CatenateUrl):
                try:
                    parse(event.url)
                except UrlError as e:
                    str(e)
            if not isinstance(event, _WAITING):
                continue
            if choice & 2:
                reader.refuse_literal()
            else:
                reader.accept_literal()


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
