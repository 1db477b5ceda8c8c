from __future__ import annotations

import itertools
import typing

import pytest

from mox.imap import commands
from mox.imap.capability import MAX_APPENDLIMIT, Situation, capabilities
from mox.imap.events import AppendStart
from mox.imap.grammar.command import COMMANDS
from mox.imap.state import ALLOWED, TRANSITIONS, Feature, Happening, Session, State

N, A, S, L = State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED, State.LOGOUT
NAMES = {each.name for each in typing.get_args(commands.Command)} | set(AppendStart.names)

# RFC 9051 §6.1 to §6.4, RFC 2971, RFC 3501 §6.4.1, RFC 9208: a second, independent writing of
# the table.
BY_STATES = {
    (N, A, S): "CAPABILITY NOOP LOGOUT ID",
    (N,): "STARTTLS AUTHENTICATE LOGIN",
    (A, S): "ENABLE SELECT CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST LSUB NAMESPACE STATUS"
    " ESEARCH APPEND IDLE GETQUOTA GETQUOTAROOT SETQUOTA COMPRESS UNAUTHENTICATE"
    " GETMETADATA SETMETADATA NOTIFY"
    " MYRIGHTS GETACL SETACL DELETEACL LISTRIGHTS",
    (S,): "CHECK CLOSE UNSELECT EXPUNGE SEARCH SORT THREAD CANCELUPDATE FETCH STORE COPY MOVE"
    " REPLACE UIDBATCHES",
}
EXPECTED = {name: states for states, names in BY_STATES.items() for name in names.split()}


def session_in(state: State) -> Session:
    session = Session()
    path = {
        N: [],
        A: [Happening.AUTHENTICATED],
        S: [Happening.AUTHENTICATED, Happening.SELECTED],
        L: [Happening.LOGOUT],
    }
    for happening in path[state]:
        session.happened(happening)
    assert session.state is state
    return session


def test_every_command_has_a_row():
    assert set(EXPECTED) == NAMES
    assert set().union(*ALLOWED.values()) == NAMES


@pytest.mark.parametrize(("name", "state"), list(itertools.product(sorted(NAMES), State)))
def test_each_cell_of_commands_by_state(name, state):
    assert session_in(state).allows(name) is (state in EXPECTED[name])


def test_unknown_names_are_never_allowed():
    assert not any(session_in(state).allows("FROB") for state in State)


def test_grammar_knows_the_commands_of_the_table():
    aliases = {"EXAMINE": "SELECT"}
    known = {aliases.get(name, name) for name in COMMANDS} - {"UID"} | {"APPEND", "REPLACE"}
    assert known == NAMES


TARGETS = {
    (N, Happening.AUTHENTICATED): A,
    (N, Happening.LOGOUT): L,
    (A, Happening.SELECTED): S,
    (A, Happening.DESELECTED): A,
    (A, Happening.UNAUTHENTICATED): N,
    (A, Happening.LOGOUT): L,
    (S, Happening.SELECTED): S,
    (S, Happening.DESELECTED): A,
    (S, Happening.LOGOUT): L,
    (L, Happening.LOGOUT): L,
}


@pytest.mark.parametrize(("state", "happening"), list(itertools.product(State, Happening)))
def test_each_cell_of_transitions(state, happening):
    session = session_in(state)
    target = TARGETS.get((state, happening))
    if target is None:
        with pytest.raises(KeyError):
            session.happened(happening)
        assert session.state is state
    else:
        session.happened(happening)
        assert session.state is target
    assert set(TRANSITIONS) == set(TARGETS)


def test_read_only_lasts_as_long_as_the_selection():
    session = session_in(A)
    session.happened(Happening.SELECTED, read_only=True)
    assert session.read_only
    session.happened(Happening.SELECTED)
    assert not session.read_only
    session.happened(Happening.SELECTED, read_only=True)
    session.happened(Happening.DESELECTED)
    assert not session.read_only


# ---- ENABLE ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "echo", "features"),
    [
        (["bogus"], [], set()),
        (["condstore"], ["condstore"], {Feature.CONDSTORE}),
        (["qresync"], ["qresync", "CONDSTORE"], {Feature.QRESYNC, Feature.CONDSTORE}),
        (
            ["CONDSTORE", "QRESYNC"],
            ["CONDSTORE", "QRESYNC"],
            {Feature.QRESYNC, Feature.CONDSTORE},
        ),
        (
            ["imap4rev2", "qresync", "bogus"],
            ["imap4rev2", "qresync", "CONDSTORE"],
            {Feature.IMAP4REV2, Feature.QRESYNC, Feature.CONDSTORE},
        ),
        (["utf8=accept", "UTF8=ACCEPT"], ["utf8=accept"], {Feature.UTF8_ACCEPT}),
    ],
)
def test_enable(names, echo, features):
    session = session_in(A)
    assert session.enable_named(names) == echo
    assert {feature for feature in Feature if session.enabled(feature)} == features


def test_enable_skips_what_is_suppressed():
    session = session_in(A)
    assert session.enable_named(["qresync", "condstore"], disabled={"QRESYNC"}) == ["condstore"]
    assert not session.qresync


def test_enabling_again_is_not_echoed():
    session = session_in(A)
    assert session.enable(Feature.CONDSTORE)
    assert not session.enable(Feature.CONDSTORE)
    assert session.enable_named(["condstore"]) == []


@pytest.mark.parametrize(
    ("feature", "utf8", "rev2", "condstore", "qresync"),
    [
        (Feature.IMAP4REV2, True, True, False, False),
        (Feature.UTF8_ACCEPT, True, False, False, False),
        (Feature.CONDSTORE, False, False, True, False),
        (Feature.QRESYNC, False, False, True, True),
    ],
)
def test_what_features_mean(feature, utf8, rev2, condstore, qresync):
    session = session_in(A)
    session.enable(feature)
    found = (session.utf8, session.rev2, session.condstore, session.qresync)
    assert found == (utf8, rev2, condstore, qresync)


# ---- capabilities ----------------------------------------------------------------------------

MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5")
BASE = ["IMAP4rev2", "IMAP4rev1", "SASL-IR", "LITERAL+", "ENABLE", "ID", "IDLE"]


@pytest.mark.parametrize(
    ("tls", "starttls", "plaintext", "tail"),
    [
        (False, True, False, "STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256 AUTH=CRAM-MD5"),
        (False, False, False, "LOGINDISABLED AUTH=SCRAM-SHA-256 AUTH=CRAM-MD5"),
        (
            *(False, True, True),
            "STARTTLS AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5",
        ),
        (False, False, True, "AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5"),
        (True, True, False, "AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5"),
        (True, False, True, "AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5"),
    ],
)
def test_capabilities_before_login(tls, starttls, plaintext, tail):
    situation = Situation(
        state=N, tls=tls, starttls=starttls, plaintext_login=plaintext, mechanisms=MECHANISMS
    )
    assert capabilities(situation) == BASE + tail.split()


@pytest.mark.parametrize("state", [A, S])
def test_capabilities_after_login(state):
    situation = Situation(
        state=state, tls=False, starttls=True, plaintext_login=False, mechanisms=MECHANISMS
    )
    names = capabilities(situation)
    assert names[: len(BASE)] == BASE
    assert "QRESYNC" in names
    assert "STARTTLS" not in names
    assert not any(name.startswith(("AUTH=", "LOGINDISABLED")) for name in names)
    assert len(set(names)) == len(names)
    assert f"APPENDLIMIT={MAX_APPENDLIMIT}" in names


def test_suppressed_capabilities_are_left_out():
    situation = Situation(
        state=A, tls=True, starttls=False, plaintext_login=False, append_limit=2**40
    )
    names = capabilities(situation, disabled={"QRESYNC", "UTF8=ACCEPT"})
    assert "QRESYNC" not in names
    assert "UTF8=ACCEPT" not in names
    # RFC 7889 allows 63 bits, clients read 32.
    assert f"APPENDLIMIT={2**31 - 1}" in names
