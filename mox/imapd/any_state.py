"""Commands of any state (RFC 9051 §6.1, RFC 2971)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mox
from mox.imap import responses
from mox.imapd.answer import Done
from mox.imapd.capabilities import capabilities

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session

# What of a client's ID is kept for the log.
_AGENT_LENGTH = 200


def cmd_capability(session: Session, _: commands.Capability) -> Done:
    session.write(responses.capability(capabilities(session)))
    return Done("capability done")


def cmd_noop(_session: Session, _: commands.Noop) -> Done:
    """What others did is told at the end of every command, so of this one too."""
    return Done("noop done")


def cmd_logout(session: Session, _: commands.Logout) -> Done:
    session.write(responses.untagged("BYE", "logging out"))
    session.finished = True
    return Done("logout done")


def cmd_id(session: Session, command: commands.Id) -> Done:
    """Tell names; the client's are for the log, behaviour never depends on them."""
    if command.fields is not None:
        fields = {name: value or "" for name, value in command.fields}
        agent = f"{fields.get('name', '')} {fields.get('version', '')}".strip()
        session.log.debug("client id", user_agent=agent[:_AGENT_LENGTH])
    # RFC 2971 §4: before login a version would mostly serve those who look for old ones.
    about = {"name": "mox"}
    if session.account is not None:
        about["version"] = mox.__version__
    session.write(responses.server_id(about))
    return Done("id done")
