"""From the syntax tree to the dataclasses: types, unknown fields, missing fields.

Nothing is raised. A field that cannot be read is reported, marked as bad, and gets the value that
it has when absent, so that the rest can still be checked.
"""

from __future__ import annotations

import difflib
from typing import TypeVar

from mox import sconf
from mox.config.report import FieldPath, Report
from mox.config.scalars import parse_scalar
from mox.config.schema import FieldSpec, Kind, StructSpec, Type, Value, spec_of, zero

T = TypeVar("T")


def decode(cls: type[T], report: Report) -> T:
    """Make a value of the dataclass out of the report's document, and report what is wrong."""
    for fault in report.document.faults:
        report.add_error((), fault.message, fault.line)
    value = _struct(report, spec_of(cls), report.document.root, (), 1)
    assert isinstance(value, cls)
    return value


def _struct(
    report: Report, spec: StructSpec, block: sconf.Block, path: FieldPath, line: int
) -> Value:
    values: dict[str, Value] = {}
    for node in block.nodes:
        assert node.key is not None
        field = spec.by_name.get(node.key)
        if field is None:
            report.add_error((*path, node.key), _unknown(node.key, spec), node.line)
            continue
        values[field.attribute] = _field(report, field, node, (*path, node.key))
    for field in spec.fields:
        if field.required and field.attribute not in values:
            report.add_error((*path, field.field.name), "required field is missing", line)
            report.bad.add((*path, field.field.name))
            values[field.attribute] = zero(field.type)
    return spec.cls(**values)


def _unknown(key: str, spec: StructSpec) -> str:
    if key != key.lstrip() and key.strip() in spec.by_name:
        return "unknown field: indent with tabs, not spaces"
    similar = difflib.get_close_matches(key[:80], spec.by_name, n=1)
    return f"unknown field, did you mean {similar[0]}?" if similar else "unknown field"


def _field(report: Report, field: FieldSpec, node: sconf.Node, path: FieldPath) -> Value:
    value = _value(report, field.type, node, path)
    if value is None:
        return zero(field.type) if field.required else field.default
    # An optional field that is written as 0 or empty means its default.
    if not value and not field.required and field.type.is_scalar and not field.field.explicit_zero:
        return field.default
    return value


def _value(report: Report, type_: Type, node: sconf.Node, path: FieldPath) -> Value | None:
    """Read a value; None after reporting that it cannot be read."""
    try:
        block = _check_form(type_, node)
        if block is None:
            return parse_scalar(type_.kind, node.value)
    except ValueError as err:
        report.add_error(path, str(err), node.line)
        report.bad.add(path)
        return None
    if type_.kind is Kind.STRUCT:
        assert type_.cls is not None
        return _struct(report, spec_of(type_.cls), block, path, node.line)
    if type_.kind is Kind.MAP:
        return _map(report, type_, block, path)
    return _list(report, type_, block, path)


def _check_form(type_: Type, node: sconf.Node) -> sconf.Block | None:
    """Return the block of a composite, None for a scalar. Raises ValueError when it is neither."""
    block = node.block
    if type_.is_scalar:
        if block is not None:
            raise ValueError(f"expected {type_.kind.value} on the same line, not lines below")
        return None
    if block is None:
        found = f", not {node.value[:80]!r}" if node.value else ""
        raise ValueError(f"expected {type_.describe()} on the lines below, one tab deeper{found}")
    if block.nodes and block.is_list != (type_.kind is Kind.LIST):
        raise ValueError(
            f"expected {type_.describe()}, not {'a list' if block.is_list else 'keys'}"
        )
    return block


def _map(report: Report, type_: Type, block: sconf.Block, path: FieldPath) -> Value:
    assert type_.element is not None
    entries: dict[str, Value] = {}
    for node in block.nodes:
        assert node.key is not None
        if node.block is None and node.value == sconf.NIL:
            entries[node.key] = zero(type_.element)
            _require_nothing(report, type_.element, (*path, node.key), node.line)
            continue
        value = _value(report, type_.element, node, (*path, node.key))
        entries[node.key] = zero(type_.element) if value is None else value
    return entries


def _require_nothing(report: Report, type_: Type, path: FieldPath, line: int) -> None:
    """Report the required fields of an entry that is `nil`."""
    if type_.cls is not None:
        _struct(report, spec_of(type_.cls), sconf.Block(), path, line)


def _list(report: Report, type_: Type, block: sconf.Block, path: FieldPath) -> Value:
    assert type_.element is not None
    items = []
    for index, node in enumerate(block.nodes):
        value = _value(report, type_.element, node, (*path, index))
        items.append(zero(type_.element) if value is None else value)
    return tuple(items)
