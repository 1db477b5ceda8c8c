"""Documents the fields: annotated example files, and a reference in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from mox.config.dynamic import Dynamic
from mox.config.scalars import format_scalar
from mox.config.schema import FieldSpec, Kind, StructSpec, Type, spec_of
from mox.config.static import Static
from mox.config.submit import SubmitConfig

_WIDTH = 80
_TAB_WIDTH = 4  # what a tab counts when lines are wrapped

_STATIC_HEAD = """\
All fields of mox.conf, with their meaning. This is no configuration to start from: it shows \
everything at once, also what excludes each other. docs/install.md has one to start from. Each \
level is indented by one tab. Comments are lines that begin with #. Changes need a restart or \
SIGHUP."""
_DYNAMIC_HEAD = """\
All fields of domains.conf, with their meaning. This is no configuration to start from: it shows \
everything at once, also what excludes each other. Each level is indented by one tab. Comments \
are lines that begin with #. A running server notices changes of this file by itself; it goes on \
with the old content, and logs what is wrong, while there is an error."""
_SUBMIT_HEAD = """\
All fields of /etc/moxsubmit.conf, the configuration of mox sendmail. It is read each time."""


def describe_submit() -> str:
    """Return moxsubmit.conf with all fields and their documentation."""
    return _example(_SUBMIT_HEAD, spec_of(SubmitConfig))


def describe_static() -> str:
    """Return mox.conf with all fields and their documentation."""
    return _example(_STATIC_HEAD, spec_of(Static))


def describe_dynamic() -> str:
    """Return domains.conf with all fields and their documentation."""
    return _example(_DYNAMIC_HEAD, spec_of(Dynamic))


def _example(head: str, spec: StructSpec) -> str:
    lines = [f"# {line}" for line in textwrap.wrap(head, _WIDTH - 2)]
    lines += ["", *_struct(spec, "", is_first=False)]
    return "".join(f"{line}\n" for line in lines).replace("\n\n\n", "\n\n")


def _struct(spec: StructSpec, indent: str, *, is_first: bool = True) -> Iterator[str]:
    for index, field in enumerate(spec.fields):
        if index or not is_first:
            yield ""
        room = max(_WIDTH - len(indent) * _TAB_WIDTH - 2, 40)
        for line in textwrap.wrap(documentation(field), room):
            yield f"{indent}# {line}"
        yield from _value(f"{indent}{field.field.name}:", field, field.type, indent)


def documentation(field: FieldSpec) -> str:
    """Return a field's text with what the declaration adds to it."""
    notes = []
    if not field.required:
        default = format_scalar(field.default) if field.type.is_scalar and field.default else ""
        notes.append(f"optional, default {default}" if default else "optional")
    if field.field.deprecated:
        notes.append("deprecated")
    if field.field.ours:
        notes.append("not in the reference")
    return f"{field.field.text} ({'; '.join(notes)})" if notes else field.field.text


def _value(start: str, field: FieldSpec, type_: Type, indent: str) -> Iterator[str]:
    """Yield the lines of a value; `start` is the key or dash with its indentation."""
    if type_.is_scalar:
        yield f"{start} {_scalar(field, type_)}".rstrip()
        return
    yield start
    below = indent + "\t"
    if type_.kind is Kind.STRUCT:
        assert type_.cls is not None
        yield from _struct(spec_of(type_.cls), below)
        return
    assert type_.element is not None
    start = f"{below}-" if type_.kind is Kind.LIST else f"{below}{field.field.key}:"
    yield from _value(start, field, type_.element, below)


def _scalar(field: FieldSpec, type_: Type) -> str:
    if field.field.example:
        return field.field.example
    if field.type.is_scalar:
        return format_scalar(field.default)
    return "" if type_.kind is Kind.TEXT else "0"


def reference(cls: type) -> str:
    """Return a Markdown list of all fields of a file."""
    return "\n".join(_rows(spec_of(cls), ""))


def _rows(spec: StructSpec, prefix: str) -> Iterator[str]:
    for field in spec.fields:
        path = f"{prefix}{field.field.name}"
        yield f"- `{path}` ({field.type.describe()}): {documentation(field)}"
        type_ = field.type
        while type_.element is not None:
            path += "[]" if type_.kind is Kind.LIST else ".*"
            type_ = type_.element
        if type_.cls is not None:
            yield from _rows(spec_of(type_.cls), f"{path}.")
