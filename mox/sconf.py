"""Sconf, the syntax of the configuration files: read into a tree that can be changed and written.

A file is lines. A line is `key: text`, `key:` with a block below, `- text`, or `-` with a block
below; a block is indented by one tab more. There are no escapes and no quoting. Empty lines are
ignored, and so are lines that begin with `#`, whatever their indentation.

The tree keeps comments, empty lines and order: what is not changed is written as it was read.
What a text means (a number, a name) is for `mox.config` to say.

>>> document = parse(b"# who we are\\nHostname: a.example\\nIPs:\\n\\t- ::1\\n")
>>> document.set(["Hostname"], "b.example")
>>> document.set(["IPs"], ["::1", "127.0.0.1"])
>>> document.text()
'# who we are\\nHostname: b.example\\nIPs:\\n\\t- ::1\\n\\t- 127.0.0.1\\n'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mox.errors import MoxError

MAX_OCTETS = 64 * 1024 * 1024
MAX_DEPTH = 32
MAX_FAULTS = 1000

# What a program puts into a tree: text, list items, or named entries.
Plain = str | Sequence["Plain"] | Mapping[str, "Plain"]

# As the text of a map entry: an entry with nothing set.
NIL = "nil"


class SconfError(MoxError):
    """A change that cannot be written in this syntax."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that does not follow the syntax, or that cannot be where it is."""

    line: int
    message: str


class Node:
    """One entry (`key` is a name) or list item (`key` is None)."""

    __slots__ = ("before", "block", "key", "line", "text", "value")

    def __init__(self, text: str, key: str | None, value: str, line: int = 0) -> None:
        self.text = text  # the line without indentation
        self.key = key
        self.value = value  # "" when there is a block
        self.line = line  # as read, 0 for new ones
        self.block: Block | None = None
        self.before: list[str] = []  # comments and empty lines above, as read

    @property
    def has_value(self) -> bool:
        """Tell whether the line goes on after the colon or dash, so that no block can follow."""
        return self.text != ("-" if self.key is None else f"{self.key}:")


@dataclass(slots=True)
class Block:
    """Entries or list items of one level. `after` are comments that follow the last of them."""

    is_list: bool = False
    nodes: list[Node] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def find(self, key: str) -> Node | None:
        """Return the entry with this key."""
        if self.is_list:
            return None
        return next((node for node in self.nodes if node.key == key), None)

    def child(self, part: str | int) -> Node | None:
        """Return the entry with this key, or the item with this index."""
        if isinstance(part, str):
            return self.find(part)
        return self.nodes[part] if self.is_list and 0 <= part < len(self.nodes) else None


@dataclass(slots=True)
class Document:
    """A file. `faults` is empty when it could be read completely; only then change it."""

    root: Block
    faults: list[Fault]

    def get(self, path: Sequence[str | int]) -> Node | None:
        """Return the node at a path of keys and indexes."""
        block: Block | None = self.root
        node = None
        for part in path:
            node = block.child(part) if block is not None else None
            if node is None:
                return None
            block = node.block
        return node

    def line_of(self, path: Sequence[str | int]) -> int:
        """Return the line of the deepest node on the path that exists; 1 when none does."""
        line, block = 1, self.root
        for part in path:
            node = block.child(part)
            if node is None:
                break
            line = node.line
            if node.block is None:
                break
            block = node.block
        return line

    def set(self, path: Sequence[str | int], value: Plain) -> None:
        """Set what is at a path, creating blocks on the way; comments of what stays are kept.

        Raises SconfError when the value cannot be written: an empty list or map, a newline.
        """
        block = self.root
        for part in path[:-1]:
            block = open_block(_child_or_new(block, part))
        fill(_child_or_new(block, path[-1]), value)

    def remove(self, path: Sequence[str | int]) -> None:
        """Remove an entry or item with the comment directly above; blocks left empty go too."""
        node = self.get(path)
        block = self._block_of(path)
        if node is None or block is None:
            return
        remove_node(block, node)
        if not block.nodes and len(path) > 1:
            self.remove(path[:-1])

    def _block_of(self, path: Sequence[str | int]) -> Block | None:
        if len(path) == 1:
            return self.root
        parent = self.get(path[:-1])
        return parent.block if parent is not None else None

    def text(self) -> str:
        """Write the file."""
        return "".join(f"{line}\n" for line in _lines(self.root, ""))


def _lines(block: Block, indent: str) -> Iterator[str]:
    for node in block.nodes:
        yield from node.before
        yield indent + node.text
        if node.block is not None:
            yield from _lines(node.block, indent + "\t")
    yield from block.after


# Changing a tree.


def _child_or_new(block: Block, part: str | int) -> Node:
    node = block.child(part)
    if node is not None:
        return node
    if isinstance(part, int) != block.is_list and block.nodes:
        raise SconfError(f"a {'list' if block.is_list else 'map'} cannot have {part!r}")
    block.is_list = isinstance(part, int)
    node = make_node(None if isinstance(part, int) else part)
    block.nodes.append(node)
    return node


def make_node(key: str | None) -> Node:
    """Return a new entry or item, to be filled. Raises SconfError for an impossible key."""
    if key is None:
        return Node("-", None, "")
    # What begins like a comment, a list item or deeper indentation is read as that.
    misread = key.startswith(("\t", "- ", "\ufeff")) or key.strip().startswith("#")
    if not key or ":" in key or misread or not _is_line(key):
        raise SconfError(f"{key!r} cannot be a key")
    return Node(f"{key}:", key, "")


def _is_line(text: str) -> bool:
    """Tell whether a text can be written as part of a line: lone surrogates cannot."""
    is_unicode = text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
    return "\n" not in text and not text.endswith("\r") and is_unicode


def open_block(node: Node) -> Block:
    """Return the block of a node; a text, such as nil, gives way to a new one."""
    if node.block is None:
        node.text = "-" if node.key is None else f"{node.key}:"
        node.value = ""
        node.block = Block()
    return node.block


def fill(node: Node, value: Plain) -> None:
    """Give a node a text, list items or entries; keeps what is equal already."""
    if isinstance(value, str):
        _fill_text(node, value)
    elif not value:
        raise SconfError(f"{node.key or 'item'}: nothing cannot be written")
    elif isinstance(value, Mapping):
        _fill_entries(open_block(node), value)
    else:
        fill_items(open_block(node), value)


def _fill_text(node: Node, value: str) -> None:
    if not _is_line(value):
        raise SconfError(f"{node.key or 'item'}: text must be on one line")
    if node.block is None and node.value == value and (value or node.has_value):
        return
    node.block = None
    node.value = value
    node.text = f"- {value}" if node.key is None else f"{node.key}: {value}"


def _fill_entries(block: Block, value: Mapping[str, Plain]) -> None:
    if block.is_list:
        block.nodes.clear()
        block.is_list = False
    for node in [node for node in block.nodes if node.key not in value]:
        remove_node(block, node)
    present = {node.key: node for node in block.nodes}
    for key, plain in value.items():
        node = present.get(key) or make_node(key)
        fill(node, plain)
        if key not in present:
            block.nodes.append(node)


def fill_items(block: Block, value: Sequence[Plain]) -> None:
    """Reuse items with the same text; an item with a block is reused at the same position."""
    old = block.nodes if block.is_list else []
    by_text = {node.value: node for node in old if node.block is None}
    block.is_list = True
    nodes = []
    for index, plain in enumerate(value):
        if isinstance(plain, str):
            node = by_text.pop(plain, None) or make_node(None)
        else:
            node = old[index] if index < len(old) and old[index].block else make_node(None)
        fill(node, plain)
        nodes.append(node)
    kept = {id(node) for node in nodes}
    for node in [node for node in old if id(node) not in kept]:
        remove_node(block, node)
    block.nodes = nodes


def remove_node(block: Block, node: Node) -> None:
    """Remove a node with the comment directly above it; other comments stay where they are."""
    index = next(i for i, candidate in enumerate(block.nodes) if candidate is node)
    keep = len(node.before)
    while keep and node.before[keep - 1].strip():
        keep -= 1
    rest = node.before[:keep]
    del block.nodes[index]
    if index < len(block.nodes):
        block.nodes[index].before[:0] = rest
    else:
        block.after[:0] = rest


# Reading.


def parse(data: bytes) -> Document:
    """Read a file. What cannot be read is left out of the tree and told in `faults`."""
    if len(data) > MAX_OCTETS:
        return Document(Block(), [Fault(1, f"file has more than {MAX_OCTETS} bytes")])
    reader = _Reader()
    lines = _decode(data, reader).split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        reader.feed(number, line)
    return reader.finish()


def _decode(data: bytes, reader: _Reader) -> str:
    """Decode and report what editors on other systems add."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as err:
        reader.fault(data.count(b"\n", 0, err.start) + 1, "not UTF-8 text")
        text = data.decode("utf-8", "replace")
    if text.startswith("\ufeff"):
        reader.fault(1, "file begins with a byte order mark, which must be removed")
        text = text[1:]
    first = text.find("\r\n")
    if first < 0 and text.endswith("\r"):
        first = len(text) - 1
    if first >= 0:
        number = text.count("\n", 0, first) + 1
        reader.fault(number, "line ends with CR LF; lines must end with LF only")
        text = text.replace("\r\n", "\n").removesuffix("\r")
    return text


class _Reader:
    """Puts lines into a tree, one after the other."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        # The open blocks, by depth, with the keys that each has seen.
        self._open = [Block()]
        self._keys: list[set[str]] = [set()]
        self._pending: list[str] = []  # comments and empty lines before the next node
        # Lines of at least this depth belong to a line that could not be read.
        self._skip_depth: int | None = None

    def fault(self, line: int, message: str) -> None:
        """Note a fault, up to a limit."""
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(line, message))

    def feed(self, number: int, line: str) -> None:
        """Read one line, without its newline."""
        content = line.strip()
        if not line or content.startswith("#"):
            self._pending.append(line)
            return
        if not content:
            self.fault(number, "stray whitespace: an empty line must have nothing on it")
            return
        text = line.lstrip("\t")
        depth = len(line) - len(text)
        if self._skip_depth is not None and depth >= self._skip_depth:
            return
        self._skip_depth = None
        if self._enter(number, depth):
            self._add(number, depth, text)

    def finish(self) -> Document:
        """Return the tree after the last line."""
        self._close(0)
        self._open[0].after += self._pending
        self._faults.sort(key=lambda fault: fault.line)
        return Document(self._open[0], self._faults)

    def _enter(self, number: int, depth: int) -> bool:
        """Open or close blocks up to the depth of the line."""
        if depth < len(self._open):
            self._close(depth)
            return True
        message = self._why_not_deeper(depth)
        if message:
            self._skip_depth = depth
            self.fault(number, message)
            return False
        block = Block()
        self._open[-1].nodes[-1].block = block
        self._open.append(block)
        self._keys.append(set())
        return True

    def _why_not_deeper(self, depth: int) -> str:
        nodes = self._open[-1].nodes
        if depth > len(self._open) or not nodes:
            return "too many tabs at the beginning of the line"
        if nodes[-1].has_value:
            value = nodes[-1].value
            what = f"has the value {value!r}" if value else "has a space at its end"
            return f"line cannot be below line {nodes[-1].line}, which {what}"
        if depth > MAX_DEPTH:
            return f"more than {MAX_DEPTH} levels"
        return ""

    def _close(self, depth: int) -> None:
        """Close blocks deeper than `depth`. Comments with their indentation stay with them."""
        if len(self._open) <= depth + 1:
            return
        last = 0
        for index, line in enumerate(self._pending, 1):
            if line and len(line) - len(line.lstrip("\t")) > depth:
                last = index
        self._open[-1].after += self._pending[:last]
        del self._pending[:last]
        del self._open[depth + 1 :], self._keys[depth + 1 :]

    def _add(self, number: int, depth: int, text: str) -> None:
        """Put the line into its block. The first line of a block decides what the block is."""
        block = self._open[depth]
        is_item = text == "-" or text.startswith("- ")
        if not block.nodes:
            block.is_list = is_item and depth > 0
        node = _item(number, text) if block.is_list else self._new_entry(number, depth, text)
        if isinstance(node, str):
            self.fault(number, node)
            self._skip_depth = depth + 1
            return
        node.before, self._pending = self._pending, []
        block.nodes.append(node)

    def _new_entry(self, number: int, depth: int, text: str) -> Node | str:
        node = _entry(number, text)
        if isinstance(node, Node) and node.key is not None:
            if node.key in self._keys[depth]:
                return f"duplicate key {node.key!r}"
            self._keys[depth].add(node.key)
        return node


def _item(number: int, text: str) -> Node | str:
    if text == "-":
        return Node(text, None, "", number)
    if text.startswith("- "):
        return Node(text, None, text[2:], number)
    if text.startswith("-"):
        return "missing space after the dash of a list item"
    return "expected a list item: a dash, a space and text"


def _entry(number: int, text: str) -> Node | str:
    key, colon, rest = text.partition(":")
    if not colon:
        return f"expected a key and a colon, not {text[:80]!r}"
    if not key:
        return "missing key before the colon"
    if not rest:
        return Node(text, key, "", number)
    if not rest.startswith(" "):
        return f"missing space after the colon of {key[:80]!r}"
    return Node(text, key, rest[1:], number)
