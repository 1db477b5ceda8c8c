"""What is remembered of senders follows messages, their keywords, moves and removals."""

from __future__ import annotations

import random
from collections.abc import Callable

import gevent
import pytest

from mox.store import Store
from mox.store.errors import ErrorKind, StoreError
from mox.store.history import Verdict
from mox.store.model import FLAG_MASK, M_FLAGS, Delivered, Flag, FlagOp, NewMessage
from mox.store.origin import Kind, Origin, digest
from mox.store.records import HAS_ORIGIN
from mox.store.spool import Spool
from tests.store.origins import (
    NETWORKS,
    NOW,
    check_history,
    deliver_from,
    mailbox_id,
    origin_keys,
    origin_of,
)

MakeSpool = Callable[..., Spool]
ADDRESS = b"a@x.example"


def mark(store: Store, done: Delivered, word: str, account: str = "mjl") -> None:
    store.account(account).store_flags(
        done.mailbox_id, [done.uid], FlagOp.REPLACE, Flag.NONE, (word,) if word else ()
    )


def ask(store: Store, mailbox: str = "INBOX", account: str = "mjl", **options: int) -> list[bool]:
    """Verdicts about the usual sender, newest first."""
    found = store.account(account)
    box = found.mailbox(mailbox)
    history = found.history(None if box is None else box.id)
    verdicts = history.verdicts(
        Kind.FROM_ADDRESS,
        ADDRESS,
        options.get("since", 0),
        options.get("most", 100),
        validated=bool(options.get("validated", 1)),
    )
    return [verdict.is_junk for verdict in verdicts]


def test_only_judged_messages_are_history(store: Store, spool: MakeSpool) -> None:
    done = deliver_from(store, spool(), origin_of())
    assert ask(store) == []
    mark(store, done, "$Junk")
    assert ask(store) == [True]
    mark(store, done, "$NotJunk")
    assert ask(store) == [False]
    mark(store, done, "")
    assert ask(store) == []
    assert check_history(store, store.account("mjl")) == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("$Junk",), [True]),
        (("JUNK",), [True]),
        (("$NotJunk",), [False]),
        (("NonJunk",), [False]),
        (("$Junk", "$NotJunk"), []),
        (("$Phishing",), []),
    ],
)
def test_keywords_of_several_clients_are_verdicts(
    store: Store, spool: MakeSpool, words: tuple[str, ...], expected: list[bool]
) -> None:
    deliver_from(store, spool(), origin_of(), keywords=words)
    assert ask(store) == expected


def test_verdicts_come_newest_first_within_window_and_number(
    store: Store, spool: MakeSpool
) -> None:
    for age, word in ((30, "$Junk"), (20, "$NotJunk"), (10, "$Junk"), (0, "$NotJunk")):
        deliver_from(store, spool(), origin_of(), keywords=(word,), when=NOW - age)
    assert ask(store) == [False, True, False, True]
    assert ask(store, most=2) == [False, True]
    assert ask(store, since=NOW - 20) == [False, True, False]
    assert ask(store, since=NOW + 1) == []


def test_address_is_compared_without_case_and_by_validation(store: Store, spool: MakeSpool) -> None:
    deliver_from(store, spool(), origin_of(from_localpart="A"), keywords=("$Junk",))
    forged = origin_of(from_validation="none")
    deliver_from(store, spool(), forged, keywords=("$NotJunk",))
    assert ask(store) == [True]
    assert ask(store, validated=0) == [False]


def test_domains_tell_localparts_apart(store: Store, spool: MakeSpool) -> None:
    for localpart in ("a", "A", "b"):
        deliver_from(store, spool(), origin_of(f"{localpart}@x.example"), keywords=("$Junk",))
    history = store.account("mjl").history(mailbox_id(store.account("mjl"), "INBOX"))
    found = history.verdicts(Kind.FROM_DOMAIN, b"x.example", 0, 20, validated=True)
    assert len(found) == 3
    assert {v.localpart for v in found} == {digest(b"a")[:8], digest(b"b")[:8]}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.DKIM_DOMAIN, b"x.example"),
        (Kind.MAIL_FROM_ADDRESS, b"a@x.example"),
        (Kind.MAIL_FROM_DOMAIN, b"x.example"),
        *((Kind.NETWORK, network) for network in NETWORKS),
    ],
)
def test_every_identity_of_the_sender_has_history(
    store: Store, spool: MakeSpool, kind: Kind, name: bytes
) -> None:
    deliver_from(store, spool(), origin_of(), keywords=("$Junk",))
    account = store.account("mjl")
    history = account.history(mailbox_id(account, "INBOX"))
    assert history.verdicts(kind, name, 0, 10) == [Verdict(True)]


def test_names_that_are_not_proven_have_no_history(store: Store, spool: MakeSpool) -> None:
    origin = origin_of(mail_from_validated=False, dkim_domains=())
    deliver_from(store, spool(), origin, keywords=("$Junk",))
    account = store.account("mjl")
    history = account.history(mailbox_id(account, "INBOX"))
    for kind, name in (
        (Kind.MAIL_FROM_ADDRESS, b"a@x.example"),
        (Kind.MAIL_FROM_DOMAIN, b"x.example"),
        (Kind.EHLO_DOMAIN, b"x.example"),
    ):
        assert history.verdicts(kind, name, 0, 10) == []


def test_history_belongs_to_account_and_first_mailbox(store: Store, spool: MakeSpool) -> None:
    deliver_from(store, spool(), origin_of(), keywords=("$Junk",))
    deliver_from(store, spool(), origin_of(), mailbox="Lists", keywords=("$NotJunk",))
    assert ask(store) == [True]
    assert ask(store, "Lists") == [False]
    assert ask(store, "Not/There") == []
    assert ask(store, account="other") == []


def test_a_move_keeps_the_mailbox_of_origin(store: Store, spool: MakeSpool) -> None:
    done = deliver_from(store, spool(), origin_of(), keywords=("$Junk",))
    account = store.account("mjl")
    account.move(done.mailbox_id, [done.uid], mailbox_id(account, "Junk"))
    assert ask(store) == [True]
    assert ask(store, "Junk") == []
    check_history(store, account)


def test_expunge_removes_history(store: Store, spool: MakeSpool) -> None:
    done = deliver_from(store, spool(), origin_of(), keywords=("$Junk",))
    account = store.account("mjl")
    account.remove(done.mailbox_id, [done.uid])
    assert ask(store) == []
    assert check_history(store, account) == 0
    assert account.history(None).origin(done.mailbox_id, done.uid) is None


def test_deleting_a_mailbox_removes_history(store: Store, spool: MakeSpool) -> None:
    done = deliver_from(store, spool(), origin_of(), mailbox="Lists", keywords=("$Junk",))
    account = store.account("mjl")
    account.delete_mailbox(done.mailbox_id)
    assert check_history(store, account) == 0


def test_files_that_other_programs_flag_or_remove_are_followed(
    store: Store, spool: MakeSpool
) -> None:
    done = deliver_from(store, spool(), origin_of(), keywords=("$Junk",))
    account = store.account("mjl")
    root = account.base / "Maildir"
    (root / "dovecot-keywords").write_text("0 $Junk\n")
    (path,) = [p for sub in ("cur", "new") for p in (root / sub).iterdir()]
    other = root / "cur" / (path.name.partition(":")[0] + ":2,")
    path.rename(root / "cur" / (path.name.partition(":")[0] + ":2,a"))
    account.mend(done.mailbox_id)
    (root / "cur" / (other.name + "a")).rename(other)
    account.mend(done.mailbox_id)
    assert ask(store) == []
    check_history(store, account)
    other.unlink()
    account.mend(done.mailbox_id)
    assert check_history(store, account) == 0


# ---- Rejects and Introbox


def rejected(message_id: str = "<m@x.example>", content: bytes = b"hash") -> Origin:
    return origin_of(is_reject=True, message_id=message_id, content_hash=content)


def test_a_reject_is_kept_once(store: Store, spool: MakeSpool) -> None:
    def keep(origin: Origin) -> Delivered:
        return deliver_from(store, spool(), origin, mailbox="Rejects", destined="INBOX", once=True)

    done = keep(rejected())
    for again in (rejected("<other@x.example>"), rejected(content=b"other")):
        with pytest.raises(StoreError) as e:
            keep(again)
        assert e.value.kind is ErrorKind.EXISTS
    assert keep(rejected("<other@x.example>", b"other")).uid == 2
    account = store.account("mjl")
    history = account.history(None)
    assert history.rejects(done.mailbox_id, "<m@x.example>") == [1]
    account.remove(done.mailbox_id, [1])
    assert history.rejects(done.mailbox_id, "<m@x.example>") == []
    assert keep(rejected()).uid == 3


def test_a_mailbox_takes_no_more_than_its_limit(store: Store, spool: MakeSpool) -> None:
    deliver_from(store, spool(), rejected(), mailbox="Rejects", most=1)
    with pytest.raises(StoreError) as e:
        deliver_from(store, spool(), rejected("<2@x>", b"2"), mailbox="Rejects", most=1)
    assert e.value.kind is ErrorKind.LIMIT
    files = list((store.account("mjl").base / "Maildir" / ".Rejects").glob("*/*"))
    assert len(files) == 1


@pytest.mark.parametrize("move", [True, False])
def test_out_of_rejects_it_counts_where_it_was_destined(
    store: Store, spool: MakeSpool, move: bool
) -> None:
    done = deliver_from(store, spool(), rejected(), mailbox="Rejects", destined="INBOX")
    account = store.account("mjl")
    account.store_flags(done.mailbox_id, [1], FlagOp.ADD, Flag.SEEN, ("$NotJunk",))
    archive = mailbox_id(account, "Archive")
    (account.move if move else account.copy)(done.mailbox_id, [1], archive)
    assert ask(store) == [False]
    message = account.message(archive, 1)
    assert message is not None
    assert not message[M_FLAGS] & Flag.SEEN, "marked unread"
    origin = account.history(None).origin(archive, 1)
    assert origin is not None
    assert (origin.is_reject, origin.mailbox_destined) == (False, 0)
    check_history(store, account)


@pytest.mark.parametrize(
    ("target", "word", "moved"),
    [
        ("INBOX", "", True),
        ("Archive", "", False),
        ("Archive", "$NotJunk", True),
        ("Archive", "$Junk", True),
    ],
)
def test_out_of_introbox_it_counts_as_destined_once_judged(
    store: Store, spool: MakeSpool, target: str, word: str, moved: bool
) -> None:
    done = deliver_from(store, spool(), origin_of(), mailbox="Introbox", destined="INBOX")
    account = store.account("mjl")
    mark(store, done, word)
    account.move(done.mailbox_id, [1], mailbox_id(account, target))
    box = account.mailbox(target)
    assert box is not None
    origin = account.history(None).origin(box.id, 1)
    assert origin is not None
    wanted = word or ("$NotJunk" if target == "INBOX" else "")
    assert box.keywords == ((wanted,) if wanted else ())
    expected = mailbox_id(account, "INBOX") if moved else done.mailbox_id
    assert origin.mailbox_orig == expected


# ---- recipients

SENT = (
    b"From: mjl@example.org\r\nTo: Bob <Bob@friend.example>, <bob@friend.example>\r\n"
    b"Cc: x@deep.sub.friend.example\r\nBcc: y@other.co.uk\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nhi\r\n"
)


def sent_to(store: Store, kind: Kind, name: str, since: int = 0) -> bool:
    return store.account("mjl").history(None).sent_to(kind, name.encode(), since)


def test_whom_we_wrote_to_is_known_while_the_message_exists(store: Store, spool: MakeSpool) -> None:
    account = store.account("mjl")
    sent = mailbox_id(account, "Sent")
    account.append(sent, [NewMessage(spool(SENT), (NOW + 100, 0))])
    for kind, name in (
        (Kind.SENT_ADDRESS, "bob@friend.example"),
        (Kind.SENT_ADDRESS, "x@deep.sub.friend.example"),
        (Kind.SENT_DOMAIN, "other.co.uk"),
        (Kind.SENT_ORG_DOMAIN, "friend.example"),
        (Kind.SENT_ORG_DOMAIN, "other.co.uk"),
    ):
        assert sent_to(store, kind, name), name
        assert sent_to(store, kind, name, NOW), "by the Date field"
        assert not sent_to(store, kind, name, NOW + 1)
    assert not sent_to(store, Kind.SENT_ADDRESS, "mjl@example.org")
    account.move(sent, [1], mailbox_id(account, "Archive"))
    assert sent_to(store, Kind.SENT_ADDRESS, "bob@friend.example")
    account.remove(mailbox_id(account, "Archive"), [1])
    assert not sent_to(store, Kind.SENT_ADDRESS, "bob@friend.example")
    with store.dbs.env.begin() as txn:
        assert txn.stat(store.dbs.history)["entries"] == 0


def test_a_message_moved_into_sent_was_sent(store: Store, spool: MakeSpool) -> None:
    account = store.account("mjl")
    drafts = mailbox_id(account, "Drafts")
    account.append(drafts, [NewMessage(spool(SENT), (NOW, 0))])
    assert not sent_to(store, Kind.SENT_DOMAIN, "friend.example")
    account.move(drafts, [1], mailbox_id(account, "Sent"))
    assert sent_to(store, Kind.SENT_DOMAIN, "friend.example")


def test_a_file_dropped_into_sent_was_sent(store: Store) -> None:
    account = store.account("mjl")
    sent = mailbox_id(account, "Sent")
    file = account.base / "Maildir" / ".Sent" / "new" / "1.2.host"
    file.write_bytes(SENT.replace(b"\r\n", b"\n"))
    account.mend(sent)
    assert sent_to(store, Kind.SENT_ADDRESS, "bob@friend.example")
    file.unlink()
    account.mend(sent)
    assert not sent_to(store, Kind.SENT_ADDRESS, "bob@friend.example")


def test_messages_without_facts_have_no_mark(store: Store, spool: MakeSpool) -> None:
    account = store.account("mjl")
    inbox = mailbox_id(account, "INBOX")
    account.append(inbox, [NewMessage(spool(), (NOW, 0), keywords=("$Junk",))])
    message = account.message(inbox, 1)
    assert message is not None
    assert not message[M_FLAGS] & HAS_ORIGIN
    done = deliver_from(store, spool(), origin_of())
    message = account.message(inbox, done.uid)
    assert message is not None
    assert message[M_FLAGS] & HAS_ORIGIN
    assert not message[M_FLAGS] & FLAG_MASK, "no client sees it"


# ---- everything at once


@pytest.mark.parametrize("seed", range(6))
def test_history_agrees_after_any_sequence_of_changes(
    store: Store, spool: MakeSpool, seed: int
) -> None:
    chance = random.Random(seed)
    account = store.account("mjl")
    boxes = ["INBOX", "Junk", "Archive", "Sent", "Lists"]
    account.create_mailbox("Lists")

    def some(name: str) -> list[int]:
        uids = list(account.uids(mailbox_id(account, name)))
        return sorted(chance.sample(uids, min(len(uids), chance.randint(1, 4))))

    for step in range(60):
        name = chance.choice(boxes)
        box = mailbox_id(account, name)
        action = chance.randrange(7)
        if action <= 2:
            sender = f"{chance.choice('abc')}@{chance.choice(['x.example', 'y.example'])}"
            words = chance.choice([(), ("$Junk",), ("$NotJunk",)])
            origin = origin_of(sender) if chance.random() < 0.8 else None
            deliver_from(store, spool(SENT), origin, mailbox=name, keywords=words, when=NOW + step)
        elif action == 3:
            operation = chance.choice(list(FlagOp))
            word = chance.choice(["$Junk", "$NotJunk", "Other"])
            account.store_flags(box, some(name), operation, Flag.SEEN, (word,))
        elif action == 4:
            other = chance.choice([each for each in boxes if each != name])
            move = account.move if chance.random() < 0.5 else account.copy
            move(box, some(name), mailbox_id(account, other))
        elif action == 5:
            account.remove(box, some(name))
        elif name == "Lists" and chance.random() < 0.5:
            account.delete_mailbox(box)
            account.create_mailbox("Lists")
    check_history(store, account)
    for name in boxes:
        uids = list(account.uids(mailbox_id(account, name)))
        account.remove(mailbox_id(account, name), uids)
    with store.dbs.env.begin() as txn:
        assert txn.stat(store.dbs.history)["entries"] == 0
        assert origin_keys(txn, store.dbs) == []


def test_what_is_known_of_files_has_no_origins_in_it(store: Store, spool: MakeSpool) -> None:
    done = [deliver_from(store, spool(), origin) for origin in (origin_of(), None, origin_of())]
    account, inbox = store.account("mjl"), done[0].mailbox_id
    known = store.known_paths(account.id, inbox)
    assert known == {each.path: each.uid for each in done}
    account.mend(inbox)
    assert list(account.uids(inbox)) == [each.uid for each in done]
    check_history(store, account)


def test_deliveries_side_by_side_all_count(store: Store, spool: MakeSpool) -> None:
    jobs = [
        gevent.spawn(deliver_from, store, spool(), origin_of(), keywords=("$Junk",))
        for _ in range(20)
    ]
    gevent.joinall(jobs, raise_error=True)
    assert ask(store) == [True] * 20
    assert store.account("mjl").history(None).rate(NETWORKS[0], NOW).minute_messages == 20
