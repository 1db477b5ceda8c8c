"""How the fields of the two files are declared, and the declaration in a form to work with.

A block of the configuration is a frozen dataclass. Each attribute is annotated with its type
and a `Field`, which has the name in the file and the documentation:

    port: Annotated[int, Field("Port", "TCP port to listen on.")] = 25

An attribute without default is a required field. A zero value (0, "", nothing) written for an
optional field means its default, unless `explicit_zero` says otherwise. `spec_of` turns a class
into the tables that the decoder, the writer and the documentation share.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Annotated, Union, get_args, get_origin, get_type_hints

# The value of any field, as the dataclasses hold it.
Value = object


@dataclass(frozen=True, slots=True)
class Field:
    """Declaration of one field: its name in the file and what an administrator should know."""

    name: str
    text: str
    # Shown in the annotated example instead of the default.
    example: str = ""
    # Name of the entry that the annotated example shows, for maps.
    key: str = "x"
    # Writing 0 is different from leaving the field out.
    explicit_zero: bool = False
    # Does not exist in the reference, which will not load a file that has it.
    ours: bool = False
    deprecated: bool = False


class Kind(Enum):
    """What a value looks like in the file."""

    BOOL = "true or false"
    INT = "integer"
    FLOAT = "number"
    TEXT = "text"
    DURATION = "duration"
    STRUCT = "fields"
    MAP = "map"
    LIST = "list"


SCALARS = frozenset({Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.TEXT, Kind.DURATION})


@dataclass(frozen=True, slots=True)
class Type:
    """Type of a field, entry or item; `element` for lists and maps, `cls` for structs."""

    kind: Kind
    element: Type | None = None
    cls: type | None = None

    @property
    def is_scalar(self) -> bool:
        return self.kind in SCALARS

    def describe(self) -> str:
        """Name the type for documentation."""
        if self.element is not None:
            return f"{self.kind.value} of {self.element.describe()}"
        return self.kind.value


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A declared field with what follows from its annotation."""

    attribute: str
    field: Field
    type: Type
    required: bool
    default: Value  # the zero value for required fields


@dataclass(frozen=True, slots=True)
class StructSpec:
    """All fields of one block, in the order in which they are written."""

    cls: type
    fields: tuple[FieldSpec, ...]
    by_name: Mapping[str, FieldSpec]


_SCALAR_KINDS = {
    bool: Kind.BOOL,
    int: Kind.INT,
    float: Kind.FLOAT,
    str: Kind.TEXT,
    timedelta: Kind.DURATION,
}
_ZERO: dict[Kind, Value] = {
    Kind.BOOL: False,
    Kind.INT: 0,
    Kind.FLOAT: 0.0,
    Kind.TEXT: "",
    Kind.DURATION: timedelta(),
    Kind.LIST: (),
}


def zero(type_: Type) -> Value:
    """Return what a field of this type holds when nothing is configured."""
    if type_.kind is Kind.MAP:
        return {}
    if type_.kind is not Kind.STRUCT:
        return _ZERO[type_.kind]
    assert type_.cls is not None
    return type_.cls(**{spec.attribute: spec.default for spec in spec_of(type_.cls).fields})


def spec_of(cls: type) -> StructSpec:
    """Return the compiled declaration of a block."""
    return _compile(cls)


@cache
def _compile(cls: type) -> StructSpec:
    hints = get_type_hints(cls, include_extras=True)
    fields = tuple(
        _field_spec(field, hints[field.name])
        for field in dataclasses.fields(cls)
        if get_origin(hints[field.name]) is Annotated
    )
    return StructSpec(cls, fields, {spec.field.name: spec for spec in fields})


def _field_spec(field: dataclasses.Field[Value], hint: Value) -> FieldSpec:
    annotated, declared = get_args(hint)
    assert isinstance(declared, Field)
    type_ = _type_of(annotated)
    if field.default is not dataclasses.MISSING:
        return FieldSpec(field.name, declared, type_, False, field.default)
    if field.default_factory is not dataclasses.MISSING:
        return FieldSpec(field.name, declared, type_, False, field.default_factory())
    return FieldSpec(field.name, declared, type_, True, zero(type_))


def _type_of(hint: Value) -> Type:
    """Translate an annotation. `X | None` is X: None stands for an absent optional block."""
    if isinstance(hint, type) and hint in _SCALAR_KINDS:
        return Type(_SCALAR_KINDS[hint])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return _type_of(arguments[0])
    if origin is tuple:
        return Type(Kind.LIST, element=_type_of(arguments[0]))
    if origin is Mapping:
        return Type(Kind.MAP, element=_type_of(arguments[1]))
    assert isinstance(hint, type), hint
    return Type(Kind.STRUCT, cls=hint)
