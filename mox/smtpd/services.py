"""What all SMTP connections of one worker share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mox.delivery.authenticate import Checks
from mox.message.receivedid import SECRET_OCTETS, ReceivedIds
from mox.serving.login import Authenticator
from mox.smtpd.senders import SenderChecks

if TYPE_CHECKING:
    from mox.dns import Resolver
    from mox.serving.context import Context

RECEIVED_ID_FILE: Final = "receivedid.key"


class Services:
    """Made once per worker, after fork."""

    def __init__(self, ctx: Context, resolver: Resolver) -> None:
        self.ctx = ctx
        self.senders = SenderChecks(resolver)
        self.checks = Checks(resolver, ctx.store.pool)
        self.authenticator = Authenticator(ctx)
        self.received_ids = load_received_ids(ctx.data_dir)


def load_received_ids(data_dir: Path) -> ReceivedIds:
    """Read the key of this installation's connection ids; make it when there is none."""
    path = data_dir / RECEIVED_ID_FILE
    if not path.exists():
        _create(path)
    return ReceivedIds(path.read_bytes())


def _create(path: Path) -> None:
    tmp = path.with_name(f"{path.name}.{os.getpid()}")
    with open(tmp, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(os.urandom(SECRET_OCTETS))
    try:
        os.link(tmp, path)
    except FileExistsError:
        return  # another worker was first: its key counts
    finally:
        tmp.unlink()
