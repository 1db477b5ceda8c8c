"""Webhooks through any sequence of operations: the index agrees with the records."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import structs

from mox.store import hooks_txn, open_store
from mox.store.hook_records import Hook, HookId, HookResult
from mox.store.hooks import HookOutcome, HookRelease, Hooks, HookStart
from mox.store.hooks_due import entry, url_key
from mox.store.hooks_txn import OutgoingHook
from mox.store.outgoing_due import ID
from mox.store.outgoing_records import DELIVERING
from mox.webapi.hooks import Outgoing

NOW = 1_800_000_000.0
URLS = ("http://a.example/", "http://b.example/")


class States(RuleBasedStateMachine):
    """Model: of each call its message, and whether it is live, and which attempts are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.store = open_store(Path(self.directory.name))
        self.hooks = Hooks(self.store)
        self.now = NOW
        self.live: dict[HookId, int] = {}
        self.kept: set[HookId] = set()
        self.begun: dict[HookId, HookStart] = {}

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    @rule(msg_id=st.integers(0, 3), url=st.sampled_from(URLS), keeps=st.booleans())
    def happen(self, msg_id: int, url: str, keeps: bool) -> None:
        hook = Hook(
            queue_msg_id=msg_id,
            account="mjl",
            url=url,
            event="delayed",
            submitted=self.now,
            next_attempt=self.now,
        )
        payload = Outgoing(event="delayed", webhook_queued=datetime.fromtimestamp(NOW, UTC))
        new = OutgoingHook(hook, payload, self.now + 100 if keeps else 0.0)
        id = self.store.write(lambda txn: hooks_txn.add_outgoing(txn, new, suppressing=False))
        for old in [old for old, msg in self.live.items() if msg_id and msg == msg_id]:
            self.end(old, keeps=keeps)
        self.live[id] = msg_id

    @rule(url=st.sampled_from(URLS), most=st.integers(1, 3))
    def begin(self, url: str, most: int) -> None:
        # Whoever makes calls makes one of a URL at a time: none is begun twice.
        found = self.hooks.due(url_key(url), self.now, most)
        due = [one for one in found if one.id not in self.begun]
        starts = {one.id: HookStart(one.id, one.when, self.now + 60) for one in due}
        for hook, _ in self.hooks.record(starts=list(starts.values()), now=self.now):
            self.begun[hook.id] = starts[hook.id]

    @rule(number=st.integers(0, 9), success=st.booleans(), keeps=st.booleans())
    def finish(self, number: int, success: bool, keeps: bool) -> None:
        if not self.begun:
            return
        id = sorted(self.begun)[number % len(self.begun)]
        del self.begun[id]
        code = 200 if success else 500
        result = HookResult(self.now, success=success, code=code, error="" if success else "no")
        until = self.now + 100 if keeps else 0.0
        self.hooks.record([HookOutcome(id, result, success, until)])
        if success and id in self.live:
            self.end(id, keeps=keeps)

    @rule(number=st.integers(0, 9))
    def give_back(self, number: int) -> None:
        if not self.begun:
            return
        id = sorted(self.begun)[number % len(self.begun)]
        self.hooks.record(releases=[HookRelease(self.begun.pop(id))])

    @rule(number=st.integers(0, 9), keeps=st.booleans())
    def cancel(self, number: int, keeps: bool) -> None:
        if not self.live:
            return
        id = sorted(self.live)[number % len(self.live)]
        canceled = HookResult(self.now, error="canceled")
        until = self.now + 100 if keeps else 0.0
        assert self.hooks.cancel([id], canceled, lambda account: until) == 1
        self.end(id, keeps=keeps)

    @rule(number=st.integers(0, 9), by=st.integers(-30, 30))
    def reschedule(self, number: int, by: int) -> None:
        if self.live:
            id = sorted(self.live)[number % len(self.live)]
            self.hooks.update([id], lambda hook: structs.replace(hook, next_attempt=self.now + by))

    @rule(seconds=st.integers(1, 120))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        self.hooks.expire(self.now)
        self.kept = {id for id in self.kept if self.hooks.get_retired(id) is not None}

    def end(self, id: HookId, *, keeps: bool) -> None:
        del self.live[id]
        if keeps:
            self.kept.add(id)

    @invariant()
    def index_agrees(self) -> None:
        hooks = self.hooks.hooks()
        assert {hook.id: hook.queue_msg_id for hook in hooks} == self.live
        retired = self.hooks.retired()
        assert {one.id for one in retired} == self.kept
        with self.store.dbs.env.begin() as txn:
            dbs = self.store.dbs

            def keys(name: str) -> set[bytes]:
                with txn.cursor(db=getattr(dbs, name)) as cursor:
                    return {bytes(key) for key in cursor.iternext(values=False)}

            assert keys("hook_due") == {entry(hook) for hook in hooks}
            assert keys("hook_msg") == {ID.pack(msg) for msg in self.live.values() if msg}
            assert keys("hook_body") == {ID.pack(id) for id in {*self.live, *self.kept}}
            assert {key[8:] for key in keys("hook_until")} == {ID.pack(id) for id in self.kept}

    @invariant()
    def attempts_under_way_are_marked(self) -> None:
        for hook in self.hooks.hooks():
            marked = [result.error for result in hook.results].count(DELIVERING)
            assert marked == (hook.id in self.begun)
            assert hook.attempts == len(hook.results)


TestStates = States.TestCase
TestStates.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
