"""The mail transaction under way on a connection: envelope, message so far, time left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from mox.delivery import replies
from mox.smtp.dsnparameters import DsnRequest
from mox.smtp.events import MailFrom
from mox.smtp.reply import Reply
from mox.store.errors import StoreError

if TYPE_CHECKING:
    from mox.config import Config
    from mox.delivery.ahead import Ahead
    from mox.store import Store
    from mox.store.spool import Spool

# All of DATA: reading, checks, delivery.
DATA_LIMIT_S: Final = 30 * 60.0

R = TypeVar("R")


@dataclass(slots=True)
class Transaction(Generic[R]):
    """From MAIL to the reply after the message. `config` stays the same within it."""

    config: Config
    mail: MailFrom
    recipients: list[R] = field(default_factory=list)
    requests: list[DsnRequest] = field(default_factory=list)  # of the recipients of users
    spool: Spool | None = None
    failure: Reply | None = None  # the message cannot be kept; the rest of it is dropped
    deadline: float = 0.0  # monotonic, 0 before DATA
    ahead: Ahead | None = None  # of clients that are asked about

    def begin_data(self, store: Store) -> None:
        """Get ready for the message; another BDAT of the same one changes nothing."""
        if self.spool is None:
            self.spool = store.spool()
            self.deadline = time.monotonic() + DATA_LIMIT_S

    def write(self, data: bytes) -> StoreError | None:
        """Keep a piece of the message. The first error of the disk is returned, and remembered."""
        if self.failure is not None or self.spool is None:
            return None
        try:
            self.spool.write(data)
        except StoreError as e:
            self.failure = replies.from_store(e)
            self.spool.close()
            return e
        return None

    def finish(self) -> Reply | None:
        """The message is complete; the reply when it could not be kept."""
        if self.failure is None and self.spool is not None:
            try:
                self.spool.finish()
            except StoreError as e:
                self.failure = replies.from_store(e)
        return self.failure

    def close(self) -> None:
        """Free the message's memory or file, and stop what nobody will ask about it."""
        if self.ahead is not None:
            self.ahead.cancel()
        if self.spool is not None:
            self.spool.close()
            self.spool = None
