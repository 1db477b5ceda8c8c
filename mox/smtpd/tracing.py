"""Protocol traces: what was read and written, with secrets and content hidden by default."""

from __future__ import annotations

from mox.logfmt import Kind, Logger
from mox.smtp.state import State


def received(log: Logger, data: bytes, state: State) -> None:
    """Trace octets as they came; in doubt they are taken for the kind that is hidden."""
    log.trace_protocol("C: ", data, _kind(data, state))


def sent(log: Logger, data: bytes, state: State) -> None:
    log.trace_protocol("S: ", data, "auth" if state is State.AUTH else "line")


def _kind(data: bytes, state: State) -> Kind:
    if state in (State.DATA, State.BDAT):
        return "data"
    upper = data.upper()
    if state is State.AUTH or b"AUTH" in upper:
        return "auth"
    if b"BDAT " in upper or b"\nDATA" in upper:
        return "data"
    return "line"
