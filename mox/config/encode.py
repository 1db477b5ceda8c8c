"""From the dataclasses to the file: as plain text and blocks, and as changes of a tree.

Fields with their default are left out. `update` changes only what differs between two values, so
comments, order and explicit defaults elsewhere stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mox import sconf
from mox.config.scalars import format_scalar
from mox.config.schema import FieldSpec, Kind, StructSpec, Type, Value, spec_of


def encode(value: Value) -> dict[str, sconf.Plain]:
    """Return the fields of a block for `sconf.Document.set`."""
    return _fields(spec_of(type(value)), value)


def update(document: sconf.Document, old: Value, new: Value) -> None:
    """Change a document that was decoded to `old` so that it decodes to `new`.

    Raises `sconf.SconfError` when a value cannot be written, such as text with a newline.
    """
    _update_struct(document.root, spec_of(type(new)), old, new)


def _fields(spec: StructSpec, value: Value) -> dict[str, sconf.Plain]:
    return {
        field.field.name: _plain(field.type, getattr(value, field.attribute))
        for field in spec.fields
        if not _is_absent(field, getattr(value, field.attribute))
    }


def _is_absent(field: FieldSpec, value: Value) -> bool:
    return not field.required and (value is None or value == field.default)


def _plain(type_: Type, value: Value) -> sconf.Plain:
    if type_.cls is not None:
        spec = spec_of(type_.cls)
        # A block cannot be empty: one field is written although it has its default.
        return _fields(spec, value) or _first_field(spec, value)
    if isinstance(value, Mapping):
        assert type_.element is not None
        return {key: _entry(type_.element, entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        assert type_.element is not None
        return [_plain(type_.element, item) for item in value]
    return format_scalar(value)


def _first_field(spec: StructSpec, value: Value) -> dict[str, sconf.Plain]:
    field = next(field for field in spec.fields if field.type.kind not in (Kind.MAP, Kind.LIST))
    return {field.field.name: _plain(field.type, getattr(value, field.attribute))}


def _entry(type_: Type, value: Value) -> sconf.Plain:
    """Encode an entry of a map: `nil` for a block with nothing set."""
    if type_.cls is not None:
        return _fields(spec_of(type_.cls), value) or sconf.NIL
    plain = _plain(type_, value)
    if plain == sconf.NIL:
        raise sconf.SconfError(f"{sconf.NIL!r} cannot be the value of an entry")
    return plain


def _update_struct(block: sconf.Block, spec: StructSpec, old: Value, new: Value) -> None:
    for field in spec.fields:
        before, after = getattr(old, field.attribute), getattr(new, field.attribute)
        if before is after or before == after:
            continue
        node = block.find(field.field.name)
        if _is_absent(field, after):
            if node is not None:
                sconf.remove_node(block, node)
            continue
        if node is None:
            node = _insert(block, spec, field)
        _update_value(node, field.type, before, after)


def _insert(block: sconf.Block, spec: StructSpec, field: FieldSpec) -> sconf.Node:
    """Add a field after the one that comes before it in the declaration, or first."""
    positions = {present.key: index + 1 for index, present in enumerate(block.nodes)}
    names = [candidate.field.name for candidate in spec.fields]
    earlier = reversed(names[: names.index(field.field.name)])
    position = next((positions[name] for name in earlier if name in positions), 0)
    node = sconf.make_node(field.field.name)
    block.nodes.insert(position, node)
    return node


def _update_value(node: sconf.Node, type_: Type, old: Value, new: Value) -> None:
    block = node.block
    if type_.cls is not None and block is not None and type(old) is type(new):
        _update_struct(block, spec_of(type_.cls), old, new)
        if not block.nodes:
            sconf.fill(node, _plain(type_, new))
    elif isinstance(new, Mapping) and block is not None and isinstance(old, Mapping) and new:
        assert type_.element is not None
        _update_map(block, type_.element, old, new)
    elif isinstance(new, tuple) and block is not None and isinstance(old, tuple) and new:
        assert type_.element is not None
        _update_list(block, type_.element, old, new)
    else:
        sconf.fill(node, _plain(type_, new))


def _update_map(
    block: sconf.Block, type_: Type, old: Mapping[str, Value], new: Mapping[str, Value]
) -> None:
    nodes = {node.key: node for node in block.nodes}
    for key in old.keys() - new.keys():
        if key in nodes:
            sconf.remove_node(block, nodes[key])
    for key, value in new.items():
        if key in old and (old[key] is value or old[key] == value):
            continue
        node = nodes.get(key)
        if node is None:
            node = sconf.make_node(key)
            block.nodes.append(node)
        if key in old and node.block is not None and _entry(type_, value) != sconf.NIL:
            _update_value(node, type_, old[key], value)
        else:
            sconf.fill(node, _entry(type_, value))


def _update_list(
    block: sconf.Block, type_: Type, old: Sequence[Value], new: Sequence[Value]
) -> None:
    """Keep the items that are equal at both ends; what is between them is filled anew."""
    if type_.is_scalar:
        sconf.fill_items(block, [_plain(type_, item) for item in new])
        return
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    nodes = block.nodes[head : len(block.nodes) - tail]
    values = new[head : len(new) - tail]
    for node in nodes[len(values) :]:
        sconf.remove_node(block, node)
    for index, value in enumerate(values):
        if index < len(nodes):
            _update_value(nodes[index], type_, old[head + index], value)
        else:
            node = sconf.make_node(None)
            sconf.fill(node, _plain(type_, value))
            block.nodes.insert(head + index, node)
