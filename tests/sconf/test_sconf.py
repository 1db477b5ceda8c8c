"""The syntax of configuration files: grammar tables, round trips, changes that keep comments."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox import sconf


def plain(block: sconf.Block) -> sconf.Plain:
    """Reduce a tree to texts, lists and mappings."""

    def value(node: sconf.Node) -> sconf.Plain:
        return plain(node.block) if node.block is not None else node.value

    if block.is_list:
        return [value(node) for node in block.nodes]
    return {node.key or "": value(node) for node in block.nodes}


def read(text: str) -> sconf.Document:
    document = sconf.parse(text.encode())
    assert document.faults == []
    return document


VALID = [
    ("", {}),
    ("A: x\n", {"A": "x"}),
    ("A: x", {"A": "x"}),
    ("A:\n", {"A": ""}),
    ("A: \n", {"A": ""}),
    ("A:  two  \n", {"A": " two  "}),
    ("A: b # c\n", {"A": "b # c"}),
    ("A: b: c\n", {"A": "b: c"}),
    ("A b.c: x\n", {"A b.c": "x"}),
    ("\n\nA: x\n\n\nB: y\n", {"A": "x", "B": "y"}),
    ("# c\n  # c\n\t\t# c\nA: x\n", {"A": "x"}),
    ("A:\n# c\n\tB: x\n\n\tC: y\nD: z\n", {"A": {"B": "x", "C": "y"}, "D": "z"}),
    ("A:\n\tB:\n\t\tC: x\nD: y\n", {"A": {"B": {"C": "x"}}, "D": "y"}),
    ("L:\n\t- a\n\t-\n\t- \n\t-  b\n", {"L": ["a", "", "", " b"]}),
    ("L:\n\t-\n\t\tA: x\n\t-\n\t\tA: y\n", {"L": [{"A": "x"}, {"A": "y"}]}),
    ("L:\n\t- A: x\n", {"L": ["A: x"]}),
    ("M:\n\ta@b: nil\n", {"M": {"a@b": "nil"}}),
    ("M:\n\t-a: x\n", {"M": {"-a": "x"}}),
    ("Ä: ü\n", {"Ä": "ü"}),
]


@pytest.mark.parametrize(("text", "expected"), VALID)
def test_valid_text_is_read_and_written_as_it_was(text: str, expected: sconf.Plain) -> None:
    document = read(text)
    assert plain(document.root) == expected
    assert document.text() == (text if text.endswith("\n") or not text else text + "\n")


INVALID = [
    (b"A:x\n", [(1, "missing space after the colon")]),
    (b"A\n", [(1, "expected a key and a colon")]),
    (b": x\n", [(1, "missing key")]),
    (b"- x\n", [(1, "expected a key and a colon")]),
    (b"A: x\r\nB: y\r\n", [(1, "line ends with CR LF")]),
    (b"A: x\r", [(1, "line ends with CR LF")]),
    (b"\xef\xbb\xbfA: x\n", [(1, "byte order mark")]),
    (b"A: x\nB: \xff\n", [(2, "not UTF-8")]),
    (b"A: x\n \nB: y\n", [(2, "stray whitespace")]),
    (b"A: x\n\t\nB: y\n", [(2, "stray whitespace")]),
    (b"\tA: x\n", [(1, "too many tabs")]),
    (b"A:\n\t\tB: x\n", [(2, "too many tabs")]),
    (b"A:\n\tB: x\n\t\tC: y\n", [(3, "line cannot be below line 2, which has the value 'x'")]),
    (b"A: \n\tB: x\n", [(2, "which has a space at its end")]),
    (b"A: x\nA: y\n", [(2, "duplicate key 'A'")]),
    (b"M:\n\ta: x\n\ta: y\n", [(3, "duplicate key 'a'")]),
    (b"L:\n\t- a\n\t-b\n", [(3, "missing space after the dash")]),
    (b"L:\n\t- a\n\tB: x\n", [(3, "expected a list item")]),
    (b"A: x\nB\nC:y\nA: z\n", [(2, "expected a key"), (3, "missing space"), (4, "duplicate")]),
]


@pytest.mark.parametrize(("data", "expected"), INVALID)
def test_faults_have_line_and_message(data: bytes, expected: list[tuple[int, str]]) -> None:
    faults = sconf.parse(data).faults
    assert len(faults) == len(expected)
    for fault, (line, message) in zip(faults, expected, strict=True):
        assert fault.line == line
        assert message in fault.message


def test_same_key_in_different_blocks_is_fine() -> None:
    assert read("A:\n\tX: 1\nB:\n\tX: 2\n").faults == []


def test_what_is_below_a_bad_line_is_not_reported_again() -> None:
    faults = sconf.parse(b"A:x\n\tB: y\n\t\tC: z\nD: w\n").faults
    assert [fault.line for fault in faults] == [1]


def test_rest_of_the_file_is_read_after_a_fault() -> None:
    document = sconf.parse(b"A: x\nbad\nB:\n\tC: y\n")
    assert plain(document.root) == {"A": "x", "B": {"C": "y"}}


def test_depth_is_limited() -> None:
    def nested(depth: int) -> bytes:
        return "".join("\t" * level + "A:\n" for level in range(depth + 1)).encode()

    assert sconf.parse(nested(sconf.MAX_DEPTH)).faults == []
    assert "levels" in sconf.parse(nested(sconf.MAX_DEPTH + 1)).faults[0].message


def test_size_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sconf, "MAX_OCTETS", 10)
    assert sconf.parse(b"A: 3456789\n").faults[0].message == "file has more than 10 bytes"


def test_number_of_faults_is_limited() -> None:
    assert len(sconf.parse(b"x\n" * 2000).faults) == sconf.MAX_FAULTS


@pytest.mark.parametrize("line", ["x", "\tA: x", "#" * 20, "\t" * 20 + "a", "", "A:", " "])
def test_large_nonsense_is_read_in_linear_time(line: str) -> None:
    data = (line + "\n").encode() * (500_000 // (len(line) + 1))
    start = time.monotonic()
    sconf.parse(data)
    assert time.monotonic() - start < 5


def test_line_of_a_path() -> None:
    document = read("# c\nA:\n\tB: x\n\tL:\n\t\t- a\n\t\t- b\n")
    assert document.line_of(["A", "B"]) == 3
    assert document.line_of(["A", "L", 1]) == 6
    assert document.line_of(["A", "missing"]) == 2
    assert document.line_of(["missing"]) == 1


# Changes.

ORIGINAL = """\
# head

# about a
A: x
# about the block
B:
	# first
	one: 1

	# second
	two: 2
	# last of B
# about L
L:
	# item a
	- a
	# item b
	- b
# end
"""


def changed(document: sconf.Document) -> tuple[list[str], list[str]]:
    """Return the lines that a change removed and added."""
    old, new = ORIGINAL.splitlines(), document.text().splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_setting_the_same_values_changes_nothing() -> None:
    document = read(ORIGINAL)
    document.set(["A"], "x")
    document.set(["B"], {"one": "1", "two": "2"})
    document.set(["L"], ["a", "b"])
    assert document.text() == ORIGINAL


def test_changed_value_keeps_all_comments() -> None:
    document = read(ORIGINAL)
    document.set(["B", "one"], "11")
    assert changed(document) == (["\tone: 1"], ["\tone: 11"])


def test_new_entry_comes_after_the_last_one() -> None:
    document = read(ORIGINAL)
    document.set(["B", "three"], "3")
    assert changed(document) == ([], ["\tthree: 3"])
    assert "\ttwo: 2\n\tthree: 3\n\t# last of B\n" in document.text()


def test_removed_entry_takes_its_own_comment_only() -> None:
    document = read(ORIGINAL)
    document.remove(["B", "two"])
    assert changed(document) == (["\t# second", "\ttwo: 2"], [])
    assert "\tone: 1\n\n\t# last of B\n# about L\n" in document.text()


def test_removed_first_entry_keeps_the_head_of_the_file() -> None:
    document = read(ORIGINAL)
    document.remove(["A"])
    assert document.text().startswith("# head\n\n# about the block\nB:\n")


def test_removing_the_last_entry_removes_the_block() -> None:
    document = read(ORIGINAL)
    document.remove(["B", "one"])
    document.remove(["B", "two"])
    assert document.get(["B"]) is None
    assert "# about L\nL:\n" in document.text()


def test_list_items_keep_their_comments_when_reordered() -> None:
    document = read(ORIGINAL)
    document.set(["L"], ["b", "c"])
    assert "L:\n\t# item b\n\t- b\n\t- c\n# end\n" in document.text()


def test_nil_entry_becomes_a_block() -> None:
    document = read("M:\n\ta@b: nil\n")
    document.set(["M", "a@b", "Mailbox"], "x")
    assert document.text() == "M:\n\ta@b:\n\t\tMailbox: x\n"


def test_block_becomes_a_text() -> None:
    document = read("M:\n\ta@b:\n\t\tMailbox: x\n")
    document.set(["M", "a@b"], sconf.NIL)
    assert document.text() == "M:\n\ta@b: nil\n"


def test_path_to_a_new_place_is_created() -> None:
    document = read("")
    document.set(["A", "B"], {"C": ["x"], "D": [{"E": "y"}]})
    assert document.text() == "A:\n\tB:\n\t\tC:\n\t\t\t- x\n\t\tD:\n\t\t\t-\n\t\t\t\tE: y\n"


def test_removing_what_is_not_there_changes_nothing() -> None:
    document = read(ORIGINAL)
    document.remove(["B", "none"])
    document.remove(["none", "B"])
    assert document.text() == ORIGINAL


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["A"], "x\ny"),
        (["A"], "x\r"),
        (["A"], "\ud800"),
        (["A"], []),
        (["A"], {}),
        (["A"], {"B": []}),
        (["A:"], "x"),
        ([""], "x"),
        (["# c"], "x"),
        (["\tA"], "x"),
        (["- A"], "x"),
        (["\ufeffA"], "x"),
        (["B", 3], "x"),
    ],
)
def test_what_cannot_be_written_is_refused(path: list[str | int], value: sconf.Plain) -> None:
    with pytest.raises(sconf.SconfError):
        read(ORIGINAL).set(path, value)


# Properties.

texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)
keys = st.text(st.sampled_from("aB.@ -#\té"), min_size=1, max_size=6)
plains = st.recursive(
    texts,
    lambda children: (
        st.lists(children, min_size=1, max_size=4)
        | st.dictionaries(keys, children, min_size=1, max_size=4)
    ),
    max_leaves=12,
)
LINES = ["", "# c", "\t# c", "A:", "A: x", "\tB: y", "\t- a", "\t-", "\t\tC: z", " ", "\tB:", "-"]


@given(st.dictionaries(keys, plains, max_size=4))
def test_written_values_are_read_back(value: dict[str, sconf.Plain]) -> None:
    document = read("")
    try:
        for key, entry in value.items():
            document.set([key], entry)
    except sconf.SconfError:
        return
    again = sconf.parse(document.text().encode())
    assert again.faults == []
    assert plain(again.root) == value
    assert again.text() == document.text()


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document(data: bytes) -> None:
    sconf.parse(data).text()


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=14))
def test_lines_in_any_order_survive_when_valid(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    document = sconf.parse(text.encode())
    if not document.faults:
        assert document.text() == text
    else:
        assert all(1 <= fault.line <= len(lines) for fault in document.faults)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=14), st.data())
def test_any_removal_leaves_a_valid_file(lines: list[str], data: st.DataObject) -> None:
    document = sconf.parse("".join(f"{line}\n" for line in lines).encode())
    if document.faults or not document.root.nodes:
        return
    path: list[str | int] = []
    block: sconf.Block | None = document.root
    while block is not None and block.nodes:
        index = data.draw(st.integers(0, len(block.nodes) - 1))
        node = block.nodes[index]
        path.append(index if node.key is None else node.key)
        block = node.block if data.draw(st.booleans()) else None
    document.remove(path)
    again = sconf.parse(document.text().encode())
    assert again.faults == []
    assert plain(again.root) == plain(document.root)
