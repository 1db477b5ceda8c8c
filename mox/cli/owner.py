"""Commands that write data as root must leave it to the server's user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def become_owner(data_dir: Path) -> None:
    """As root, go on as the user whose data it is: files made here must be the server's."""
    from mox.supervisor.preload import preload
    from mox.supervisor.privileges import become
    from mox.supervisor.settings import Identity

    os.umask(os.umask(0) | 0o007)
    owner = data_dir.stat().st_uid
    if os.getuid() != 0 or owner == 0:
        return
    preload()
    try:
        become(Identity(owner, pwd.getpwuid(owner).pw_gid))
    except KeyError:
        become(Identity(owner, owner))
