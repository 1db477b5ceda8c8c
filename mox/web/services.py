"""What applications are made with: the surroundings of their process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mox.serving.context import Context
    from mox.web.access import Access


@dataclass(frozen=True, slots=True)
class Services:
    """One per process, made after the fork.

    `ctx` has the configuration in force, the store, the shared limits and the word to stop.
    """

    ctx: Context
    access: Access
