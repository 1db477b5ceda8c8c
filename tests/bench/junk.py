"""How good and how fast the content filter is, on the generated corpus."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mox.delivery import content
from mox.junk.mailboxflags import Mark
from mox.junk.memory import MemoryFilter
from mox.junk.params import Params
from mox.junk.tokens import tokens
from mox.store import learning, open_store
from mox.store.account import Account
from mox.store.model import Flag, FlagOp, Target
from mox.store.wordcheck import check_words
from tests.bench.corpus import Labelled, corpus
from tests.bench.scenarios import report

THRESHOLDS = (0.95, 0.25)
KINDS = {
    "words": Params(),
    "words and pairs": Params(twograms=True),
    "pairs and triples": Params(onegrams=False, twograms=True, threegrams=True),
}


def quality(count: int) -> None:
    """Train with the first half of the corpus, ask about the second."""
    messages = list(corpus(count))
    half = count // 2
    for name, params in KINDS.items():
        trained = MemoryFilter(params)
        for message in messages[:half]:
            found = tokens(message.raw, params, wire=True)
            trained.train(found.words, Mark.JUNK if message.is_spam else Mark.HAM)
        results = [
            (message, trained.classify(tokens(message.raw, params, wire=True).words).probability)
            for message in messages[half:]
        ]
        for threshold in THRESHOLDS:
            _print_quality(f"{name}, threshold {threshold}", results, threshold)
        plain = [result for result in results if not result[0].hard]
        _print_quality(f"{name}, without hard ones", plain, THRESHOLDS[0])


def _print_quality(name: str, results: Sequence[tuple[Labelled, float]], threshold: float) -> None:
    called = [message for message, probability in results if probability > threshold]
    right = sum(message.is_spam for message in called)
    spam = sum(message.is_spam for message, _ in results)
    report(f"junk filter precision ({name})", 100 * right / len(called), "%")
    report(f"junk filter recall ({name})", 100 * right / spam, "%")


def cost(directory: Path, count: int) -> None:
    """Reading tokens, learning and classifying in a store of its own."""
    messages = list(corpus(count, seed=2))
    params = Params()
    octets = sum(len(message.raw) for message in messages) / count
    report("corpus message", octets / 1000, "KB", "mean")
    elapsed = _seconds(lambda: [tokens(m.raw, params, wire=True) for m in messages])
    report(
        "tokens of a message",
        1e6 * elapsed / count,
        "µs",
        f"{1e9 * elapsed / count / octets:.0f} ns an octet",
    )
    five = max(messages, key=lambda m: (len(m.raw) < 5500, len(m.raw)))
    elapsed = _seconds(lambda: [tokens(five.raw, params, wire=True) for _ in range(200)])
    report("tokens of a 5 KB message", 1e6 * elapsed / 200, "µs", f"{len(five.raw)} octets")
    store = open_store(directory)
    try:
        _learning(store.account("mjl"), messages, params)
    finally:
        store.close()


def _learning(account: Account, messages: Sequence[Labelled], params: Params) -> None:
    store = account.store
    for message in messages:
        keyword = "$Junk" if message.is_spam else "$NotJunk"
        with store.spool() as spool:
            spool.write(message.raw)
            store.deliver([Target(account, "INBOX", b"", (1, 0), keywords=(keyword,))], spool)
    count = len(messages)
    elapsed = _seconds(lambda: learning.learn(store, lambda _: params))
    report("training of a message, durable", 1e3 * elapsed / count, "ms")
    learnt = check_words(account)
    report(
        "kept of a trained message", learnt.token_octets / count, "octets", f"{learnt.words} words"
    )
    stored = [message.raw.replace(b"\r\n", b"\n") for message in messages]
    elapsed = _seconds(lambda: [content.classify(account, params, raw) for raw in stored])
    report("classifying a message", 1e3 * elapsed / count, "ms")
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    uids = list(account.uids(inbox.id))
    elapsed = _seconds(lambda: account.store_flags(inbox.id, uids, FlagOp.ADD, Flag.FLAGGED))
    report("STORE of \\Flagged", 1e6 * elapsed / count, "µs a message")
    elapsed = _seconds(
        lambda: account.store_flags(inbox.id, uids, FlagOp.ADD, Flag.NONE, ["$Junk"])
    )
    report("STORE of $Junk, to be learnt later", 1e6 * elapsed / count, "µs a message")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
