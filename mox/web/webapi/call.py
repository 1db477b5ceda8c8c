"""One call of a method, and what the methods of a process work with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mox.serving.receivedids import load_received_ids
from mox.web.webapi.errors import CallError
from mox.webapi.types import ErrorCode

if TYPE_CHECKING:
    from mox import logfmt
    from mox.config import Config
    from mox.config.account import Account as AccountConfig
    from mox.message.receivedid import ReceivedIds
    from mox.serving.context import Context
    from mox.store import Store
    from mox.store.account import Account
    from mox.web.access import Login
    from mox.web.request import Request
    from mox.web.webapi.uploads import Upload


class Surroundings:
    """What all calls of one process share; made after the fork."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    @cached_property
    def received_ids(self) -> ReceivedIds:
        return load_received_ids(self.ctx.data_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who calls, from where, with what besides the request.

    `config` is the configuration for the whole call. `idempotency_key` is "" for none.
    """

    surroundings: Surroundings
    config: Config
    login: Login
    http: Request
    idempotency_key: str = ""
    uploads: tuple[Upload, ...] = ()

    @property
    def log(self) -> logfmt.Logger:
        return self.http.log

    @property
    def store(self) -> Store:
        return self.surroundings.ctx.store

    @property
    def account(self) -> Account:
        return self.store.account(self.login.account)

    @property
    def account_config(self) -> AccountConfig:
        """The caller's account. Raises CallError for one that was removed a moment ago."""
        found = self.config.dynamic.accounts.get(self.login.account)
        if found is None:
            raise CallError(ErrorCode.USER, "the account does not exist any more")
        return found


@dataclass(frozen=True, slots=True)
class Octets:
    """An answer that is not JSON. `pieces` may be long; `content_type` is by what they begin with.

    `size` is None when it is not known.
    """

    content_type: str
    pieces: Iterator[bytes]
    size: int | None = None
