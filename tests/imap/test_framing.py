from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.commands import Create, Login, Noop, Search, StartTls
from mox.imap.events import (
    AppendEnd,
    AppendStart,
    BadCharset,
    BadCommand,
    CommandReady,
    Event,
    Fatal,
    LineTooLong,
    LiteralChunk,
    LiteralEnd,
    NeedContinuation,
    RawLine,
)
from mox.imap.framing import Reader
from mox.imap.limits import LIMITS_BEFORE_LOGIN, Limits
from tests.imap.drive import drive, joined

NOOP = CommandReady(Noop("n"))


def test_commands_in_one_piece_come_one_by_one():
    assert drive(b"a noop\r\nb NOOP\r\nc nOOp\r\n") == [
        CommandReady(Noop("a")),
        CommandReady(Noop("b")),
        CommandReady(Noop("c")),
    ]


def test_bare_lf_ends_a_line():
    assert drive(b"a noop\nb noop\r\n") == [CommandReady(Noop("a")), CommandReady(Noop("b"))]


def test_lone_cr_does_not_end_a_line():
    (event,) = drive(b"a noop\rb noop\r\n")
    assert isinstance(event, BadCommand)


def test_incomplete_command_gives_nothing():
    assert drive(b"a noop\r") == []
    assert drive(b"a login {5}") == []


def test_synchronising_literal_asks_first():
    reader = Reader()
    reader.feed(b"a login {4}\r\n")
    assert reader.next_event() == NeedContinuation("a", 4)
    assert reader.next_event() is None
    reader.feed(b"jane {6}\r\n")
    assert reader.next_event() is None
    reader.accept_literal()
    assert reader.next_event() == NeedContinuation("a", 6)
    reader.accept_literal()
    reader.feed(b"se\r\nt! \r\n")
    assert reader.next_event() == CommandReady(Login("a", "jane", "se\r\nt!"))


def test_refused_literal_ends_the_command():
    reader = Reader()
    reader.feed(b"a login {4}\r\n")
    assert isinstance(reader.next_event(), NeedContinuation)
    reader.refuse_literal()
    reader.feed(b"n noop\r\n")
    assert reader.next_event() == NOOP


def test_non_synchronising_literals_do_not_ask():
    assert drive(b"a login {4+}\r\njane {0+}\r\n\r\n") == [CommandReady(Login("a", "jane", ""))]


def test_literal8_is_accepted_as_a_string():
    assert drive(b"a create ~{3+}\r\nfoo\r\n") == [CommandReady(Create("a", "foo"))]


def test_nul_in_a_string_literal_is_refused():
    (event,) = drive(b"a create {3+}\r\na\0b\r\n")
    assert event == BadCommand("a", "NUL in a literal")


def test_nul_in_a_line_is_refused():
    assert drive(b"a create a\0b\r\nn noop\r\n") == [BadCommand("a", "NUL in a command"), NOOP]
    assert drive(b"a create x {1+}\r\nz\0\r\nn noop\r\n") == [
        BadCommand("a", "NUL in a command"),
        NOOP,
    ]


def test_quoted_string_cannot_run_over_a_literal():
    (event,) = drive(b'a login "x {3+}\r\nabc" y\r\n')
    assert isinstance(event, BadCommand)


def test_braces_inside_a_quoted_string_are_no_literal():
    assert drive(b'a login x "{3}"\r\n') == [CommandReady(Login("a", "x", "{3}"))]


@pytest.mark.parametrize("mark", [b"{}", b"{a}", b"{-1}", b"{5-}", b"{5++}", b"{ 5}", b"{5"])
def test_malformed_literal_is_a_syntax_error(mark):
    events = drive(b"a create " + mark + b"\r\nn noop\r\n")
    assert isinstance(events[0], BadCommand)
    assert events[1:] == [NOOP]


# ---- errors that are seen before the literal comes -------------------------------------------


def test_unknown_command_is_refused_before_its_literal():
    assert drive(b"a frobnicate {5}\r\nn noop\r\n") == [BadCommand("a", "unknown command"), NOOP]


def test_unknown_command_with_sent_literals_is_swallowed():
    data = b"a frobnicate {5+}\r\nn noo {3+}\r\np\r\n x\r\nn noop\r\n"
    assert drive(data) == [BadCommand("a", "unknown command"), NOOP]


def test_swallowing_stops_at_a_literal_the_client_waits_with():
    data = b"a frobnicate {5+}\r\n12345 {9}\r\nn noop\r\n"
    assert drive(data) == [BadCommand("a", "unknown command"), NOOP]


def test_large_unwanted_literal_is_fatal():
    events = drive(b"a frobnicate {65537+}\r\n")
    assert events == [Fatal("a", "unknown command")]
    assert drive(b"a frobnicate {65536+}\r\n") == []


def test_nothing_follows_a_fatal_event():
    reader = Reader()
    reader.feed(b"a create {999999999+}\r\nn noop\r\n")
    assert reader.next_event() == Fatal("a", "literal too large")
    reader.feed(b"n noop\r\n")
    assert reader.next_event() is None


@pytest.mark.parametrize("line", [b"", b" ", b"noop", b"+ noop", b"a+b noop", b"(", b"\xff noop"])
def test_lines_without_a_tag_are_answered_untagged(line):
    events = drive(line + b"\r\nn noop\r\n")
    assert isinstance(events[0], BadCommand)
    assert events[0].tag == "*"
    assert events[1:] == [NOOP]


def test_http_is_a_syntax_error_at_once():
    assert drive(b"GET / HTTP/1.1\r\n") == [BadCommand("GET", "unknown command")]


def test_very_long_tag_is_not_echoed():
    (event,) = drive(b"x" * 257 + b" noop\r\n")
    assert event == BadCommand("*", "tag too long")


# ---- limits ----------------------------------------------------------------------------------


def test_too_large_literal_is_refused_with_toobig():
    assert drive(b"a create {102401}\r\nn noop\r\n") == [
        BadCommand("a", "literal too large", "TOOBIG"),
        NOOP,
    ]
    assert drive(b"a create {102401+}\r\n") == [Fatal("a", "literal too large")]


def test_absurd_sizes_are_too_large():
    for digits in (b"9" * 19, b"9" * 25, b"9" * 5000):
        assert drive(b"a create {" + digits + b"+}\r\n") == [Fatal("a", "literal too large")]
        (event,) = drive(b"a append x {" + digits * 2 + b"}\r\n")
        assert event == BadCommand("a", "literal too large", "TOOBIG")


def test_literals_of_a_command_are_limited_together():
    chunk = b"{102400+}\r\n" + b"x" * 102400 + b" "
    head = b"a search" + b" subject " + chunk
    data = head + (b"subject " + chunk) * 9 + b"subject {60000+}\r\n" + b"y" * 60000 + b"\r\n"
    assert drive(data + b"n noop\r\n") == [
        BadCommand("a", "literal too large", "TOOBIG"),
        NOOP,
    ]


def test_number_of_literals_is_limited():
    limits = Limits(literal_count=3)
    data = b"a id (" + b"{1+}\r\nx " * 4 + b"\r\nn noop\r\n"
    assert drive(data, limits=limits) == [BadCommand("a", "too many literals", "TOOBIG"), NOOP]


def test_endless_empty_literals_end_in_a_line_limit():
    data = b"a id (" + b"{0+}\r\n" * 20_000
    assert drive(data)[-1] == LineTooLong()


@pytest.mark.parametrize("size", [0, 1000])
def test_line_may_be_as_long_as_the_limit(size):
    limits = Limits(line=1000)
    line = b"a login x " + b"y" * 990
    assert len(line) == 1000
    assert drive(line + b"\r\n", limits=limits, size=size) == [
        CommandReady(Login("a", "x", "y" * 990))
    ]
    assert drive(line + b"\n", limits=limits, size=size) == [
        CommandReady(Login("a", "x", "y" * 990))
    ]
    assert drive(line + b"y\r\n", limits=limits, size=size) == [LineTooLong()]
    assert drive(line + b"yyy", limits=limits, size=size) == [LineTooLong()]


def test_limit_counts_all_lines_of_a_command():
    limits = Limits(line=100)
    data = b"a login {1+}\r\nx" + b" " * 90 + b"y\r\n"
    assert drive(data, limits=limits) == [LineTooLong()]


def test_before_login_little_is_accepted():
    (event,) = drive(b"a login {8193}\r\n", limits=LIMITS_BEFORE_LOGIN)
    assert event == BadCommand("a", "literal too large", "TOOBIG")


# ---- raw lines -------------------------------------------------------------------------------


def test_expected_line_comes_raw():
    reader = Reader()
    reader.feed(b"a idle\r\nDoNe\r\nn noop\r\n")
    event = reader.next_event()
    assert isinstance(event, CommandReady)
    reader.expect_line()
    assert reader.next_event() == RawLine(b"DoNe")
    assert reader.next_event() == NOOP


def test_expected_line_is_bounded_and_may_hold_anything():
    reader = Reader()
    reader.expect_line(limit=10)
    reader.feed(b"{5+}\0\xff\r\n")
    assert reader.next_event() == RawLine(b"{5+}\0\xff")
    reader.expect_line(limit=10)
    reader.feed(b"x" * 12)
    assert reader.next_event() == LineTooLong()


def test_rest_after_starttls_can_be_dropped():
    reader = Reader()
    reader.feed(b"a starttls\r\nb login x y\r\n")
    assert reader.next_event() == CommandReady(StartTls("a"))
    assert not reader.at_command_start
    assert reader.take_rest() == b"b login x y\r\n"
    assert reader.at_command_start
    assert reader.next_event() is None


def test_unknown_charset_is_its_own_event():
    assert drive(b"a search charset latin1 all\r\n") == [BadCharset("a")]


def test_utf8_takes_effect_with_the_next_event():
    reader = Reader()
    reader.feed(b"a create &AOk-\r\nb create &AOk-\r\n")
    assert reader.next_event() == CommandReady(Create("a", "é"))
    reader.utf8 = True
    assert reader.next_event() == CommandReady(Create("b", "&AOk-"))


# ---- APPEND ----------------------------------------------------------------------------------


def test_append_is_streamed():
    reader = Reader()
    reader.feed(b'a append "Sent" (\\seen $X) "01-Jan-2022 10:10:00 +0100" {10}\r\n')
    start = reader.next_event()
    assert start == AppendStart("a", "Sent", 0, 10, ("\\Seen", "$X"), (1641028200, 60), sync=True)
    assert reader.next_event() is None
    reader.accept_literal()
    reader.feed(b"12345")
    assert reader.next_event() == LiteralChunk(b"12345")
    assert reader.next_event() is None
    reader.feed(b"67890\r\nn noop\r\n")
    assert reader.next_event() == LiteralChunk(b"67890")
    assert reader.next_event() == LiteralEnd()
    assert reader.next_event() == AppendEnd("a")
    assert reader.next_event() == NOOP


def test_append_mailbox_may_be_a_literal():
    assert drive(b"a append {5+}\r\ninbox {3+}\r\nabc\r\n") == [
        AppendStart("a", "INBOX", 0, 3, sync=False),
        LiteralChunk(b"abc"),
        LiteralEnd(),
        AppendEnd("a"),
    ]


def test_append_with_mailbox_literal_asks_for_that_first():
    assert drive(b"a append {3}\r\n") == [NeedContinuation("a", 3)]


def test_append_literal8_in_utf8():
    events = drive(b"a append x UTF8 (~{3+}\r\na\0c)\r\n")
    assert events[0] == AppendStart("a", "x", 0, 3, sync=False, binary=True, utf8=True)
    assert events[-1] == AppendEnd("a")
    assert isinstance(drive(b"a append x UTF8 (~{3+}\r\na\0c\r\n")[-1], BadCommand)


def test_multiappend_gives_each_message():
    data = b"a append x (\\Flagged) {3+}\r\nabc {0+}\r\n (k) {2}\r\nde UTF8 (~{1+}\r\nf)\r\n"
    events = joined(drive(data))
    assert [event for event in events if isinstance(event, AppendStart)] == [
        AppendStart("a", "x", 0, 3, ("\\Flagged",), sync=False),
        AppendStart("a", "x", 1, 0, sync=False),
        AppendStart("a", "x", 2, 2, ("k",), sync=True),
        AppendStart("a", "x", 3, 1, sync=False, binary=True, utf8=True),
    ]
    assert [event.data for event in events if isinstance(event, LiteralChunk)] == [
        b"abc",
        b"de",
        b"f",
    ]
    assert events[-1] == AppendEnd("a")


@pytest.mark.parametrize(
    "line",
    [
        b"a append x {3}y",
        b"a append x",
        b"a append",
        b"a append x ()",
        b"a append x y {3}",
        b"a append x(\\Seen) {3}",
        b"a append x (\\Recent) {3}",
        b"a append x (\\Foo) {3}",
        b"a append x (\\Seen){3}",
        b'a append x "1-Foo-2022 10:10:00 +0100" {3}',
        b"a append x catenated (text {3}",
        b"a append x{3}",
        b"a append &AO- {3}",
    ],
)
def test_malformed_append_is_a_syntax_error(line):
    (event,) = drive(line + b"\r\n")
    assert isinstance(event, BadCommand)
    assert event.tag == "a"


def test_malformed_append_with_sent_message_is_swallowed():
    data = b"a append x (\\Foo) {8+}\r\nb noop\r\n\r\nn noop\r\n"
    assert drive(data) == [BadCommand("a", "this system flag cannot be set"), NOOP]


def test_garbage_after_a_message_is_a_syntax_error():
    events = drive(b"a append x {3+}\r\nabc def\r\nn noop\r\n")
    assert isinstance(events[-2], BadCommand)
    assert events[-1] == NOOP


def test_refused_append_ends_at_once_when_the_client_waits():
    reader = Reader()
    reader.feed(b"a append x {3}\r\nn noop\r\n")
    assert isinstance(reader.next_event(), AppendStart)
    reader.refuse_literal()
    assert reader.next_event() == AppendEnd("a", refused=True)
    assert reader.next_event() == NOOP


def test_refused_append_swallows_what_is_sent():
    reader = Reader()
    reader.feed(b"a append x {5+}\r\n12345 (k) {2+}\r\n67\r\nn noop\r\n")
    assert isinstance(reader.next_event(), AppendStart)
    reader.refuse_literal()
    assert reader.next_event() == AppendEnd("a", refused=True)
    assert reader.next_event() == NOOP


def test_append_can_be_given_up_amid_its_data():
    reader = Reader()
    reader.feed(b"a append x {5}\r\n")
    assert isinstance(reader.next_event(), AppendStart)
    reader.accept_literal()
    reader.feed(b"12")
    assert reader.next_event() == LiteralChunk(b"12")
    reader.refuse_literal()
    assert reader.next_event() is None
    reader.feed(b"345 {9}\r\nn noop\r\n")
    assert reader.next_event() == AppendEnd("a", refused=True)
    assert reader.next_event() == NOOP


def test_refused_append_that_is_too_large_to_swallow_is_fatal():
    reader = Reader(Limits(append_swallow=4))
    reader.feed(b"a append x {5+}\r\n")
    assert isinstance(reader.next_event(), AppendStart)
    reader.refuse_literal()
    assert reader.next_event() == Fatal("a", "literal too large")


def test_large_messages_are_announced_not_limited():
    (event,) = [
        event
        for event in drive(b"a append x {5000000000}\r\n")
        if not isinstance(event, LiteralChunk)
    ]
    assert isinstance(event, AppendStart)
    assert event.size == 5_000_000_000


# ---- pieces and cost -------------------------------------------------------------------------

DIALOGUES = [
    b'a noop\r\nb login {4+}\r\njane {2}\r\npw\r\nc select "x y"\r\n',
    b"a append x (\\Seen) {12+}\r\nabc\r\n{5+}\r\nx {3}\r\nabc\r\nn noop\r\n",
    b"a append {1}\r\nx UTF8 (~{3+}\r\nabc)\r\nn noop\r\n",
    b"a frob {3+}\r\nabc {4+}\r\nabcd e\r\nn noop\r\nGET / HTTP\r\n\r\n\n",
    b'a search charset utf-8 or subject {3}\r\nabc body "x" uid 1:*\r\nn noop\r\n',
    b"a id (" + b'"k" "v" ' * 3 + b"\r\nn noop\r\n",
]


@pytest.mark.parametrize("data", DIALOGUES)
def test_bytes_one_at_a_time_give_the_same_events(data):
    whole = joined(drive(data))
    for size in (1, 2, 3, 7):
        assert joined(drive(data, size=size)) == whole


@given(
    st.lists(st.sampled_from([*DIALOGUES, b"{3+}\r\n", b" ", b"\x00", b"\r\n"])), st.integers(1, 9)
)
def test_mixtures_do_not_depend_on_pieces(parts, size):
    data = b"".join(parts)
    assert joined(drive(data, size=size)) == joined(drive(data))


@given(st.binary(max_size=400))
def test_no_octets_raise(data):
    for event in drive(data):
        assert isinstance(event, Event)


WORDS = [
    *(
        b"a",
        b" ",
        b"\r\n",
        b"{1+}\r\n",
        b"{2}\r\n",
        b"~{0+}\r\n",
        b"(",
        b")",
        b'"',
        b"\\",
        b"*",
        b"%",
    ),
    *(
        b"append ",
        b"search ",
        b"fetch ",
        b"store ",
        b"uid ",
        b"list ",
        b"id ",
        b"select ",
        b"status ",
    ),
    *(b"1:*", b"$", b",", b"BODY[", b"]", b"<0.1>", b"HEADER.FIELDS", b"RETURN", b"or ", b"not "),
    *(
        b"+flags ",
        b"\\Seen",
        b"1-Jan-2022",
        b"charset utf-8 ",
        b"inbox",
        b"&AOk-",
        b"\xc3\xa9",
        b"\0",
    ),
    *(
        b"login ",
        b"authenticate ",
        b"enable ",
        b"create ",
        b"(use (",
        b"qresync (",
        b"12",
        b"{9999999+}",
    ),
]


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_no_sequence_of_words_raises(words):
    for event in drive(b"a " + b"".join(words) + b"\r\n"):
        assert isinstance(event, Event)


def test_sixty_kilobytes_in_single_octets_are_linear():
    def cost(count: int) -> float:
        data = b"a login x " + b"y" * count + b"\r\n"
        start = time.perf_counter()
        assert len(drive(data, size=1)) == 1
        return time.perf_counter() - start

    cost(1000)
    small, large = min(cost(15_000) for _ in range(3)), min(cost(60_000) for _ in range(3))
    assert large < 8 * small
    assert large < 1.0


def test_many_pipelined_commands_are_linear():
    data = b"n noop\r\n" * 50_000
    start = time.perf_counter()
    assert len(drive(data)) == 50_000
    assert time.perf_counter() - start < 5.0


def test_reader_knows_being_idle():
    reader = Reader()
    assert reader.at_command_start
    reader.feed(b"a login {1+}\r\n")
    assert reader.next_event() is None
    assert not reader.at_command_start
    reader.feed(b"x y\r\n")
    event = reader.next_event()
    assert isinstance(event, CommandReady)
    assert reader.at_command_start


def test_search_literals_are_kept_in_order():
    (event,) = [
        event
        for event in drive(b"a search subject {1}\r\nx from {1+}\r\ny\r\n")
        if isinstance(event, CommandReady)
    ]
    assert isinstance(event.command, Search)
    assert [key.value for key in event.command.key.keys] == ["x", "y"]
