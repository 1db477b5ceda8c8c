"""The suppression list's methods."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mox.store import suppressions
from mox.store.suppressions import AlreadySuppressed
from mox.web.webapi import addressing
from mox.web.webapi.errors import CallError
from mox.webapi import types
from mox.webapi.types import ErrorCode

if TYPE_CHECKING:
    from mox.web.webapi.call import Call

_MAX_REASON: Final = 10_000


def list_all(call: Call, request: types.SuppressionListRequest) -> types.SuppressionListResult:
    found = suppressions.of_account(call.store, call.login.account_id)
    return types.SuppressionListResult(
        suppressions=tuple(
            types.Suppression(
                id=entry.id,
                created=datetime.fromtimestamp(entry.created, UTC),
                account=call.login.account,
                base_address=entry.base_address,
                original_address=entry.original_address,
                manual=entry.manual,
                reason=entry.reason,
            )
            for entry in found
        )
    )


def add(call: Call, request: types.SuppressionAddRequest) -> types.Empty:
    path = addressing.parse_path(request.email_address)
    if len(request.reason) > _MAX_REASON:
        raise CallError(ErrorCode.USER, f"reason is longer than {_MAX_REASON} characters")
    try:
        suppressions.add(
            call.store,
            call.login.account_id,
            path,
            time.time(),
            manual=request.manual,
            reason=request.reason,
        )
    except AlreadySuppressed as e:
        raise CallError(ErrorCode.ERROR, str(e)) from e
    return types.Empty()


def remove(call: Call, request: types.SuppressionRemoveRequest) -> types.Empty:
    path = addressing.parse_path(request.email_address)
    if not suppressions.remove(call.store, call.login.account_id, path):
        raise CallError(ErrorCode.ERROR, "absent")
    return types.Empty()


def present(call: Call, request: types.SuppressionPresentRequest) -> types.SuppressionPresentResult:
    path = addressing.parse_path(request.email_address)
    found = suppressions.lookup(call.store, call.login.account_id, path)
    return types.SuppressionPresentResult(present=found is not None)
