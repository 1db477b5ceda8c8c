"""How much mail one network may send to one account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mox.delivery.steps.case import Decision, State
from mox.networks import is_this_host
from mox.smtp.reply import Reply
from mox.store.arrivals import Rate

_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Most messages and octets within a minute and a day."""

    minute_messages: int
    minute_octets: int
    day_messages: int
    day_octets: int


# For the three widths of network, narrowest first.
LIMITS: Final = (
    Limits(500, 1000 * _MIB, 10_000, 3000 * _MIB),
    Limits(1500, 3000 * _MIB, 30_000, 9000 * _MIB),
    Limits(4500, 9000 * _MIB, 90_000, 27000 * _MIB),
)


def rate(state: State) -> Decision | None:
    """Put off a client whose network sends too much. It tries again when others have had a turn."""
    facts, ask = state.case.facts, state.case.ask
    client = facts.received.remote_ip
    if facts.authentication is None or client is None or is_this_host(client):
        return None
    for network, limits, place in zip(
        state.origin.networks, LIMITS, ("ip", "network", "network"), strict=True
    ):
        problem = _problem(ask.rate(network, state.case.now), limits, facts.size)
        if problem:
            reply = Reply(452, "4.2.2", f"more than {problem} from your {place}")
            return state.reject("high-rate", reply, keeps_copy=False)
    return None


def _problem(found: Rate, limits: Limits, size: int) -> str:
    if found.minute_messages >= limits.minute_messages:
        return f"{limits.minute_messages} messages in past minute"
    if found.day_messages >= limits.day_messages:
        return f"{limits.day_messages} messages in past day"
    if found.minute_octets + size > limits.minute_octets:
        return f"{limits.minute_octets} bytes in past minute"
    if found.day_octets + size > limits.day_octets:
        return f"{limits.day_octets} bytes in past day"
    return ""
