"""The session state machine: states, which command is allowed where, what ENABLE has switched on.

RFC 9051 §3 and §6, RFC 3501 §3. Two tables say everything: ALLOWED (commands by state) and
TRANSITIONS (state × event). Rules of this file: no wire syntax, no mailbox data, no I/O.

    not authenticated ──authenticated──▶ authenticated ──selected──▶ selected
                                              ▲────────deselected───────┘
    every state ──logout──▶ logout            selected ──selected──▶ selected
    authenticated ──unauthenticated──▶ not authenticated
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache


class State(Enum):
    """Where a connection stands."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Happening(Enum):
    """What moves a session from state to state; the shell tells it after the fact."""

    AUTHENTICATED = "authenticated"  # LOGIN or AUTHENTICATE succeeded, or PREAUTH
    SELECTED = "selected"  # SELECT or EXAMINE succeeded
    DESELECTED = "deselected"  # CLOSE, UNSELECT, a failed SELECT, or the mailbox was deleted
    UNAUTHENTICATED = "unauthenticated"  # UNAUTHENTICATE: back to the beginning
    LOGOUT = "logout"  # LOGOUT, BYE or the connection is gone


class Feature(Enum):
    """What ENABLE can switch on; the value is the capability's name."""

    IMAP4REV2 = "IMAP4REV2"
    UTF8_ACCEPT = "UTF8=ACCEPT"
    CONDSTORE = "CONDSTORE"
    QRESYNC = "QRESYNC"
    METADATA = "METADATA"
    UIDONLY = "UIDONLY"


_ANY = ("CAPABILITY", "NOOP", "LOGOUT", "ID")
_NOT_AUTHENTICATED = ("STARTTLS", "AUTHENTICATE", "LOGIN")
_AUTHENTICATED = (
    *("ENABLE", "SELECT", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE"),
    *(
        "LIST",
        "LSUB",
        "NAMESPACE",
        "STATUS",
        "ESEARCH",
        "APPEND",
        "IDLE",
        "GETQUOTA",
        "GETQUOTAROOT",
    ),
    *("SETQUOTA", "COMPRESS", "UNAUTHENTICATE", "GETMETADATA", "SETMETADATA"),
    "NOTIFY",
    *("MYRIGHTS", "GETACL", "SETACL", "DELETEACL", "LISTRIGHTS"),
)
_SELECTED = (
    *("CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "SEARCH", "FETCH", "STORE", "COPY", "MOVE"),
    *("SORT", "THREAD", "CANCELUPDATE", "REPLACE", "UIDBATCHES"),
)

# RFC 9051 §6: commands, by the `name` of their class, that each state allows.
# Deviation from RFC 5161 §3.1: ENABLE is let through in the selected state too.
ALLOWED: dict[State, frozenset[str]] = {
    State.NOT_AUTHENTICATED: frozenset(_ANY + _NOT_AUTHENTICATED),
    State.AUTHENTICATED: frozenset(_ANY + _AUTHENTICATED),
    State.SELECTED: frozenset(_ANY + _AUTHENTICATED + _SELECTED),
    State.LOGOUT: frozenset(),
}

TRANSITIONS: dict[tuple[State, Happening], State] = {
    (State.NOT_AUTHENTICATED, Happening.AUTHENTICATED): State.AUTHENTICATED,
    (State.NOT_AUTHENTICATED, Happening.LOGOUT): State.LOGOUT,
    (State.AUTHENTICATED, Happening.SELECTED): State.SELECTED,
    # A failed SELECT leaves no mailbox selected, wherever it was given.
    (State.AUTHENTICATED, Happening.DESELECTED): State.AUTHENTICATED,
    (State.AUTHENTICATED, Happening.UNAUTHENTICATED): State.NOT_AUTHENTICATED,
    (State.AUTHENTICATED, Happening.LOGOUT): State.LOGOUT,
    (State.SELECTED, Happening.SELECTED): State.SELECTED,
    (State.SELECTED, Happening.DESELECTED): State.AUTHENTICATED,
    (State.SELECTED, Happening.LOGOUT): State.LOGOUT,
    (State.LOGOUT, Happening.LOGOUT): State.LOGOUT,
}

# RFC 7162 §3.2.3: enabling QRESYNC enables CONDSTORE.
_IMPLIED = {Feature.QRESYNC: (Feature.CONDSTORE,)}
_FEATURES = {feature.value: feature for feature in Feature}


@dataclass(frozen=True, slots=True, eq=False)
class Enabled:
    """What is switched on, asked for with every response; one object for all who have the same."""

    features: frozenset[Feature]
    utf8: bool
    rev2: bool
    condstore: bool
    qresync: bool
    metadata: bool
    uidonly: bool


@cache
def _enabled(features: frozenset[Feature]) -> Enabled:
    return Enabled(
        features,
        utf8=not features.isdisjoint((Feature.UTF8_ACCEPT, Feature.IMAP4REV2)),
        rev2=Feature.IMAP4REV2 in features,
        condstore=Feature.CONDSTORE in features,
        qresync=Feature.QRESYNC in features,
        metadata=Feature.METADATA in features,
        uidonly=Feature.UIDONLY in features,
    )


class Session:
    """State and enabled features of one connection."""

    __slots__ = ("_state", "on", "read_only")

    def __init__(self) -> None:
        self._state = State.NOT_AUTHENTICATED
        self.on = _enabled(frozenset())
        self.read_only = False  # of the selected mailbox

    @property
    def state(self) -> State:
        return self._state

    def allows(self, name: str) -> bool:
        """Tell whether the command `name` may be given now."""
        return name in ALLOWED[self._state]

    def happened(self, happening: Happening, *, read_only: bool = False) -> None:
        """Move on. A pair that TRANSITIONS lacks is a bug of the caller: KeyError."""
        self._state = TRANSITIONS[self._state, happening]
        if happening is Happening.UNAUTHENTICATED:
            # RFC 8437 §3: what ENABLE has switched on is off again.
            self.on = _enabled(frozenset())
        self.read_only = read_only and self._state is State.SELECTED

    def enabled(self, feature: Feature) -> bool:
        return feature in self.on.features

    def enable(self, feature: Feature) -> bool:
        """Switch on `feature` and what it implies; tells whether it was off before."""
        fresh = feature not in self.on.features
        self.on = _enabled(self.on.features.union((feature, *_IMPLIED.get(feature, ()))))
        return fresh

    def enable_named(self, names: Iterable[str], *, disabled: Iterable[str] = ()) -> list[str]:
        """Do what ENABLE asks; gives the names to echo, with the client's spelling.

        RFC 5161 §3.1: unknown names are ignored; implied features are named too.
        """
        suppressed = {name.upper() for name in disabled}
        echo: list[str] = []
        for name in names:
            feature = _FEATURES.get(name.upper())
            if feature is None or name.upper() in suppressed:
                continue
            before = self.on.features
            if not self.enable(feature):
                continue
            echo.append(name)
            echo += [each.value for each in _IMPLIED.get(feature, ()) if each not in before]
        return echo

    @property
    def utf8(self) -> bool:
        """Whether names and strings travel as UTF-8 (RFC 6855 §3, RFC 9051 §5.1)."""
        return self.on.utf8

    @property
    def rev2(self) -> bool:
        return self.on.rev2

    @property
    def condstore(self) -> bool:
        return self.on.condstore

    @property
    def uidonly(self) -> bool:
        """Whether message sequence numbers are not used (RFC 9586)."""
        return self.on.uidonly

    @property
    def metadata(self) -> bool:
        """Whether the client wants to hear of changed annotations (RFC 5464 §4.1)."""
        return self.on.metadata

    @property
    def qresync(self) -> bool:
        return self.on.qresync
