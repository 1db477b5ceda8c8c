"""contrib/rfc-table: citations are found and checked against docs/rfc.tsv."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "contrib/rfc-table"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("rfc_table", str(PROGRAM))
    spec = importlib.util.spec_from_loader("rfc_table", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rfc_table"] = module
    without_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = without_bytecode
    return module


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROGRAM, *words], capture_output=True, text=True)


def test_source_and_table_agree() -> None:
    result = run("--check")
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")


def test_table_has_a_line_for_each_rfc() -> None:
    rows = (ROOT / "docs/rfc.tsv").read_text().splitlines()[1:]
    numbers = [line.split()[0] for line in run().stdout.splitlines() if line[:5].strip().isdigit()]
    assert numbers == [row.split("\t")[0] for row in rows]


def test_sections_name_their_places() -> None:
    result = run("9051")
    assert result.returncode == 0
    assert "  §6.3.13\n    mox/imapd/" in result.stdout


def test_unknown_number_on_the_command_line_fails() -> None:
    assert run("99999").returncode == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# RFC 5321 §4.5.3.1.10: own words", [(5321, "§4.5.3.1.10", 1)]),
        ("x\n# RFC 9051 §9.", [(9051, "§9", 2)]),
        ("# RFC 6409 §8.2, §8.3", [(6409, "§8.2", 1), (6409, "§8.3", 1)]),
        ("(RFC 5321 §4.1.2 and §4.1.3, RFC 3461 §4)",
         [(5321, "§4.1.2", 1), (5321, "§4.1.3", 1), (3461, "§4", 1)]),
        ("# see RFC\n    # 5321 §2", [(5321, "§2", 2)]),
        ("RFC 4422 appendix A: x", [(4422, "appendix A", 1)]),
        ("RFC 6376 erratum 1487", [(6376, "erratum 1487", 1)]),
        ("(RFC 2971)", [(2971, "", 1)]),
        ("RFC822.SIZE", []),
    ],
)  # fmt: skip
def test_citations(tool: ModuleType, text: str, expected: list[tuple[int, str, int]]) -> None:
    found = [(c.number, c.section, c.line) for c in tool.citations_in(text, "a.py")]
    assert found == expected
    assert list(tool.bad_forms_in(text, "a.py")) == []


@pytest.mark.parametrize(
    "text", ["RFC5321 §4", "rfc 5321 §4", "RFC-5321, §4", "RFC 5321 section 4.2", "RFC 5321, sec 4"]
)
def test_other_forms_are_refused(tool: ModuleType, text: str) -> None:
    assert list(tool.bad_forms_in(text, "a.py"))


def write(directory: Path, rows: str, source: str) -> None:
    (directory / "mox/smtp").mkdir(parents=True)
    (directory / "mox/smtp/a.py").write_text(source)
    (directory / "rfc.tsv").write_text("number\ttitle\tstatus\tmodule\tnote\n" + rows)


@pytest.mark.parametrize(
    ("row", "source", "problem"),
    [
        ("5321\tSMTP\tyes\tmox.smtp\t", "# RFC 5322 §1: x\n# RFC 5321 §1: x", "not in docs"),
        ("5321\tSMTP\tyes\tmox.smtp\t", "# todo RFC 5321 §1: x", "a todo"),
        ("5321\tSMTP\tyes\tmox.pop\t", "# RFC 5321 §1: x", "no module mox.pop"),
        ("5321\tSMTP\tyes\tmox.smtp\t", "x = 1", "does not name it"),
        ("5321\tSMTP\tpartial\tmox.smtp\t", "# RFC 5321 §1: x", "no note"),
    ],
)
def test_contradictions_are_told(
    tool: ModuleType, tmp_path: Path, row: str, source: str, problem: str
) -> None:
    write(tmp_path, row + "\n", source)
    cited = list(tool.citations_in(source, "mox/smtp/a.py"))
    (found,) = tool.problems(tool.read_table(tmp_path / "rfc.tsv"), cited, tmp_path)
    assert problem in found


@pytest.mark.parametrize(
    "rows",
    [
        "5321\tSMTP\tmaybe\tmox.smtp\t\n",
        "5321\tSMTP\tyes\n",
        "5322\tIMF\tno\t\t\n5321\tSMTP\tno\t\t\n",
        "5321\tSMTP\tno\t\t\n5321\tSMTP\tno\t\t\n",
    ],
)
def test_malformed_tables_are_refused(tool: ModuleType, tmp_path: Path, rows: str) -> None:
    write(tmp_path, rows, "")
    with pytest.raises(ValueError, match=r"rfc\.tsv:\d"):
        tool.read_table(tmp_path / "rfc.tsv")
