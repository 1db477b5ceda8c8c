"""The server's states and the two tables that rule them (RFC 5321 §4.1.4, §3).

`ALLOWED` says in which states a command is in order; `NEXT` where a trigger leads. Nothing else
changes the state, so the tests walk all cells. What a state means:

    GREETING   the shell has not greeted yet          CHUNKS  between two BDATs of a message
    CONNECTED  greeted, no EHLO or HELO yet           DATA    octets of a message after 354
    READY      hello done, no transaction             BDAT    octets of one chunk
    MAIL       sender accepted                        AUTH    the client's answer to a challenge
    RCPT       at least one recipient accepted        TLS     handshake is the shell's business
                                                      CLOSED  write what is left, then close
"""

from __future__ import annotations

from enum import IntEnum, auto


class State(IntEnum):
    GREETING = auto()
    CONNECTED = auto()
    READY = auto()
    MAIL = auto()
    RCPT = auto()
    CHUNKS = auto()
    DATA = auto()
    BDAT = auto()
    AUTH = auto()
    TLS = auto()
    CLOSED = auto()


class Trigger(IntEnum):
    GREETED = auto()
    HELLO = auto()
    TLS_ACCEPTED = auto()
    TLS_DONE = auto()
    CHALLENGED = auto()
    AUTH_DONE = auto()
    MAIL_ACCEPTED = auto()
    RCPT_ACCEPTED = auto()
    DATA_ACCEPTED = auto()
    CHUNK_BEGINS = auto()
    CHUNK_TAKEN = auto()
    RESET = auto()  # the transaction is over, for whatever reason
    CLOSE = auto()


# States in which the machine reads command lines.
COMMAND_STATES = frozenset({State.CONNECTED, State.READY, State.MAIL, State.RCPT, State.CHUNKS})
TRANSACTION_STATES = frozenset({State.MAIL, State.RCPT, State.CHUNKS, State.DATA, State.BDAT})

ALLOWED: dict[str, frozenset[State]] = {
    "HELO": COMMAND_STATES,
    "EHLO": COMMAND_STATES,
    # RFC 3207 §4, RFC 4954 §4: after EHLO, not within a transaction.
    "STARTTLS": frozenset({State.READY}),
    "AUTH": frozenset({State.READY}),
    "MAIL": frozenset({State.READY}),
    "RCPT": frozenset({State.MAIL, State.RCPT}),
    # RFC 3030 §2: DATA after a BDAT of the same transaction is out of order.
    "DATA": frozenset({State.RCPT}),
    "BDAT": frozenset({State.RCPT, State.CHUNKS}),
    "RSET": COMMAND_STATES,
    "VRFY": COMMAND_STATES,
    "EXPN": COMMAND_STATES,
    "HELP": COMMAND_STATES,
    "NOOP": COMMAND_STATES,
    "QUIT": COMMAND_STATES,
}

NEXT: dict[Trigger, dict[State, State]] = {
    Trigger.GREETED: {State.GREETING: State.CONNECTED},
    Trigger.HELLO: {State.CONNECTED: State.READY, State.READY: State.READY},
    Trigger.TLS_ACCEPTED: {State.READY: State.TLS},
    Trigger.TLS_DONE: {State.TLS: State.CONNECTED},
    Trigger.CHALLENGED: {State.READY: State.AUTH, State.AUTH: State.AUTH},
    Trigger.AUTH_DONE: {State.READY: State.READY, State.AUTH: State.READY},
    Trigger.MAIL_ACCEPTED: {State.READY: State.MAIL},
    Trigger.RCPT_ACCEPTED: {State.MAIL: State.RCPT, State.RCPT: State.RCPT},
    Trigger.DATA_ACCEPTED: {State.RCPT: State.DATA},
    # A chunk in the wrong place is read, too, to get at the next command.
    Trigger.CHUNK_BEGINS: dict.fromkeys(COMMAND_STATES, State.BDAT),
    Trigger.CHUNK_TAKEN: {State.BDAT: State.CHUNKS},
    Trigger.RESET: {
        State.CONNECTED: State.CONNECTED,
        State.READY: State.READY,
        **dict.fromkeys(TRANSACTION_STATES, State.READY),
    },
    Trigger.CLOSE: dict.fromkeys(State, State.CLOSED),
}
