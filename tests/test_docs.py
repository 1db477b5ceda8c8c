"""The documents say what is so: commands, fields, links, make targets, examples."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

import mox.cli
from mox.cli import arguments
from mox.cli.command import Command
from mox.config import ConfigErrors, load
from mox.config.dynamic import Dynamic
from mox.config.schema import StructSpec, Type, spec_of
from mox.config.static import Static
from mox.config.submit import SubmitConfig
from mox.webapi import client, hooks
from mox.webapi.fields import tables
from mox.webapi.methods import METHODS

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "contrib").rglob("*.md")]
)
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
# Files that people read too, and that name commands.
OTHERS = sorted(
    [*(ROOT / "conf").glob("*.conf"), *(p for p in (ROOT / "contrib").rglob("*") if p.is_file())]
)
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_GLOBALS = r"(?: +-(?:config|loglevel) +\S+| +-pedantic)*"
# A command line of mox, in documents and in scripts.
_MOX = re.compile(rf"^(?:\$ +)?(?:\S*/)?mox({_GLOBALS} +[a-z]\S*.*)$")
_SCRIPTED = re.compile(rf"(?:/bin/mox|\$MOX|\$command)({_GLOBALS} +[a-z]+(?: +[-a-z]+)*)")
_MODULE = re.compile(r"^mox(?:\.[a-z0-9_]+)+$")


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def code_of(text: str) -> Iterator[str]:
    """Yield what stands in code: spans, and the lines of fenced and indented blocks."""
    for _, block in _FENCE.findall(text):
        yield from block.splitlines()
    rest = _FENCE.sub("", text)
    for line in rest.splitlines():
        if line.startswith("    "):
            yield line.strip()
    # A span may go on in the next line.
    yield from _CODE.findall(re.sub(r"(?<=[^\n])\n(?=[^\n])", " ", rest))


@pytest.mark.parametrize("name", NAMES)
def test_commands_exist(name: str) -> None:
    for line in code_of(text_of(name)):
        # Without a remark, and without what the shell does.
        command = re.split(r"  #| [<>|] ", line)[0]
        match = _MOX.match(command.rstrip(" .,;:"))
        if match is not None:
            check_command(match[1])


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_other_files_exist(path: Path) -> None:
    text = re.sub("[\"']", "", path.read_text())
    for line in _SCRIPTED.findall(text):
        check_command(line)


def load_commands() -> list[Command]:
    """All commands, without importing the program: that would change sockets for all tests."""
    commands: list[Command] = []
    for module in pkgutil.iter_modules(mox.cli.__path__, "mox.cli."):
        if module.name != "mox.cli.main":
            commands += getattr(importlib.import_module(module.name), "COMMANDS", [])
    return commands


def check_command(line: str) -> None:
    """Fail unless the command is there and takes these flags and arguments."""
    # N stands for a number, COMMAND for any; other words in capitals are as good as values.
    words = ["1" if word == "N" else word for word in shlex.split(line) if word != "COMMAND"]
    _, words = arguments.parse_globals(words)
    command, rest = arguments.find(load_commands(), words)
    if rest:  # prose names commands without their arguments
        arguments.parse(command, rest)
    if command.words == ("help",) and rest:
        arguments.find(load_commands(), rest)


@pytest.mark.parametrize(
    "line",
    ["quickstarted you@example.org", "localserve -ports 25", "help nothing", "stop now"],
)
def test_check_of_commands_notices(line: str) -> None:
    check_command("-config x/mox.conf localserve -dir DIR -port-offset N")
    with pytest.raises(arguments.UsageError):
        check_command(line)


def field_names() -> set[str]:
    """All names of fields in the configuration files and in webhooks, and dotted paths of them."""
    names = webapi_names()

    def walk(spec: StructSpec, path: tuple[str, ...]) -> None:
        for field in spec.fields:
            here = (*path, field.field.name)
            names.update(".".join(here[i:]) for i in range(len(here)))
            below = struct_in(field.type)
            if below is not None:
                walk(below, here)

    walk(spec_of(Static), ())
    walk(spec_of(Dynamic), ())
    walk(spec_of(SubmitConfig), ())
    return names


def webapi_names() -> set[str]:
    """Of methods, fields of JSON, and what the client raises."""
    structs = [kind for each in METHODS.values() for kind in (each.request, each.response)]
    shown = [table for struct in structs if struct is not None for table in tables(struct)]
    shown += [*tables(hooks.Outgoing), *tables(hooks.Incoming)]
    fields = {field.name for table in shown for field in table.fields}
    meta = {f"Meta.{field.encode_name}" for field in msgspec.structs.fields(hooks.IncomingMeta)}
    return {*METHODS, *client.__all__, *fields, *meta}


def struct_in(value: Type) -> StructSpec | None:
    """The fields below a field: directly, or those of each entry or item."""
    while value.element is not None:
        value = value.element
    return spec_of(value.cls) if value.cls is not None else None


# Words with capitals within that are no fields.
NOT_FIELDS = frozenset({"StateDirectory"})
_FIELD = re.compile(r"^(?:[A-Z][A-Za-z0-9]*(?:\.\*)?\.)*[A-Z]+[a-z][A-Za-z0-9]*[A-Z][A-Za-z0-9]*$")


@pytest.mark.parametrize("name", NAMES)
def test_fields_exist(name: str) -> None:
    known = field_names()
    for code in _CODE.findall(text_of(name)):
        word = code.split(":")[0].split("=")[0]
        if word in NOT_FIELDS or not _FIELD.match(word):
            continue
        path = word.replace(".*", "").replace("[]", "")
        assert path in known, f"{name}: `{code}` is no field of the configuration"


@pytest.mark.parametrize("name", NAMES)
def test_links_resolve(name: str) -> None:
    for target in _LINK.findall(_FENCE.sub("", text_of(name))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.resolve().is_relative_to(ROOT), f"{name}: {target} is outside of the project"
        assert file.exists(), f"{name}: {target} does not exist"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{name}: {target} has no such heading"


def anchors(text: str) -> set[str]:
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text)]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("name", NAMES)
def test_files_and_modules_exist(name: str) -> None:
    for code in _CODE.findall(text_of(name)):
        if _MODULE.match(code) and not code.endswith((".conf", ".pid", ".service")):
            path = ROOT / code.replace(".", "/")
            assert path.is_dir() or path.with_name(f"{path.name}.py").exists(), f"{name}: {code}"
        match = re.match(r"(?:\./)?((?:docs|tests|contrib|conf|requirements|mox)/[\w./-]*)", code)
        if match is not None:
            assert (ROOT / match[1]).exists(), f"{name}: {code}"


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))
    for line in code_of(text_of(name)):
        for words in re.findall(r"^make((?: +[a-z0-9]+)+)", line):
            assert set(words.split()) <= targets, f"{name}: {line}"


def test_readme_opens_with_the_two_commands() -> None:
    lines = text_of("README.md").splitlines()
    commands = [line.split("#")[0].strip() for line in lines[:6] if line.startswith("    ")]
    assert commands == ["make localserve", "make test"]


def test_all_targets_are_documented() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    documented = set(re.findall(r"`make ([a-z0-9]+)`", text_of("docs/testing.md")))
    assert set(phony.split()) - documented - {"help", "localserve"} == set()


def test_index_names_all_documents() -> None:
    index = text_of("docs/README.md")
    for name in NAMES:
        if name.startswith("docs/") and name != "docs/README.md":
            assert f"]({name.removeprefix('docs/')})" in index, name


def examples(name: str) -> Sequence[str]:
    return [block for kind, block in _FENCE.findall(text_of(name)) if kind == "sconf"]


def test_configuration_of_install_is_right(tmp_path: Path) -> None:
    static, dynamic, dkim, transport, route = examples("docs/install.md")
    (tmp_path / "mox.conf").write_text(static)
    (tmp_path / "domains.conf").write_text(dynamic)
    config = load(tmp_path / "mox.conf", check_files=False)
    assert (config.unsupported, config.warnings) == ([], [])
    domain = "\texample.org:\n"
    (tmp_path / "domains.conf").write_text(dynamic.replace(domain, domain + dkim))
    config = load(tmp_path / "mox.conf", check_files=False)
    assert config.dynamic.domains["example.org"].dkim.sign == ("2026a",)
    assert (config.unsupported, config.warnings) == ([], [])
    (tmp_path / "mox.conf").write_text(static + transport)
    (tmp_path / "domains.conf").write_text(dynamic + route)
    config = load(tmp_path / "mox.conf", check_files=False)
    assert config.dynamic.routes[0].transport in config.static.transports
    (tmp_path / "mox.conf").write_text(static)
    with pytest.raises(ConfigErrors):
        load(tmp_path / "mox.conf", check_files=False)


PRIVATE = re.compile(r"/work/|/root/|/home/[a-z]|\bTODO\b|\bFIXME\b")


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, *OTHERS], ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_nothing_private(path: Path) -> None:
    assert PRIVATE.findall(path.read_text()) == []


@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_closed_and_lines_end_clean(name: str) -> None:
    text = text_of(name)
    assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0
    assert re.findall(r"[ \t]+$", text, re.MULTILINE) == []
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
