"""Several sessions on one mailbox: what each is told, and when."""

from __future__ import annotations

import random

import gevent
import pytest
from gevent.event import Event

from mox.imapd import session
from mox.imapd.feed import Feeds
from mox.imapd.view import View
from mox.serving.stream import Stream
from mox.store.account import Account
from mox.store.errors import HistoryLost
from mox.store.model import Appended, Flag, FlagOp, MailboxId
from tests.imapd.harness import Client, Site, message
from tests.serving.harness import logged


@pytest.fixture
def pair(site: Site) -> tuple[Client, Client]:
    site.add(*[message(n) for n in range(1, 6)])
    return site.login("inbox", enable="imap4rev2"), site.login("inbox", enable="imap4rev2")


def test_new_message_is_told_with_uid_and_flags(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.append("inbox", message(6), "(\\Flagged)")
    assert two.ok("noop") == ["* 6 EXISTS", "* 6 FETCH (UID 6 FLAGS (\\Flagged))"]
    assert two.ok("noop") == []


def test_own_append_is_told_as_exists_only(pair: tuple[Client, Client]) -> None:
    one, _ = pair
    one.send(b"x append inbox {1+}\r\na\r\n")
    assert one.line() == "* 6 EXISTS"
    assert one.line().startswith("x OK [APPENDUID ")


def test_own_append_that_another_session_flags_at_once_is_told(
    pair: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    real = Account.append

    def append(self: Account, mailbox_id: MailboxId, *args: object) -> Appended:
        done: Appended = real(self, mailbox_id, *args)  # type: ignore[arg-type]
        self.store_flags(mailbox_id, done.uids, FlagOp.ADD, Flag.FLAGGED)
        return done

    monkeypatch.setattr(Account, "append", append)
    one.send(b"x append inbox {1+}\r\na\r\n")
    assert one.line() == "* 6 EXISTS"
    assert one.line() == "* 6 FETCH (UID 6 FLAGS (\\Flagged))"


def test_removals_are_not_told_during_commands_with_sequence_numbers(
    pair: tuple[Client, Client],
) -> None:
    one, two = pair
    one.ok("store 2 +flags.silent (\\Deleted)")
    one.ok("expunge")
    assert "* 2 EXPUNGE" not in two.ok("fetch 5 uid")
    assert two.ok("fetch 5 uid") == ["* 5 FETCH (UID 5)"]
    assert two.ok("store 5 +flags.silent (\\Seen)") == []
    assert two.ok("search all") == [f'* ESEARCH (TAG "t{two._count}") ALL 1,3:5']
    assert two.ok("uid fetch 5 uid") == ["* 5 FETCH (UID 5)", "* 2 EXPUNGE"]
    assert two.ok("fetch 4 uid") == ["* 4 FETCH (UID 5)"]


def test_additions_are_told_while_a_removal_is_held_back(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.ok("store 2 +flags.silent (\\Deleted)")
    one.ok("expunge")
    one.append("inbox", message(6))
    assert two.ok("fetch 5 uid") == [
        "* 5 FETCH (UID 5)",
        "* 6 EXISTS",
        "* 6 FETCH (UID 6 FLAGS ())",
    ]
    assert two.ok("noop") == ["* 2 EXPUNGE"]
    assert two.ok("fetch 5 uid") == ["* 5 FETCH (UID 6)"]


def test_message_that_came_and_went_is_never_told(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.append("inbox", message(6), "(\\Deleted)")
    one.ok("expunge")
    assert two.ok("noop") == []
    one.append("inbox", message(7))
    assert two.ok("noop") == ["* 6 EXISTS", "* 6 FETCH (UID 7 FLAGS ())"]


def test_idle_tells_at_once(pair: tuple[Client, Client]) -> None:
    one, two = pair
    two.idle()
    one.append("inbox", message(6))
    assert two.line() == "* 6 EXISTS"
    assert two.line() == "* 6 FETCH (UID 6 FLAGS ())"
    one.ok("store 1 +flags.silent (\\Deleted)")
    assert two.line() == "* 1 FETCH (UID 1 FLAGS (\\Deleted))"
    one.ok("expunge")
    assert two.line() == "* 1 EXPUNGE"
    assert two.done() == []
    assert two.ok("fetch 1 uid") == ["* 1 FETCH (UID 2)"]


def test_idle_begins_with_what_happened_before(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.append("inbox", message(6))
    two.idle()
    assert two.line() == "* 6 EXISTS"
    assert two.line().startswith("* 6 FETCH ")
    two.done()


def test_idle_tells_a_client_whose_socket_is_full_when_it_can(
    pair: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair

    def takes_little(self: Stream, data: bytes) -> bool:
        self._unsent += data[3:]
        self._socket().send(data[:3])
        return False

    monkeypatch.setattr("mox.serving.stream.Stream.send_now", takes_little)
    two.idle()
    for number in (6, 7):
        one.append("inbox", message(number))
        assert two.line() == f"* {number} EXISTS"
        assert two.line().startswith(f"* {number} FETCH ")
    two.done()


def test_idlers_that_know_different_things_are_told_what_each_needs(site: Site) -> None:
    site.add(*[message(n) for n in range(1, 6)])
    other = site.login("inbox", enable="imap4rev2")
    # All messages so far are recent to the first; those to come are so to both.
    first, second = site.login("inbox"), site.login("inbox")
    same = [site.login("inbox", enable="imap4rev2") for _ in range(3)]
    with_modseq = site.login("inbox", enable="imap4rev2 condstore")
    by_uid = site.login("inbox", enable="imap4rev2 uidonly")
    elsewhere = site.login("Sent", enable="imap4rev2")
    by_number = [first, second, *same, with_modseq]
    for each in (*by_number, by_uid, elsewhere):
        each.idle()
    other.ok("store 1 +flags.silent (\\Deleted)")
    for each in by_number:
        assert each.line().startswith("* 1 FETCH (UID 1 FLAGS (\\Deleted")
    assert by_uid.line() == "* 1 UIDFETCH (FLAGS (\\Deleted))"
    other.ok("expunge")
    for each in by_number:
        assert each.line() == "* 1 EXPUNGE"
    assert by_uid.line() == "* VANISHED 1"
    for uid in (6, 7):
        exists = uid - 1
        other.append("inbox", message(uid), "(\\Flagged)")
        modseq = site.account().modseq()
        for each in (*by_number, by_uid):
            assert each.line() == f"* {exists} EXISTS"
        assert first.line() == f"* {exists} RECENT"
        assert second.line() == f"* {exists - 4} RECENT"
        told = f"* {exists} FETCH (UID {uid} FLAGS (\\Flagged"
        for each in (first, second):
            assert each.line() == f"{told} \\Recent))"
        for each in same:
            assert each.line() == f"{told}))"
        assert with_modseq.line() == f"{told}) MODSEQ ({modseq}))"
        assert by_uid.line() == f"* {uid} UIDFETCH (FLAGS (\\Flagged))"
    for each in (*by_number, by_uid, elsewhere):
        assert each.done() == []


def test_idlers_share_what_they_are_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    other = site.login("inbox", enable="imap4rev2")
    idlers = [site.login("inbox", enable="imap4rev2") for _ in range(5)]
    for each in idlers:
        each.idle()
    made = []
    real = session.idler_text

    def note(view: View, *args: object) -> bytes:
        text: bytes = real(view, *args)  # type: ignore[arg-type]
        made.append(text)
        return text

    monkeypatch.setattr("mox.imapd.session.idler_text", note)
    other.append("inbox", message(1))
    for each in idlers:
        assert each.line() == "* 1 EXISTS"
        assert each.line() == "* 1 FETCH (UID 1 FLAGS ())"
    assert len(made) == 5
    assert len({id(text) for text in made}) == 1


def test_idle_tells_much_at_once(site: Site, pair: tuple[Client, Client]) -> None:
    one, two = pair
    two.idle()
    site.add(*[message(n) for n in range(200)])
    assert two.line() == "* 205 EXISTS"
    for number in range(6, 206):
        assert two.line() == f"* {number} FETCH (UID {number} FLAGS ())"
    one.ok("noop")
    one.ok("store 1:200 +flags.silent (\\Seen)")
    for number in range(1, 201):
        assert two.line() == f"* {number} FETCH (UID {number} FLAGS (\\Seen))"
    two.done()


def test_trouble_with_one_follower_does_not_keep_news_from_the_others(
    site: Site, pair: tuple[Client, Client]
) -> None:
    class Broken:
        def announce(self) -> None:
            raise ZeroDivisionError("boom")

    class Healthy:
        def announce(self) -> None:
            rung.set()

    one, _ = pair
    feeds = Feeds(site.ctx.store)
    account = site.account()
    broken, rung = Broken(), Event()
    feed = feeds.join(account)
    for follower in (broken, Healthy()):
        feed.follow(follower)
    with logged() as lines:
        one.append("inbox", message(6))
        assert rung.wait(5)
    assert lines.containing("announcing changes failed")
    feeds.leave(feed, broken)


def test_only_clients_that_are_told_at_once_follow_their_account(site: Site) -> None:
    def listening() -> int:
        return len(site.ctx.store.notifier._watchers)

    client = site.login()
    client.ok("select inbox")
    assert listening() == 0
    client.idle()
    assert listening() == 1
    client.done()
    client.ok("noop")
    assert listening() == 0
    client.ok("notify set (personal (mailboxname))")
    assert listening() == 1
    client.idle()
    client.done()
    client.ok("noop")
    assert listening() == 1
    client.ok("notify none")
    assert listening() == 0


def test_a_feed_that_nobody_followed_for_long_reads_what_it_keeps(site: Site) -> None:
    account = site.account()
    feeds = Feeds(site.ctx.store)
    feed = feeds.join(account)
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    begin = feed.modseq
    site.add(message(1))
    uids = account.uids(inbox.id)
    for n in range(300):
        account.store_flags(inbox.id, uids, FlagOp.ADD if n % 2 else FlagOp.REMOVE, Flag.SEEN)
    reached = feed.advance()
    assert reached == account.modseq()
    last = feed.since(reached - 100)
    assert [change.modseq for change in last] == list(range(reached - 99, reached + 1))
    # Who is further behind gets all of it from the log.
    assert feed.since(begin) == account.changes(begin)


def test_idle_without_mailbox(site: Site) -> None:
    client = site.login()
    client.idle()
    assert client.done() == []


def test_idle_ended_with_something_else(site: Site) -> None:
    client = site.login()
    client.idle()
    client.send("noop\r\n")
    assert client.line() == "idle BAD expected DONE"


def test_idle_in_any_case_with_a_command_behind_it(site: Site) -> None:
    client = site.login("inbox")
    client.send("a idle\r\ndone\r\nb noop\r\n")
    assert client.line() == "+ idling"
    assert client.line() == "a OK idle done"
    assert client.line() == "b OK noop done"


def test_changes_by_the_store_itself_reach_idle(site: Site, pair: tuple[Client, Client]) -> None:
    client, _ = pair
    client.idle()
    account = site.account()
    box = account.mailbox("INBOX")
    assert box is not None
    account.store_flags(box.id, [3], FlagOp.ADD, Flag.ANSWERED, ("work",))
    assert client.line().startswith("* FLAGS (")
    assert client.line().startswith("* OK [PERMANENTFLAGS ")
    assert client.line() == "* 3 FETCH (UID 3 FLAGS (\\Answered work))"
    client.done()


def test_other_mailboxes_are_not_told(site: Site, pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.append("Archive", message(1))
    assert two.ok("noop") == []


def test_a_session_that_missed_too_much_starts_from_the_present_state(
    site: Site, pair: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    one.ok("store 1 +flags.silent (\\Flagged)")
    one.ok("store 2 +flags.silent (\\Deleted)")
    one.ok("expunge")
    one.append("inbox", message(6), "(newword)")
    one.ok("unselect")

    def lost(*_: object) -> None:
        raise HistoryLost

    monkeypatch.setattr("mox.imapd.feed.Feed.since", lost)
    lines = two.ok("noop")
    assert lines[0].startswith("* FLAGS (")
    assert lines[2:] == [
        "* 2 EXPUNGE",
        "* 5 EXISTS",
        "* 1 FETCH (UID 1 FLAGS (\\Flagged))",
        "* 5 FETCH (UID 6 FLAGS (newword))",
    ]


class Mirror:
    """A client that believes what it is told, and nothing else."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.count = 0
        self.uids: list[int | None] = []
        self.take(client.ok("select inbox"))

    def take(self, lines: list[str]) -> None:
        for line in lines:
            words = line.split()
            if len(words) < 3 or not words[1].isdigit():
                continue
            number = int(words[1])
            if words[2] == "EXISTS":
                assert number >= len(self.uids)
                self.uids += [None] * (number - len(self.uids))
            elif words[2] == "EXPUNGE":
                del self.uids[number - 1]
            elif words[2] == "FETCH" and "UID" in line:
                uid = int(line.split("UID ")[1].split()[0].rstrip(")"))
                assert self.uids[number - 1] in (None, uid)
                self.uids[number - 1] = uid

    def command(self, text: str) -> None:
        self.take(self.client.ok(text))

    def some(self, rng: random.Random) -> int:
        return rng.randint(1, len(self.uids)) if self.uids else 0


@pytest.mark.parametrize("seed", range(4))
def test_sequence_numbers_never_slip(site: Site, seed: int) -> None:
    """Sessions that append, flag, expunge and move at the same time agree in the end."""
    site.add(*[message(n) for n in range(1, 21)])
    mirrors = [Mirror(site.login(enable="imap4rev2")) for _ in range(3)]

    def act(mirror: Mirror, rng: random.Random) -> None:
        for _ in range(40):
            number = mirror.some(rng)
            choice = rng.randrange(8)
            if choice == 0:
                mirror.client.send(b"x append inbox {1+}\r\na\r\n")
                line = mirror.client.line()
                while not line.startswith("x "):
                    mirror.take([line])
                    line = mirror.client.line()
            elif not number or choice == 1:
                mirror.command("noop")
            elif choice == 2:
                mirror.command(f"store {number} +flags (\\Deleted)")
            elif choice == 3:
                mirror.command("expunge")
            elif choice == 4:
                mirror.command(f"fetch {number} (uid flags)")
            elif choice == 5:
                mirror.command(f"move {number} Archive")
            elif choice == 6:
                mirror.command(f"uid fetch {mirror.uids[number - 1] or 1} (uid)")
            else:
                mirror.command(f"search {number}")

    with gevent.Timeout(20):
        gevent.joinall(
            [
                gevent.spawn(act, mirror, random.Random(seed * 10 + n))
                for n, mirror in enumerate(mirrors)
            ],
            raise_error=True,
        )
    box = site.account().mailbox("INBOX")
    assert box is not None
    present = list(site.account().uids(box.id))
    for mirror in mirrors:
        mirror.command("noop")
        mirror.command("uid fetch 1:* (uid)")
        assert mirror.uids == present
