"""Commands of any state, before login, and after login without a selected mailbox."""

from __future__ import annotations

import pytest

from mox.imap.commands import (
    Authenticate,
    Capability,
    Check,
    Close,
    Create,
    Delete,
    Enable,
    Expunge,
    GetQuota,
    GetQuotaRoot,
    Id,
    Idle,
    List,
    ListPattern,
    ListReturn,
    ListSelect,
    Login,
    Logout,
    Lsub,
    Namespace,
    Noop,
    Qresync,
    Rename,
    Select,
    StartTls,
    Status,
    StatusItem,
    Subscribe,
    Unselect,
    Unsubscribe,
)
from mox.imap.events import BadCommand, CommandReady
from mox.imap.framing import Reader
from mox.imap.grammar.cursor import SyntaxFailure
from mox.imap.grammar.unauthenticated import sasl_line
from mox.imap.sequence import SequenceSet
from tests.imap.drive import command, outcome


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("CAPABILITY", Capability("t")),
        ("noop", Noop("t")),
        ("Noop  ", Noop("t")),
        ("LOGOUT ", Logout("t")),
        ("STARTTLS", StartTls("t")),
        ("namespace", Namespace("t")),
        ("idle", Idle("t")),
        ("check", Check("t")),
        ("close", Close("t")),
        ("unselect", Unselect("t")),
        ("expunge", Expunge("t")),
    ],
)
def test_commands_without_arguments(line, expected):
    assert command(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "noop x",
        "noop(",
        "capability x",
        "starttls 1",
        "frob",
        "x-frob",
        "1",
        "uid",
        "uid noop",
    ],
)
def test_surplus_or_unknown_words_are_errors(line):
    assert isinstance(outcome(line), BadCommand)


# ---- ID --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("id nil", None),
        ("ID ()", ()),
        ('id ("name" "sodr" "version" "19.34")', (("name", "sodr"), ("version", "19.34"))),
        ('id ("Name" NIL)', (("name", None),)),
        ('id ("NIL" "NIL")', (("nil", "NIL"),)),
        (b'id ("a" "\xe9")', (("a", "\ufffd"),)),
    ],
)
def test_id_fields(line, fields):
    assert command(line) == Id("t", fields)


@pytest.mark.parametrize(
    "line",
    [
        "id",
        "id x",
        'id ("a")',
        'id ("a" "b" "A" "c")',
        'id ("a"  "b")',
        "id (nil nil)",
        'id ("a" b)',
        "id (" + " ".join(f'"k{n}" "v"' for n in range(101)) + ")",
    ],
)
def test_malformed_id(line):
    assert isinstance(outcome(line), BadCommand)


# ---- login -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "user", "password"),
    [
        ("login SMITH SESAME", "SMITH", "SESAME"),
        ('login "jane@x.example" "a b"', "jane@x.example", "a b"),
        (r'login x "a\\b\"c"', "x", 'a\\b"c'),
        (r'login x "\\\\"', "x", "\\\\"),
        ('login x "pässwörd"', "x", "pässwörd"),
        ('login x ""', "x", ""),
        ("login x a]b+c'~", "x", "a]b+c'~"),
    ],
)
def test_login_strings(line, user, password):
    assert command(line) == Login("t", user, password)


@pytest.mark.parametrize(
    "line",
    [
        "login",
        "login x",
        "login  x y",
        "login x  y",
        "login x y z",
        r'login x "a\b"',
        'login x "a',
        'login x a"b',
        'login "x"y z',
        "login x a*b",
        "login x a%b",
        "login x a(b",
        "login x a{b",
        "login x a\\b",
        "login x pässwörd",
        b'login x "\xff"',
    ],
)
def test_malformed_login(line):
    assert isinstance(outcome(line), BadCommand)


def test_passwords_do_not_show_in_representations():
    assert "SESAME" not in repr(command("login SMITH SESAME"))
    assert "secret" not in repr(command("authenticate PLAIN AHgAc2VjcmV0"))


@pytest.mark.parametrize(
    ("line", "mechanism", "initial"),
    [
        ("authenticate PLAIN", "PLAIN", None),
        ("authenticate plain ", "PLAIN", None),
        ("authenticate Scram-Sha-256-plus =", "SCRAM-SHA-256-PLUS", b""),
        ("authenticate plain AHgAc2VjcmV0", "PLAIN", b"\0x\0secret"),
        ("authenticate cram-md5 =", "CRAM-MD5", b""),
    ],
)
def test_authenticate(line, mechanism, initial):
    assert command(line) == Authenticate("t", mechanism, initial)


@pytest.mark.parametrize(
    "line",
    [
        "authenticate",
        "authenticate PLAIN AHg",
        "authenticate PLAIN AHg=x",
        "authenticate PLAIN ====",
        "authenticate PLAIN a!",
        "authenticate PLAIN = =",
        "authenticate " + "x" * 41,
    ],
)
def test_malformed_authenticate(line):
    assert isinstance(outcome(line), BadCommand)


@pytest.mark.parametrize(
    ("line", "expected"), [(b"*", None), (b"", b""), (b"YQ==", b"a"), (b"YQ== ", b"a")]
)
def test_sasl_lines(line, expected):
    assert sasl_line(line) == expected


@pytest.mark.parametrize("line", [b"YQ", b"**", b"!", b"\xff", b"YQ==YQ==", b"Y Q=="])
def test_malformed_sasl_lines(line):
    with pytest.raises(SyntaxFailure):
        sasl_line(line)


# ---- mailboxes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("inbox", "INBOX"),
        ('"iNbOx"', "INBOX"),
        ("inbox/Sub", "INBOX/Sub"),
        ("inboxes", "inboxes"),
        ("INBOX.sub", "INBOX.sub"),
        ("sub/inbox", "sub/inbox"),
        ("&AOk-", "é"),
        ("a&-b", "a&b"),
        ('"raw é"', "raw é"),
        ('"raw é &- x"', "raw é &- x"),
        (r'"a\\b"', "a\\b"),
        ("blurdybloop/", "blurdybloop/"),
    ],
)
def test_mailbox_names_before_utf8(written, name):
    assert command(f"delete {written}") == Delete("t", name)


@pytest.mark.parametrize(
    ("written", "name"),
    [('"Ünï"', "Ünï"), ("&AOk-", "&AOk-"), ("a&b", "a&b"), ("inBox", "INBOX")],
)
def test_mailbox_names_with_utf8(written, name):
    assert command(f"delete {written}", utf8=True) == Delete("t", name)


@pytest.mark.parametrize("written", ["&AO-", "&", "a*", "a%", "", "é", "a b", b'"\xff"', b'"\xc3"'])
def test_malformed_mailbox_names(written):
    raw = written if isinstance(written, bytes) else written.encode()
    assert isinstance(outcome(b"delete " + raw), BadCommand)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("create a/b", Create("t", "a/b")),
        (
            r"create MySpecial (USE (\Drafts \sent))",
            Create("t", "MySpecial", ("\\Drafts", "\\Sent")),
        ),
        (r"create x (USE (\Foo))", Create("t", "x", ("\\Foo",))),
        ("create x (use ())", Create("t", "x")),
        ("rename a b", Rename("t", "a", "b")),
        ("rename inbox old", Rename("t", "INBOX", "old")),
        ("subscribe #news.x", Subscribe("t", "#news.x")),
        ("unsubscribe a", Unsubscribe("t", "a")),
        ("getquota {0+}\r\n", GetQuota("t", "")),
        ('getquota ""', GetQuota("t", "")),
        ("getquotaroot inbox", GetQuotaRoot("t", "INBOX")),
        ("enable condstore X-GOOD  ", Enable("t", ("condstore", "X-GOOD"))),
        ("enable UTF8=ACCEPT", Enable("t", ("UTF8=ACCEPT",))),
    ],
)
def test_mailbox_commands(line, expected):
    assert command(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "create",
        "create x ()",
        "create x (USE)",
        "create x (USE (Sent))",
        "create x (FOO (x))",
        r"create x (USE (\Sent)",
        r"create x(USE (\Sent))",
        "rename a",
        "rename a b c",
        "enable",
        "enable ",
        "enable a(b",
    ],
)
def test_malformed_mailbox_commands(line):
    assert isinstance(outcome(line), BadCommand)


# ---- SELECT, STATUS --------------------------------------------------------------------------

SET = SequenceSet


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("select inbox", Select("t", "INBOX")),
        ("examine blurdybloop", Select("t", "blurdybloop", read_only=True)),
        ("select INBOX (CONDSTORE)", Select("t", "INBOX", condstore=True)),
        # RFC 7162 §3.2.5.1 and §3.2.5.2
        (
            "select INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
            Select(
                "t",
                "INBOX",
                qresync=Qresync(
                    67890007, 20050715194045000, SET(((41, 41), (43, 211), (214, 541)))
                ),
            ),
        ),
        (
            "select x (qresync (67890007 90060115194045000 41:211,214:541 (1,3 41,43)))",
            Select(
                "t",
                "x",
                qresync=Qresync(
                    67890007,
                    90060115194045000,
                    SET(((41, 211), (214, 541))),
                    SET(((1, 1), (3, 3))),
                    SET(((41, 41), (43, 43))),
                ),
            ),
        ),
        (
            "examine x (qresync (1 0 (1 2)) condstore)",
            Select(
                "t",
                "x",
                read_only=True,
                condstore=True,
                qresync=Qresync(1, 0, None, SET(((1, 1),)), SET(((2, 2),))),
            ),
        ),
    ],
)
def test_select(line, expected):
    assert command(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "select",
        "select x ()",
        "select x (foo)",
        "select x (qresync)",
        "select x (qresync ())",
        "select x (qresync (0 1))",
        "select x (qresync (1))",
        "select x (qresync (1 9223372036854775808))",
        "select x (qresync (1 2 *))",
        "select x (qresync (1 2 1:*))",
        "select x (qresync (1 2 $))",
        "select x (qresync (1 2 3 (1)))",
        "select x (qresync (1 2) qresync (1 2))",
        "select x (condstore",
    ],
)
def test_malformed_select(line):
    assert isinstance(outcome(line), BadCommand)


def test_status():
    assert command("status blurdybloop (uidnext messages UIDNEXT)") == Status(
        "t", "blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES)
    )
    assert command("STATUS x (" + " ".join(item.value for item in StatusItem) + ")") == Status(
        "t", "x", tuple(StatusItem)
    )


@pytest.mark.parametrize("line", ["status x", "status x ()", "status x messages", "status x (foo)"])
def test_malformed_status(line):
    assert isinstance(outcome(line), BadCommand)


# ---- LIST, LSUB ------------------------------------------------------------------------------


def patterns(*texts: str) -> tuple[ListPattern, ...]:
    return tuple(ListPattern(text) for text in texts)


SUBSCRIBED, RECURSIVE = ListSelect.SUBSCRIBED, ListSelect.RECURSIVEMATCH


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('list "" *', List("t", "", patterns("*"))),
        ('list "" ""', List("t", "", patterns(""))),
        ("list ~/Mail/ %", List("t", "~/Mail/", patterns("%"))),
        ('list "" "a b*"', List("t", "", patterns("a b*"))),
        ('list "" inbox]', List("t", "", patterns("inbox]"))),
        ('list "" &AOk-*', List("t", "", patterns("é*"))),
        ('list "" &ANw*', List("t", "", (ListPattern("&ANw*", encoded=True),))),
        # RFC 5258 §5
        (
            'list (subscribed) "" "*"',
            List("t", "", patterns("*"), frozenset({SUBSCRIBED}), extended=True),
        ),
        ('list () "" "%"', List("t", "", patterns("%"), extended=True)),
        (
            'list "" "%" return (children)',
            List("t", "", patterns("%"), returns=frozenset({ListReturn.CHILDREN}), extended=True),
        ),
        (
            'list (REMOTE) "" "%" RETURN (CHILDREN)',
            List(
                "t",
                "",
                patterns("%"),
                frozenset({ListSelect.REMOTE}),
                frozenset({ListReturn.CHILDREN}),
                extended=True,
            ),
        ),
        (
            'list (recursivematch subscribed) "" "%" return ()',
            List("t", "", patterns("%"), frozenset({SUBSCRIBED, RECURSIVE}), extended=True),
        ),
        (
            'list "" (INBOX "Drafts" "Sent/%")',
            List("t", "", patterns("INBOX", "Drafts", "Sent/%"), extended=True),
        ),
        # RFC 5819 §2
        (
            'list "" % return (subscribed status (messages unseen) special-use)',
            List(
                "t",
                "",
                patterns("%"),
                returns=frozenset({ListReturn.SUBSCRIBED, ListReturn.SPECIAL_USE}),
                status=(StatusItem.MESSAGES, StatusItem.UNSEEN),
                extended=True,
            ),
        ),
        # RFC 6154 §5
        (
            'list (special-use) "" "*"',
            List("t", "", patterns("*"), frozenset({ListSelect.SPECIAL_USE}), extended=True),
        ),
    ],
)
def test_list(line, expected):
    assert command(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "list",
        'list ""',
        'list "" ()',
        "list (recursivematch) x *",
        "list (recursivematch remote) x *",
        "list (foo) x *",
        "list (subscribed)x *",
        "list x * return",
        "list x * return children",
        "list x * return (foo)",
        "list x * return (status)",
        "list x * return (status ())",
        "list x * foo (children)",
        "list x (* %",
        "list x (" + "* " * 100 + "*)",
        "lsub x",
        "lsub x (a b)",
        "lsub x a b",
    ],
)
def test_malformed_list(line):
    assert isinstance(outcome(line), BadCommand)


def test_lsub():
    assert command('lsub "#news." "comp.mail.*"') == Lsub("t", "#news.", ListPattern("comp.mail.*"))


@pytest.mark.parametrize(
    "line",
    [
        b"a noop ",
        b"a select inbox  ",
        b"a uid fetch 1 flags (changedsince 0)",
        b"a select inbox (qresync (1 0))",
        b'a create "\xc3\xa9"',
    ],
)
def test_what_is_tolerated_is_refused_when_pedantic(line: bytes) -> None:
    for pedantic, expected in ((False, CommandReady), (True, BadCommand)):
        reader = Reader(pedantic=pedantic)
        reader.feed(line + b"\r\n")
        assert isinstance(reader.next_event(), expected)


def test_pedantic_takes_what_the_grammar_has() -> None:
    reader = Reader(pedantic=True)
    for line in (b"a noop", b"b uid fetch 1 flags (changedsince 1)", b"c create &AOk-"):
        reader.feed(line + b"\r\n")
        assert isinstance(reader.next_event(), CommandReady)
