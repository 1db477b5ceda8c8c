"""Putting messages into conversations (RFC 5256 §3, BASE.6.4.THREAD).

ORDEREDSUBJECT, REFERENCES, and REFS: REFERENCES without a look at subjects, the thread with the
newest message last. Never recursive, and a hostile set of references costs a bounded walk each;
`pace` is called between messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mox.imap.searchcommands import Algorithm
from mox.imap.sorting import ordered

# Steps up the chain of parents in which a loop is looked for. A longer chain is cut.
_MAX_ANCESTORS = 1000


class Mail(NamedTuple):
    """What threading needs of a message. There may be 100,000 of them: a tuple is made fast."""

    number: int  # to be shown
    sent: int  # seconds
    received: int
    message_id: bytes  # b"" when it has none
    references: Sequence[bytes]  # the nearest last
    subject: str  # base subject
    is_response: bool


class Node:
    """A message in its place, or a place whose message is not there (`mail` None)."""

    __slots__ = ("children", "degree", "mail", "parent")

    def __init__(self, mail: Mail | None = None) -> None:
        self.mail = mail
        self.parent: Node | None = None  # while links are being made
        self.degree = 0  # nodes whose parent this is, while links are being made
        self.children: Sequence[Node] = ()  # the same, afterwards

    def adopt(self, child: Node) -> None:
        # Most nodes have none, and 100,000 empty lists would keep the garbage collector busy.
        if isinstance(self.children, list):
            self.children.append(child)
        else:
            self.children = [*self.children, child]

    @property
    def first(self) -> Mail:
        """The message, or of a place without one its first child's; those have messages."""
        mail = self.mail or self.children[0].mail
        assert mail is not None, "a dummy has children, and these are none"
        return mail


def threads(mails: Sequence[Mail], algorithm: Algorithm, pace: Callable[[], None]) -> list[Node]:
    """The roots of all conversations, in order; `mails` by sequence number."""
    if algorithm is Algorithm.ORDEREDSUBJECT:
        return _by_subject(mails, pace)
    roots = _pruned(_linked(mails, pace), pace)
    if algorithm is Algorithm.REFS:
        _sort_below(roots, pace)
        return _by_newest(roots, pace)
    # RFC 5256 §3, REFERENCES (4): a place without message counts by its first child, so those
    # come into order first.
    for root in roots:
        if root.mail is None:
            root.children = _in_order(root.children, pace)
    roots = _merged(_in_order(roots, pace), pace)
    _sort_below(roots, pace)
    return _in_order(roots, pace)


def _in_order(nodes: Sequence[Node], pace: Callable[[], None]) -> list[Node]:
    """RFC 5256 §3: by sent date, and where that is equal by sequence number."""
    if len(nodes) < 2:
        return list(nodes)
    first = [node.first for node in nodes]
    columns = [([mail.sent for mail in first], False), ([mail.number for mail in first], False)]
    return [nodes[place] for place in ordered(len(nodes), columns, pace)]


# ---- ORDEREDSUBJECT


def _by_subject(mails: Sequence[Mail], pace: Callable[[], None]) -> list[Node]:
    """RFC 5256 §3: same base subject, the first message as parent of all others."""
    found: dict[str, Node] = {}
    # Those of one date stay in the order of their numbers.
    for place in ordered(len(mails), [([mail.sent for mail in mails], False)], pace):
        mail = mails[place]
        root = found.get(mail.subject)
        if root is None:
            found[mail.subject] = Node(mail)
        else:
            root.adopt(Node(mail))
        pace()
    return list(found.values())


# ---- REFERENCES


def _linked(mails: Sequence[Mail], pace: Callable[[], None]) -> list[Node]:
    """RFC 5256 §3, REFERENCES (1): parents and children by references; the roots."""
    by_id: dict[bytes, Node] = {}
    nodes: list[Node] = []

    def node_of(message_id: bytes) -> Node:
        node = by_id.get(message_id)
        if node is None:
            node = by_id[message_id] = Node()
            nodes.append(node)
        return node

    for mail in mails:
        node = node_of(mail.message_id) if mail.message_id else None
        if node is None or node.mail is not None:
            # Without an id, or with one that another has: a message of its own.
            node = Node()
            nodes.append(node)
        node.mail = mail
        previous: Node | None = None
        for reference in mail.references:
            referred = node_of(reference)
            # (1)(A): a link that is there stays, and none may make a loop.
            if previous is not None and referred.parent is None:
                _link(previous, referred)
            previous = referred
        if previous is not None:
            # (1)(B): what the message says of its own parent counts more than what others said.
            if node.parent is not None:
                node.parent.degree -= 1
                node.parent = None
            _link(previous, node)
        pace()
    roots: list[Node] = []
    for node in nodes:
        parent = node.parent
        if parent is None:
            roots.append(node)
        else:
            # Cut, so that there are no cycles and all goes when it is no longer needed.
            node.parent = None
            parent.adopt(node)
        pace()
    return roots


def _link(parent: Node, child: Node) -> None:
    if child.degree or parent is child:
        # Only what has children can be an ancestor.
        above: Node | None = parent
        for _ in range(_MAX_ANCESTORS):
            if above is child:
                return
            if above is None:
                break
            above = above.parent
        else:
            return
    child.parent = parent
    parent.degree += 1


def _pruned(roots: list[Node], pace: Callable[[], None]) -> list[Node]:
    """RFC 5256 §3, REFERENCES (2) and (3): the roots, without places that nobody needs."""
    for node in _upward(roots):
        if not node.children:
            continue
        kept: list[Node] = []
        for child in node.children:
            if child.mail is not None:
                kept.append(child)
            else:
                # Its children are messages: this level is done.
                kept += child.children
        node.children = kept
        pace()
    found: list[Node] = []
    for root in roots:
        if root.mail is not None or len(root.children) > 1:
            found.append(root)
        elif root.children:
            # A single child takes the place; more of them stay below it.
            found.append(root.children[0])
    return found


def _upward(roots: Sequence[Node]) -> Iterator[Node]:
    """All nodes, children before their parents."""
    downward: list[Node] = list(roots)
    for node in downward:
        downward.extend(node.children)
    return reversed(downward)


def _merged(roots: list[Node], pace: Callable[[], None]) -> list[Node]:
    """RFC 5256 §3, REFERENCES (5): join threads of one subject."""
    table: dict[str, Node] = {}
    for root in roots:
        subject = root.first.subject
        if not subject:
            continue
        there = table.get(subject)
        if there is None or _represents_better(root, there):
            table[subject] = root
        pace()
    found: dict[int, Node] = {id(root): root for root in roots}
    for root in roots:
        there = table.get(root.first.subject) if root.first.subject else None
        if there is None or there is root:
            continue
        del found[id(root)]
        if root.mail is None and there.mail is None:
            for child in root.children:
                there.adopt(child)
        elif there.mail is None or (_is_response(root) and not _is_response(there)):
            there.adopt(root)
        else:
            # Siblings, under a place that has no message.
            both = Node()
            del found[id(there)]
            both.adopt(there)
            both.adopt(root)
            found[id(both)] = both
            table[root.first.subject] = both
        pace()
    return list(found.values())


def _is_response(node: Node) -> bool:
    return node.first.is_response


def _represents_better(node: Node, there: Node) -> bool:
    """REFERENCES (5)(B): a place without message, then a message that is no response."""
    if node.mail is None or there.mail is None:
        return node.mail is None and there.mail is not None
    return _is_response(there) and not _is_response(node)


def _sort_below(roots: Sequence[Node], pace: Callable[[], None]) -> None:
    """RFC 5256 §3, REFERENCES (6): siblings by date, from the bottom up."""
    for node in _upward(roots):
        if len(node.children) > 1:
            node.children = _in_order(node.children, pace)
        pace()


def _by_newest(roots: list[Node], pace: Callable[[], None]) -> list[Node]:
    newest: list[int] = []
    for root in roots:
        newest.append(max(mail.received for mail in _mails(root)))
        pace()
    numbers = [root.first.number for root in roots]
    columns = [(newest, False), (numbers, False)]
    return [roots[place] for place in ordered(len(roots), columns, pace)]


def _mails(root: Node) -> Iterator[Mail]:
    for node in _upward([root]):
        if node.mail is not None:
            yield node.mail


# ---- the response


def format_threads(roots: Sequence[Node], pace: Callable[[], None]) -> bytes:
    """RFC 5256 §4, BASE.7.2.THREAD: `(2)(3 6 (4 23)(44 7 96))`."""
    out: list[str] = []
    # What is to be written, last first: nodes that begin a list, and the ends of lists.
    todo: list[Node | None] = list(reversed(roots))
    while todo:
        pace()
        node = todo.pop()
        if node is None:
            out.append(")")
            continue
        out.append("(")
        todo.append(None)
        numbers: list[str] = []
        while True:
            if node.mail is not None:
                numbers.append(str(node.mail.number))
            if len(node.children) != 1:
                break
            node = node.children[0]
        out.append(" ".join(numbers))
        if node.children:
            if numbers:
                out.append(" ")
            todo.extend(reversed(node.children))
    return "".join(out).encode("ascii")
