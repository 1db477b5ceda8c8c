"""Records of webhooks: one for each call of an address, live until it succeeds, retired afterwards.

Like the records of the queue of outgoing mail they are msgspec arrays: a new field goes to the end
and has a default. Bodies of calls are kept apart, so that recording an attempt does not write them
again.
"""

from __future__ import annotations

from typing import Final, NewType

import msgspec

HookId = NewType("HookId", int)

# What is listed as the event of a call about a received message.
INCOMING: Final = "incoming"


class HookResult(msgspec.Struct, frozen=True, array_like=True):
    """How one attempt went. `code` is the HTTP status, 0 when none came.

    `url` is empty for what an administrator did. `response` is the beginning of the answer's body.
    """

    start: float
    duration_s: float = 0.0
    url: str = ""
    success: bool = False
    code: int = 0
    error: str = ""
    response: str = ""


class Hook(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A call that waits to be made. Times are seconds since the epoch.

    Address and authorization are as they were configured when the event happened.
    """

    id: HookId = HookId(0)  # given when it is stored, ascending
    queue_msg_id: int = 0  # 0 for calls about received messages
    from_id: str = ""
    message_id: str = ""
    subject: str = ""
    extra: dict[str, str] = {}
    account: str
    url: str
    authorization: str = ""
    is_incoming: bool = False
    event: str = ""  # of a sent message
    submitted: float
    attempts: int = 0
    next_attempt: float
    results: tuple[HookResult, ...] = ()

    @property
    def kind(self) -> str:
        """The event, `incoming` for a received message."""
        return INCOMING if self.is_incoming else self.event


class RetiredHook(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What stays of a call that is over, until `keep_until`."""

    id: HookId
    queue_msg_id: int
    from_id: str
    message_id: str
    subject: str
    extra: dict[str, str]
    account: str
    url: str
    has_authorization: bool
    is_incoming: bool
    event: str
    submitted: float
    superseded_by_id: int
    attempts: int
    results: tuple[HookResult, ...]
    success: bool
    last_activity: float
    keep_until: float

    @property
    def kind(self) -> str:
        """The event, `incoming` for a received message."""
        return INCOMING if self.is_incoming else self.event

    @classmethod
    def of(
        cls, hook: Hook, *, success: bool, now: float, keep_until: float, superseded_by: int = 0
    ) -> RetiredHook:
        """Return the retired form of a live record."""
        shared = {name: getattr(hook, name) for name in _SHARED_FIELDS}
        return cls(
            **shared,
            has_authorization=bool(hook.authorization),
            superseded_by_id=superseded_by,
            success=success,
            last_activity=now,
            keep_until=keep_until,
        )


_SHARED_FIELDS = tuple(
    name for name in RetiredHook.__struct_fields__ if name in Hook.__struct_fields__
)
