"""The keeper's loop that teaches the content filters what flags and moves have told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent

from mox.delivery import content
from mox.keeper.border import guarded
from mox.store import learning
from mox.store.learning import Resting

if TYPE_CHECKING:
    from mox.config import Config
    from mox.junk.params import Params
    from mox.serving.context import Context

# How often the backlog is looked at: looking costs next to nothing.
TRAINING_S = 0.5


def loop(ctx: Context) -> None:
    """Work off the backlog again and again; after a change of the configuration, all of it."""
    resting: Resting = {}
    seen: Config | None = None
    while True:
        if ctx.config is not seen:
            seen = ctx.config
            guarded(lambda: learning.align_all(ctx.store, lambda name: params_of(ctx, name)))
        guarded(lambda: learning.learn(ctx.store, lambda name: params_of(ctx, name), resting))
        gevent.sleep(TRAINING_S)


def params_of(ctx: Context, account: str) -> Params | None:
    """The parameters in force for an account; None without filter or account."""
    config = ctx.config.dynamic.accounts.get(account)
    return None if config is None else content.params(config)
