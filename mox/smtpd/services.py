"""What all SMTP connections of one worker share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.delivery.authenticate import Checks
from mox.serving.login import Authenticator
from mox.serving.receivedids import load_received_ids
from mox.smtpd.senders import SenderChecks

if TYPE_CHECKING:
    from mox.dns import Resolver
    from mox.serving.context import Context


class Services:
    """Made once per worker, after fork."""

    def __init__(self, ctx: Context, resolver: Resolver) -> None:
        self.ctx = ctx
        self.senders = SenderChecks(resolver)
        self.checks = Checks(resolver)
        self.authenticator = Authenticator(ctx)
        self.received_ids = load_received_ids(ctx.data_dir)
