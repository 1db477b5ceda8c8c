"""Commands on the selected mailbox, with the examples of their RFCs."""

from __future__ import annotations

from datetime import date

import pytest

from mox.imap.commands import (
    Copy,
    Expunge,
    Fetch,
    Move,
    Search,
    SearchReturn,
    Store,
    StoreMode,
    label,
)
from mox.imap.events import BadCharset, BadCommand
from mox.imap.fetchatt import (
    ALL,
    FAST,
    FULL,
    BinarySection,
    BinarySize,
    BodySection,
    Plain,
    Section,
)
from mox.imap.grammar.cursor import Cursor, SyntaxFailure
from mox.imap.grammar.dates import date_time
from mox.imap.searchkeys import (
    All,
    And,
    Body,
    Comparison,
    HasFlag,
    Header,
    Larger,
    ModSeq,
    Not,
    Numbers,
    Older,
    Or,
    ReceivedDate,
    Recent,
    SentDate,
    Smaller,
    Text,
    Uids,
    Younger,
    uses_modseq,
    uses_numbers,
)
from mox.imap.sequence import STAR, SequenceSet
from tests.imap.drive import command, drive, outcome


def one(number: int) -> SequenceSet:
    return SequenceSet(((number, number),))


# ---- sequence sets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1", SequenceSet(((1, 1),))),
        ("*", SequenceSet(((STAR, STAR),))),
        ("2,4:7,9,12:*", SequenceSet(((2, 2), (4, 7), (9, 9), (12, STAR)))),
        ("*:4,7:5", SequenceSet(((STAR, 4), (7, 5)))),
        ("4294967295", SequenceSet(((4294967295, 4294967295),))),
        ("$", SequenceSet((), saved=True)),
    ],
)
def test_sequence_sets(written, expected):
    assert command(f"copy {written} x") == Copy("t", expected, "x")


@pytest.mark.parametrize(
    "written",
    [
        "0",
        "01",
        "1,",
        ",1",
        "1:",
        ":1",
        "1:2:3",
        "1,,2",
        "a",
        "-1",
        "4294967296",
        "$,1",
        "1,$",
        "$:1",
        "",
    ],
)
def test_malformed_sequence_sets(written):
    assert isinstance(outcome(f"copy {written} x"), BadCommand)


def test_large_sets_are_bounded():
    line = "fetch " + ",".join(str(n) for n in range(1, 9000)) + " flags"
    found = command(line)
    assert isinstance(found, Fetch)
    assert len(found.messages.ranges) == 8999


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("copy 2:4 MEETING", Copy("t", SequenceSet(((2, 4),)), "MEETING")),
        ("uid copy 1 inbox", Copy("t", one(1), "INBOX", uid=True)),
        ("move 1 x", Move("t", one(1), "x")),
        ("UID MOVE 42:69 foo", Move("t", SequenceSet(((42, 69),)), "foo", uid=True)),
        ("uid expunge 3000:3002", Expunge("t", SequenceSet(((3000, 3002),)))),
    ],
)
def test_copy_move_expunge(line, expected):
    assert command(line) == expected


@pytest.mark.parametrize("line", ["expunge 1", "uid expunge", "copy 1", "move x", "uid close"])
def test_malformed_copy_move_expunge(line):
    assert isinstance(outcome(line), BadCommand)


def test_labels_name_the_command_for_people():
    assert label(command("uid fetch 1 flags")) == "uid fetch"
    assert label(command("fetch 1 flags")) == "fetch"
    assert label(command("uid expunge 1")) == "uid expunge"
    assert label(command("expunge")) == "expunge"
    assert label(command("examine x")) == "examine"
    assert label(command("select x")) == "select"


# ---- STORE -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            r"store 2:4 +FLAGS (\Deleted)",
            Store("t", SequenceSet(((2, 4),)), StoreMode.ADD, ("\\Deleted",)),
        ),
        (r"store 1 flags ()", Store("t", one(1), StoreMode.REPLACE, ())),
        (
            r"store 1 -flags.silent \seen $Foo]",
            None,
        ),
        (
            r"uid store 1 -flags.silent \sEEn $MDNSent Label \Seen",
            Store(
                "t",
                one(1),
                StoreMode.REMOVE,
                ("\\Seen", "$MDNSent", "Label"),
                uid=True,
                silent=True,
            ),
        ),
        # RFC 7162 §3.1.3
        (
            r"UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\Deleted)",
            Store(
                "t",
                SequenceSet(((6, 6), (4, 4), (8, 8))),
                StoreMode.ADD,
                ("\\Deleted",),
                uid=True,
                silent=True,
                unchanged_since=12121230045,
            ),
        ),
        (
            r"store 1 (unchangedsince 0) flags \Draft ",
            Store("t", one(1), StoreMode.REPLACE, ("\\Draft",), unchanged_since=0),
        ),
    ],
)
def test_store(line, expected):
    if expected is None:
        assert isinstance(outcome(line), BadCommand)
    else:
        assert command(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "store 1",
        "store 1 flags",
        "store 1 +flags",
        r"store 1 ++flags \Seen",
        r"store 1 *flags \Seen",
        r"store 1 flags.loud \Seen",
        r"store 1 flagsx \Seen",
        r"store 1 flags (\Seen",
        r"store 1 flags \Seen\Deleted",
        r"store 1 flags \Recent",
        r"store 1 flags \Foo",
        r"store 1 flags \*",
        r"store 1 flags (a]b)",
        "store 1 flags (a  b)",
        "store 1 flags é",
        r"store 1 (foo 1) flags \Seen",
        r"store 1 (unchangedsince) flags \Seen",
        r"store 1 (unchangedsince 9223372036854775808) flags \Seen",
    ],
)
def test_malformed_store(line):
    assert isinstance(outcome(line), BadCommand)


# ---- FETCH -----------------------------------------------------------------------------------


def attributes(text: str) -> tuple[object, ...]:
    found = command(f"fetch 1 {text}")
    assert isinstance(found, Fetch)
    return found.attributes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", ALL),
        ("FAST", FAST),
        ("full", FULL),
        ("flags", (Plain.FLAGS,)),
        ("(UID flags UID)", (Plain.UID, Plain.FLAGS)),
        ("body", (Plain.BODY,)),
        ("bodystructure", (Plain.BODYSTRUCTURE,)),
        (
            "(envelope internaldate rfc822.size modseq)",
            (Plain.ENVELOPE, Plain.INTERNALDATE, Plain.SIZE, Plain.MODSEQ),
        ),
        ("rfc822", (BodySection(Section(), False, None, b"RFC822"),)),
        ("rfc822.header", (BodySection(Section(what="HEADER"), True, None, b"RFC822.HEADER"),)),
        ("rfc822.text", (BodySection(Section(what="TEXT"), False, None, b"RFC822.TEXT"),)),
        ("body[]", (BodySection(Section(), False, None, b"BODY[]"),)),
        ("BODY.PEEK[]<0.2048>", (BodySection(Section(), True, (0, 2048), b"BODY[]<0>"),)),
        ("body[header]", (BodySection(Section(what="HEADER"), False, None, b"BODY[HEADER]"),)),
        ("body[1]", (BodySection(Section((1,)), False, None, b"BODY[1]"),)),
        (
            "body.peek[4.2.mime]",
            (BodySection(Section((4, 2), "MIME"), True, None, b"BODY[4.2.MIME]"),),
        ),
        (
            "body[4.1.Text]<7.9>",
            (BodySection(Section((4, 1), "TEXT"), False, (7, 9), b"BODY[4.1.TEXT]<7>"),),
        ),
        (
            "BODY[HEADER.FIELDS (DATE from)]",
            (
                BodySection(
                    Section((), "HEADER.FIELDS", ("DATE", "from")),
                    False,
                    None,
                    b"BODY[HEADER.FIELDS (DATE from)]",
                ),
            ),
        ),
        (
            'body.peek[3.header.fields.not ("X-(odd)" To)]',
            (
                BodySection(
                    Section((3,), "HEADER.FIELDS.NOT", ("X-(odd)", "To")),
                    True,
                    None,
                    b'BODY[3.HEADER.FIELDS.NOT ("X-(odd)" To)]',
                ),
            ),
        ),
        ("binary[]", (BinarySection((), False, None, b"BINARY[]"),)),
        ("binary.peek[1.2]<3.4>", (BinarySection((1, 2), True, (3, 4), b"BINARY[1.2]<3>"),)),
        ("(binary.size[1])", (BinarySize((1,), b"BINARY.SIZE[1]"),)),
    ],
)
def test_fetch_attributes(text, expected):
    assert attributes(text) == expected


def test_field_name_may_be_a_literal_and_is_echoed_safely():
    (event,) = drive(b't fetch 1 body[header.fields ({5+}\r\na\\"b] x)]\r\n')
    (item,) = event.command.attributes
    assert item.section.fields == ('a\\"b]', "x")
    assert item.label == b'BODY[HEADER.FIELDS ("a\\\\\\"b]" x)]'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "()",
        "foo",
        "(flags all)",
        "(flags",
        "flags envelope",
        "body[",
        "body[foo]",
        "body[mime]",
        "body[0]",
        "body[1.]",
        "body[1..2]",
        "body[1.0]",
        "body[1header]",
        "body[header.fields]",
        "body[header.fields ()]",
        "body[header.fields (a]",
        'body[header.fields ("a:")]',
        'body[header.fields ("a b")]',
        'body[header.fields ("")]',
        'body[header.fields ("é")]',
        "body[]<0>",
        "body[]<0.0>",
        "body[]<1.2.3>",
        "body[]<-1.2>",
        "body[]<0.9223372036854775808>",
        "body.foo[]",
        "binary[text]",
        "binary[1.text]",
        "binary.size[1]<0.1>",
        "binary",
        "flags[1]",
        "body[1" + ".1" * 100 + "]",
        "(" + " ".join(["flags"] * 501) + ")",
    ],
)
def test_malformed_fetch_attributes(text):
    assert isinstance(outcome(f"fetch 1 {text}"), BadCommand)


@pytest.mark.parametrize(
    ("line", "changed_since", "vanished"),
    [
        ("uid fetch 1:* (FLAGS) (CHANGEDSINCE 12345)", 12345, False),
        ("uid fetch 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)", 12345, True),
        ("uid fetch 1 flags (vanished changedsince 0) ", 0, True),
        ("fetch 1 flags (changedsince 1)", 1, False),
    ],
)
def test_fetch_modifiers(line, changed_since, vanished):
    found = command(line)
    assert (found.changed_since, found.vanished) == (changed_since, vanished)


@pytest.mark.parametrize(
    "line",
    [
        "fetch 1 flags (changedsince 1 vanished)",
        "uid fetch 1 flags (vanished)",
        "uid fetch 1 flags (changedsince)",
        "uid fetch 1 flags (changedsince 1 changedsince 2)",
        "uid fetch 1 flags ()",
        "uid fetch 1 flags (foo)",
        "uid fetch 1 flags(changedsince 1)",
    ],
)
def test_malformed_fetch_modifiers(line):
    assert isinstance(outcome(line), BadCommand)


# ---- SEARCH ----------------------------------------------------------------------------------


def key(text: str) -> object:
    found = command(f"search {text}")
    assert isinstance(found, Search)
    return found.key


SEEN, DELETED = HasFlag("\\Seen"), HasFlag("\\Deleted")
DAY = date(1994, 2, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", All()),
        ("seen", SEEN),
        ("unseen", Not(SEEN)),
        ("answered", HasFlag("\\Answered")),
        ("unanswered", Not(HasFlag("\\Answered"))),
        ("flagged", HasFlag("\\Flagged")),
        ("unflagged", Not(HasFlag("\\Flagged"))),
        ("deleted", DELETED),
        ("undeleted", Not(DELETED)),
        ("draft", HasFlag("\\Draft")),
        ("undraft", Not(HasFlag("\\Draft"))),
        ("recent", Recent()),
        ("old", Not(Recent())),
        ("new", And((Recent(), Not(SEEN)))),
        ("keyword $Forwarded", HasFlag("$Forwarded")),
        ("unkeyword MyLabel", Not(HasFlag("MyLabel"))),
        ("before 1-Feb-1994", ReceivedDate(Comparison.BEFORE, DAY)),
        ('on "01-feb-1994"', ReceivedDate(Comparison.ON, DAY)),
        ("since 1-FEB-1994", ReceivedDate(Comparison.SINCE, DAY)),
        ("sentbefore 1-Feb-1994", SentDate(Comparison.BEFORE, DAY)),
        ("senton 1-Feb-1994", SentDate(Comparison.ON, DAY)),
        ("sentsince 1-Feb-1994", SentDate(Comparison.SINCE, DAY)),
        ("from Smith", Header("from", "Smith")),
        ('to "a b"', Header("to", "a b")),
        ("cc x", Header("cc", "x")),
        ("bcc x", Header("bcc", "x")),
        ('subject "Ünï"', Header("subject", "Ünï")),
        ('header Message-ID "<x>"', Header("message-id", "<x>")),
        ('header x-foo ""', Header("x-foo", "")),
        ("body x", Body("x")),
        ('text "not in"', Text("not in")),
        ("larger 1000", Larger(1000)),
        ("smaller 0", Smaller(0)),
        ("older 60", Older(60)),
        ("younger 86400", Younger(86400)),
        ("modseq 620162338", ModSeq(620162338)),
        (r'modseq "/flags/\\draft" all 620162338', ModSeq(620162338)),
        (r'modseq "/flags/$x" priv 1', ModSeq(1)),
        ("uid 1:*", Uids(SequenceSet(((1, STAR),)))),
        ("uid $", Uids(SequenceSet((), saved=True))),
        ("$", Numbers(SequenceSet((), saved=True))),
        ("2,4:*", Numbers(SequenceSet(((2, 2), (4, STAR))))),
        ("*", Numbers(SequenceSet(((STAR, STAR),)))),
        ("not seen", Not(SEEN)),
        ("not not seen", Not(Not(SEEN))),
        ("(seen)", SEEN),
        ("((seen) deleted)", And((SEEN, DELETED))),
        ("seen deleted ", And((SEEN, DELETED))),
        ("or seen deleted", Or((SEEN, DELETED))),
        ("or seen or deleted all", Or((SEEN, DELETED, All()))),
        (
            "or (seen all) deleted draft",
            And((Or((And((SEEN, All())), DELETED)), HasFlag("\\Draft"))),
        ),
        ("or or seen deleted all", Or((Or((SEEN, DELETED)), All()))),
        ("or not seen not deleted", Or((Not(SEEN), Not(DELETED)))),
    ],
)
def test_search_keys(text, expected):
    assert key(text) == expected


def test_search_of_rfc9051():
    found = command('search flagged since 1-Feb-1994 not from "Smith"')
    assert found == Search(
        "t",
        And(
            (
                HasFlag("\\Flagged"),
                ReceivedDate(Comparison.SINCE, DAY),
                Not(Header("from", "Smith")),
            )
        ),
    )


@pytest.mark.parametrize(
    ("line", "returns", "charset", "uid"),
    [
        ("search return (min count) flagged", {"MIN", "COUNT"}, None, False),
        ("search return () flagged", {"ALL"}, None, False),
        ("uid search RETURN (SAVE) charset us-ascii all", {"SAVE"}, "US-ASCII", True),
        ('search return (all max) charset "utf-8" text x', {"ALL", "MAX"}, "UTF-8", False),
    ],
)
def test_search_options(line, returns, charset, uid):
    found = command(line)
    assert found.returns == {SearchReturn(name) for name in returns}
    assert (found.charset, found.uid) == (charset, uid)


@pytest.mark.parametrize("line", ["search charset latin1 all", "uid search charset x-y all"])
def test_unknown_charset(line):
    assert outcome(line) == BadCharset("t")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "()",
        "(seen",
        "seen)",
        "seen  deleted",
        "not",
        "or seen",
        "or seen or deleted",
        "keyword",
        r"keyword \Seen",
        "before",
        "before 32-Jan-2020",
        "before 29-Feb-2021",
        "before 1-Foo-2021",
        "before 1-Jan-21",
        'before "1-Jan-2021',
        "before 1-Jan-0000",
        "larger x",
        "larger -1",
        "larger 9223372036854775808",
        "older 0",
        "older 4294967296",
        "modseq x",
        'modseq "/flags/" all 1',
        'modseq "/flags/x" foo 1',
        "modseq 9223372036854775808",
        "header x",
        b'subject "\xff"',
        "return (foo) all",
        "return all",
        "return (all)",
        "charset utf-8",
        "uid",
        "uid x",
        "0",
    ],
)
def test_malformed_search(text):
    raw = text if isinstance(text, bytes) else text.encode()
    assert isinstance(outcome(b"search " + raw), BadCommand)


@pytest.mark.parametrize("opening", ["(", "not ", "or all ("])
def test_search_depth_is_bounded(opening):
    assert isinstance(outcome("search " + opening * 5000 + "all"), BadCommand)
    assert isinstance(command("search " + "not " * 60 + "all"), Search)


def test_chains_of_or_cost_no_depth():
    found = command("search " + "or subject x " * 1900 + "all")
    assert isinstance(found.key, Or)
    assert len(found.key.keys) == 1901


def test_number_of_search_keys_is_bounded():
    assert isinstance(outcome("search" + " all" * 2001), BadCommand)
    assert isinstance(command("search" + " all" * 2000), Search)


def test_programs_tell_about_modseq_and_numbers():
    assert uses_modseq(key("or seen not (all modseq 4)"))
    assert not uses_modseq(key("or seen not (all uid 4)"))
    assert uses_numbers(key("or seen not (all 4)"))
    assert not uses_numbers(key("or seen not (all uid 9)"))


# ---- dates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('" 1-Jan-1970 00:00:00 +0000"', (0, 0)),
        ('"1-Jan-1970 00:00:00 +0000"', (0, 0)),
        ('"01-Jan-1970 01:00:00 +0100"', (0, 60)),
        ('"31-Dec-1969 19:30:00 -0430"', (0, -270)),
        ('"17-Jul-1996 02:44:25 -0700"', (837596665, -420)),
        ('"30-Jun-2015 23:59:60 +0000"', (1435708800, 0)),
        ('"29-feb-2024 12:00:00 +1400"', (1709157600, 840)),
    ],
)
def test_date_times(text, expected):
    assert date_time(Cursor(text.encode())) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"1-Jan-1970"',
        '"32-Jan-1970 00:00:00 +0000"',
        '"0-Jan-1970 00:00:00 +0000"',
        '"29-Feb-2023 00:00:00 +0000"',
        '"1-Jan-1970 24:00:00 +0000"',
        '"1-Jan-1970 00:60:00 +0000"',
        '"1-Jan-1970 00:00:61 +0000"',
        '"1-Jan-1970 00:00:00 +0060"',
        '"1-Jan-1970 00:00:00 +2400"',
        '"1-Jan-1970 00:00:00 GMT"',
        '"1-Jan-1970 00:00:00 +0000',
        '"1-Jan-0000 00:00:00 +0000"',
        "1-Jan-1970 00:00:00 +0000",
    ],
)
def test_malformed_date_times(text):
    with pytest.raises(SyntaxFailure):
        date_time(Cursor(text.encode()))
