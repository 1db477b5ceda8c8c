"""The server machine beyond what dialogues show: events, misuse by the shell, hostile input."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.address import NULL_PATH, Path, parse_domain
from mox.smtp.errors import LocalProtocolError
from mox.smtp.events import (
    Answered,
    Auth,
    AuthResponse,
    DataChunk,
    DataEnd,
    Event,
    Hello,
    MailFrom,
    RcptTo,
    Reset,
)
from mox.smtp.reply import Reply
from mox.smtp.server import Server
from mox.smtp.state import ALLOWED, COMMAND_STATES, NEXT, State, Trigger
from tests.smtp.shell import GREETING, SMALL, Shell, delivery, submission


def events_of(shell: Shell, data: bytes) -> list[Event]:
    shell.events.clear()
    shell.feed(data)
    return list(shell.events)


def test_hello_events() -> None:
    shell = Shell.start(delivery())
    domain = parse_domain("a.example")
    assert events_of(shell, b"EHLO A.example\r\n") == [Hello("a.example", domain, None, True)]
    assert events_of(shell, b"EHLO [192.0.2.1]\r\n") == [
        Hello("[192.0.2.1]", None, IPv4Address("192.0.2.1"), True)
    ]
    assert events_of(shell, b"EHLO [IPv6:2001:db8::1] more\r\n") == [
        Hello("[IPv6:2001:db8::1]", None, IPv6Address("2001:db8::1"), True)
    ]
    shell = Shell.start(submission())
    assert events_of(shell, b"EHLO [::1]\r\n") == [Hello("[::1]", None, IPv6Address("::1"), True)]
    assert events_of(shell, b"HELO bad name\r\n") == [Hello("bad", None, None, False)]


def test_transaction_events() -> None:
    shell = Shell.start(delivery())
    shell.feed(b"EHLO a.example\r\n")
    b_example = parse_domain("b.example")
    assert events_of(
        shell, b"MAIL FROM:<x@B.example> SIZE=5 BODY=7bit AUTH=a+2Bb@c.example\r\n"
    ) == [MailFrom(Path("x", b_example), 5, "7BIT", auth="a+b@c.example")]
    assert shell.server.in_transaction
    assert events_of(shell, b"RCPT TO:<y@b.example>\r\n") == [RcptTo(Path("y", b_example))]
    assert [r.path.localpart for r in shell.server.recipients] == ["y"]
    shell.feed(b"DATA\r\n")
    assert events_of(shell, b"..x\r\n.\r\n") == [DataChunk(b".x\r\n"), DataEnd(4)]
    assert not shell.server.in_transaction
    assert shell.server.recipients == []
    assert events_of(shell, b"MAIL FROM:<>\r\n") == [MailFrom(NULL_PATH)]
    answered = Answered("RSET", Reply(250, "2.0.0", "ok"))
    assert events_of(shell, b"RSET\r\n") == [Reset(), answered]
    assert events_of(shell, b"RSET\r\n") == [answered]


def test_futurerelease_events() -> None:
    shell = Shell.start(submission(auth_required=False))
    shell.feed(b"EHLO x\r\n")
    (event,) = events_of(shell, b"MAIL FROM:<x@b.example> HOLDFOR=60\r\n")
    assert isinstance(event, MailFrom)
    assert (event.hold_for_s, event.hold) == (60, "for;60")
    shell.feed(b"RSET\r\n")
    (event,) = events_of(shell, b"MAIL FROM:<x@b.example> HOLDUNTIL=2026-11-24T00:00:00Z\r\n")
    assert isinstance(event, MailFrom)
    assert event.hold_until is not None
    assert (event.hold_until.isoformat(), event.hold) == (
        "2026-11-24T00:00:00+00:00",
        "until;2026-11-24T00:00:00Z",
    )


def test_auth_events() -> None:
    shell = Shell.start(submission())
    shell.feed(b"EHLO x\r\n")
    assert events_of(shell, b"AUTH plain\r\n") == [Auth("PLAIN", None)]
    assert events_of(shell, b"c2VjcmV0\r\n") == [AuthResponse(b"secret")]
    assert shell.server.is_authenticated


def test_replies_to_pipelined_commands_go_out_together() -> None:
    server = Server(delivery())
    server.reply(GREETING)
    server.data_to_send()
    server.receive(b"NOOP\r\n" * 50)
    while server.next_event() is not None:
        pass
    assert server.data_to_send() == b"250 2.0.0 ok\r\n" * 50


def test_error_replies_carry_the_session_id() -> None:
    shell = Shell.start(delivery(session_id="abc"))
    shell.feed(b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\n")
    assert shell.feed(b"FROB\r\n") == b"500 5.5.1 unknown command (abc)\r\n"
    assert shell.feed(b"RCPT TO:<no@b.example>\r\n") == b"550 5.1.1 no such user (abc)\r\n"
    assert shell.feed(b"NOOP\r\n") == b"250 2.0.0 ok\r\n"


def test_utf8_in_replies_only_after_smtputf8() -> None:
    shell = Shell.start(delivery(session_id="ü"))
    shell.feed(b"EHLO a.example\r\n")
    assert shell.feed(b"FROB\r\n").isascii()
    shell.feed(b"MAIL FROM:<a@b.example> SMTPUTF8\r\n")
    assert shell.feed(b"FROB\r\n").decode().endswith("(ü)\r\n")


def test_errors_are_counted_and_forgiven() -> None:
    shell = Shell.start(delivery())
    shell.feed(b"EHLO a.example\r\nFROB\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<no@b.example>\r\n")
    assert shell.server.errors == 2
    shell.feed(b"RCPT TO:<a@b.example>\r\nDATA\r\n")
    shell.feed(b"x\r\n.\r\n")
    assert shell.server.errors == 0


def test_refused_data_ends_the_transaction() -> None:
    shell = Shell.start(delivery())
    shell.refuse_data = Reply(451, "4.3.0", "no disk")
    shell.feed(b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\n")
    assert shell.feed(b"DATA\r\n") == b"451 4.3.0 no disk\r\n"
    assert shell.server.state is State.READY
    shell.feed(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\n")
    assert shell.feed(b"BDAT 6 LAST\r\nQU") == b""
    assert shell.feed(b"IT\r\nNOOP\r\n") == b"451 4.3.0 no disk\r\n250 2.0.0 ok\r\n"


def test_421_and_close_end_the_conversation() -> None:
    server = Server(delivery())
    server.reply(Reply(421, "4.7.0", "too many"))
    assert server.closed
    server = Server(delivery())
    server.reply(GREETING)
    server.receive(b"EHLO a.example\r\nNOOP\r\n")
    assert isinstance(server.next_event(), Hello)
    server.reply(Reply(550, "5.7.1", "go away"), close=True)
    assert server.closed
    server.receive(b"NOOP\r\n")
    assert server.next_event() is None
    assert server.data_to_send().endswith(b"550 5.7.1 go away\r\n")


def test_abort_at_any_time() -> None:
    server = Server(delivery())
    server.reply(GREETING)
    server.receive(b"EHLO a.example\r\n")
    server.next_event()
    server.data_to_send()
    server.abort(Reply(421, "4.3.2", "shutting down"))
    assert server.closed
    assert server.data_to_send() == b"421 4.3.2 shutting down\r\n"


def test_nothing_is_read_before_the_greeting() -> None:
    server = Server(delivery())
    server.receive(b"NOOP\r\n")
    assert server.next_event() is None
    assert server.data_to_send() == b""
    server.reply(GREETING)
    assert isinstance(server.next_event(), Answered)


def test_misuse_by_the_shell() -> None:
    server = Server(delivery())
    server.reply(GREETING)
    with pytest.raises(LocalProtocolError):
        server.reply(GREETING)
    with pytest.raises(LocalProtocolError):
        server.accept()
    with pytest.raises(LocalProtocolError):
        server.challenge(b"")
    with pytest.raises(LocalProtocolError):
        server.tls_started(delivery())
    server.receive(b"EHLO a.example\r\n")
    server.next_event()
    with pytest.raises(LocalProtocolError):
        server.next_event()


def test_a_broken_message_cannot_be_accepted() -> None:
    server = Server(delivery())
    server.reply(GREETING)
    server.receive(
        b"HELO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\na\nb\r\n.\r\n"
    )
    while not isinstance(event := server.next_event(), DataEnd):
        assert event is not None
        server.accept()
    assert event.problem is not None
    with pytest.raises(LocalProtocolError):
        server.accept()


def test_preauthenticated_client_may_still_use_auth() -> None:
    shell = Shell.start(submission())
    shell.server.preauthenticate()
    shell.feed(b"EHLO x\r\n")
    assert shell.feed(b"MAIL FROM:<a@b.example>\r\n").startswith(b"250")
    shell.feed(b"RSET\r\n")
    assert shell.feed(b"AUTH PLAIN c2VjcmV0\r\n").startswith(b"235")


def test_tables_are_closed() -> None:
    assert all(states <= COMMAND_STATES for states in ALLOWED.values())
    assert set(NEXT) == set(Trigger)
    reachable = {State.GREETING}
    while True:
        more = {NEXT[t][s] for t in Trigger for s in reachable if s in NEXT[t]} | reachable
        if more == reachable:
            break
        reachable = more
    assert reachable == set(State)


VERBS = (
    """EHLO a.example|HELO a|MAIL FROM:<a@b.example>|RCPT TO:<a@b.example>|DATA|BDAT 3|
BDAT 2 LAST|RSET|NOOP|QUIT|STARTTLS|AUTH PLAIN|AUTH LOGIN =|VRFY x|*|.|x||MAIL FROM:<|
RCPT TO:<@a:b@c>""".replace("\n", "")
    .encode()
    .split(b"|")
)
LINES = st.lists(st.one_of(st.sampled_from(VERBS), st.binary(max_size=80)), max_size=30)


@settings(max_examples=300)
@given(LINES, st.booleans(), st.lists(st.integers(0, 40), max_size=20))
def test_never_raises_on_any_input(lines: list[bytes], submit: bool, sizes: list[int]) -> None:
    make = submission if submit else delivery
    shell = Shell.start(make(limits=SMALL, max_size=30, starttls=True, pedantic=submit))
    data = b"\r\n".join(lines)
    for size in sizes:
        shell.feed(data[:size])
        data = data[size:]
    shell.feed(data)


@settings(max_examples=200)
@given(LINES)
def test_whole_and_bytewise_are_the_same(lines: list[bytes]) -> None:
    # Without STARTTLS and size limits, where it matters what has arrived together.
    data = b"\r\n".join(lines)
    whole, single = Shell.start(delivery()), Shell.start(delivery())
    assert whole.feed(data) == single.feed_bytewise(data)
    assert whole.messages == single.messages


@pytest.mark.parametrize(
    "argument",
    [
        b'"' + b"\\a" * 500_000,
        b"a." * 500_000,
        b"@a," * 300_000,
        b"a@" + b"b." * 500_000,
        b" a=b" * 250_000,
        b"\xc3\xbc" * 500_000,
        b"a@[" + b":" * 1_000_000,
    ],
)
def test_long_arguments_take_no_long_time(argument: bytes) -> None:
    from mox.smtp.config import Limits

    shell = Shell.start(delivery(limits=Limits(command_line=1 << 21)))
    shell.feed(b"EHLO a.example\r\n")
    begin = time.perf_counter()
    assert shell.feed(b"MAIL FROM:<" + argument + b">\r\n").startswith(b"5")
    assert shell.feed(b"MAIL FROM:<a@b.example>" + argument + b"\r\n").startswith(b"5")
    assert time.perf_counter() - begin < 0.5


def test_a_large_message_streams_through() -> None:
    server = Server(delivery())
    server.reply(GREETING)
    server.receive(b"HELO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n")
    while server.next_event() is not None:
        server.accept()
    chunk = (b"x" * 74 + b"\r\n") * 862
    size = 0
    begin = time.perf_counter()
    for _ in range(380):
        server.receive(chunk)
        while (event := server.next_event()) is not None:
            assert isinstance(event, DataChunk)
            size += len(event.data)
    seconds = time.perf_counter() - begin
    assert size >= 24_000_000
    assert size / seconds > 80e6
