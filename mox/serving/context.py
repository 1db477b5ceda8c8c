"""What a worker process is given: its kind, its sockets, its configuration, and the word to stop.

The supervisor's child makes one `Context` after the fork and hands it to `run(ctx)` of the
worker's kind. Costly parts (the store) are opened at first use and then live as long as the
process. Tests construct one directly, with any object that has `current` as configuration.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gevent.event import Event

from mox import logfmt
from mox.address import parse_domain
from mox.serving.cid import Cids

if TYPE_CHECKING:
    from mox.config import Config
    from mox.dns import Resolver
    from mox.serving.certificates import Certificates
    from mox.serving.limits import Limits
    from mox.serving.sharing import Sharing
    from mox.store import Store
    from mox.store.bells import Bells
    from mox.store.ephemeral import Ephemeral, EphemeralError


class ConfigSource(Protocol):
    """Where the configuration in force comes from: `mox.config.ConfigFile`, or a fixed one."""

    @property
    def current(self) -> Config: ...


@dataclass(frozen=True, slots=True)
class Listen:
    """One listening socket of this worker.

    `listener` is the name in the configuration, `service` one of smtp, submission, submissions,
    imap, imaps, http, https. The socket is bound, listening, and kept by the supervisor too.
    """

    listener: str
    service: str
    sock: socket.socket
    implicit_tls: bool
    port: int


class Context:
    """The surroundings of one worker process."""

    def __init__(
        self,
        *,
        kind: str,
        slot: int,
        number: int | None = None,
        config_source: ConfigSource,
        listens: Sequence[Listen] = (),
        localserve: bool = False,
        bells: Bells | None = None,
        certificates: Certificates | None = None,
        announce: Callable[[], None] | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        """`slot` is unique among the processes alive; `announce` tells the supervisor.

        `number` is that among the workers of the kind, from 0 on; None for the only one.

        `certificates` were read before root rights were given up; None offers no TLS.
        `sharing` is with the other workers of the kind; None: there are none.
        """
        self.kind = kind
        self.slot = slot
        self.number = number
        self.listens = list(listens)
        self.localserve = localserve
        self.bells = bells
        self.certificates = certificates
        self.sharing = sharing
        self.stopping = Event()
        self.cids = Cids(slot)
        self.log = logfmt.logger(kind)
        self._config_source = config_source
        self._announce = announce
        self._store: Store | None = None
        self._limits: Limits | None = None
        self._ephemeral: Ephemeral | EphemeralError | None = None
        self._resolver: Resolver | None = None

    @property
    def config(self) -> Config:
        """The configuration in force now: ask again for each connection or job, do not keep it."""
        return self._config_source.current

    @property
    def data_dir(self) -> Path:
        return self.config.data_dir

    @property
    def hostname(self) -> str:
        """Our host name in ASCII form, as it stands in greetings."""
        return parse_domain(self.config.static.hostname).ascii

    @property
    def store(self) -> Store:
        """The store of this process, opened at first use."""
        if self._store is None:
            from mox.store import open_store

            self._store = open_store(
                self.data_dir,
                bells=self.bells,
                initial_mailboxes=_initial_mailboxes(self.config),
                # Of a crash of the machine it is known that a delivery may be repeated.
                lazy=self.kind == "queue",
                number=self.number,
            )
        return self._store

    @property
    def has_tls_keys(self) -> bool:
        """Whether keys of client certificates are registered, for clients to be asked for them."""
        from mox.store.tlskeys import any_keys

        return any_keys(self.store.dbs)

    @property
    def limits(self) -> Limits:
        """The limits that all workers share, opened at first use."""
        if self._limits is None:
            from mox.serving.limits import Limits

            # Without the environment everything is allowed.
            self._limits = Limits(self.ephemeral, self.slot)
        return self._limits

    @property
    def ephemeral(self) -> Ephemeral | None:
        """What all processes share and may lose, opened at first use; None when it cannot be."""
        from mox.store.ephemeral import EphemeralError, open_ephemeral

        if self._ephemeral is None:
            try:
                self._ephemeral = open_ephemeral(self.data_dir)
            except EphemeralError as e:
                self.log.error("no limits on connections and logins are in force", err=e)
                self._ephemeral = e
        return None if isinstance(self._ephemeral, EphemeralError) else self._ephemeral

    @property
    def resolver(self) -> Resolver:
        """The resolver of this process, made at first use; processes share answers."""
        if self._resolver is None:
            from mox.dns import Resolver
            from mox.store.answers import SharedAnswers

            shared = SharedAnswers(self.ephemeral) if self.ephemeral is not None else None
            self._resolver = Resolver(shared=shared)
        return self._resolver

    def ready(self) -> None:
        """Tell the supervisor that this worker serves; called once by each kind's `run`."""
        announce, self._announce = self._announce, None
        if announce is not None:
            announce()

    def close(self) -> None:
        """Close what was opened, after the last use."""
        if self._store is not None:
            self._store.close()
            self._store = None


def _initial_mailboxes(config: Config) -> list[tuple[str, str]]:
    """What new accounts start with, as names with special uses."""
    roles = {name: role for role, name in config.static.special_use_mailboxes.items()}
    return [
        ("INBOX" if name.upper() == "INBOX" else name, roles.get(name, ""))
        for name in config.static.new_account_mailboxes
    ]
