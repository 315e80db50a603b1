"""What is stored, the tables that declare it, and the writes that change it, as values. Nothing here does anything."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct, structs, to_builtins

from nexus.domain.core.errors import InvalidInput

Scalar = str | int
Key = tuple[Scalar, ...]
Item = dict[str, Any]
"""A row as a driver stores it: JSON values by field, joined index fields included, fields that are None left out."""

VALUE_BYTES = 64 * 1024
"""What the value of a field may weigh as JSON to lie in its row in every store: a larger one some of them keep beside it."""

ROW_BYTES = 400_000
"""What all such values of a row may weigh together: the narrowest of the stores sets the bound for all."""

LARGEST_ROW_BYTES = 4_000_000
"""What a row may weigh with its large values."""

MOST_LEVELS = 30
"""How many levels of lists and objects a row may nest: what nests deeper can be written by some code and be read by none."""

PLACE_BYTES = 1_024
"""What a text may weigh that is a key or a place in an index."""


class Row(Struct, frozen=True, kw_only=True):
    """Anything stored: a fact written once, or a tally."""


class Entity(Row, frozen=True, kw_only=True):
    """A row that changes; `revision` grows by one with every change and is its ETag."""

    revision: int = 0


R = TypeVar("R", bound=Row)
V = TypeVar("V", bound=Entity)


class Index(Struct, frozen=True):
    """Another order, of the rows that have all its fields. `partition` may join fields: "user_id+status"."""

    name: str
    partition: str
    sort: str
    keys_only: bool = False
    """The store copies no rows into the index; a page reads them by key."""

    @property
    def parts(self) -> list[str]:
        return self.partition.split("+")


class Table(Struct, Generic[R], frozen=True, dict=True):
    """One stored thing, declared once as a constant of its module.

    `key` is the partition, or partition and sort. `owner` names the field that must equal the caller's field of that name.
    `expires` names an `int` field, seconds since the epoch: a row past it is absent."""

    name: str
    row: type[R]
    key: tuple[str, ...]
    indexes: tuple[Index, ...] = ()
    owner: str | None = None
    expires: str | None = None

    def __post_init__(self) -> None:
        named = {field for field in (self.owner, self.expires, *self.key) if field}
        named |= {field for index in self.indexes for field in (*index.parts, index.sort)}
        if missing := named - self.fields.keys():
            raise TypeError(f"{self.name}: no field {sorted(missing)}")
        if self.expires and self.fields[self.expires] is not int:
            raise TypeError(f"{self.name}: {self.expires} must be int, and nothing else")

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The type of each field."""
        return {field.name: field.type for field in structs.fields(self.row)}

    @cached_property
    def places(self) -> frozenset[str]:
        """The fields whose value is a place in some order, joined ones included."""
        ordered = {field for index in self.indexes for field in (*index.parts, index.partition, index.sort)}
        return frozenset(ordered.union(self.key))

    @cached_property
    def joins(self) -> tuple[Index, ...]:
        """The indexes whose partition joins fields."""
        return tuple(index for index in self.indexes if "+" in index.partition)

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[R]:
        return msgspec.json.Decoder(self.row)

    def get_index(self, name: str) -> Index:
        for index in self.indexes:
            if index.name == name:
                return index
        raise KeyError(f"{self.name} has no index {name}")

    def get_row_key(self, row: R) -> Key:
        return tuple(getattr(row, field) for field in self.key)

    def encode_row(self, row: R) -> Item:
        """The row as stored. InvalidInput when no store could hold it; msgspec.ValidationError when it could not be read back."""
        try:
            item = {field: value for field, value in to_builtins(row, str_keys=True).items() if value is not None}
        except RecursionError as error:
            raise InvalidInput("What is nested so deep cannot be stored", table=self.name) from error
        for index in self.joins:
            if all(part in item for part in index.parts):
                item[index.partition] = join_index_values([item[part] for part in index.parts])
        if unfit := [field for field in self.places if field in item and not is_indexable_value(item[field])]:
            unfit.sort()
            raise InvalidInput(f"{', '.join(unfit)}: empty, too long or broken", table=self.name, fields=unfit)
        try:
            encoded = msgspec.json.encode(item)
        except UnicodeEncodeError as error:
            raise InvalidInput("Text that is not Unicode cannot be stored", table=self.name) from error
        if len(encoded) > ROW_BYTES:
            _check_row_size(item, self.name)
        if encoded.count(b"[") + encoded.count(b"{") > MOST_LEVELS and is_nested_deeper_than(item, MOST_LEVELS):
            raise InvalidInput("What is nested so deep cannot be stored", table=self.name)
        self._decoder.decode(encoded)
        return item


Place = tuple[Table[Any], Key]
"""Where a row is kept."""


class Below(Struct, frozen=True):
    """In a condition: absent, or less than the bound."""

    bound: Scalar


class When(Struct, frozen=True):
    """What must hold of the stored row, or nothing is written."""

    exists: bool | None = None
    fields: Mapping[str, tuple[Scalar | None, ...]] = {}
    """The stored value is one of these; None stands for absent."""
    below: Mapping[str, Scalar] = {}


class Write(Struct, frozen=True):
    """One change of one row, made by the functions below and applied by `Tables.commit`."""

    verb: Literal["put", "patch", "tally", "delete", "check"]
    table: Table[Any]
    key: Key
    fields: Item = {}
    """put: the whole row; patch: what changes, None removes."""
    add: Mapping[str, int] = {}
    when: When = When()


def when(**fields: Scalar | tuple[Scalar | None, ...] | Below | None) -> When:
    """`when(status=("queued", "pending"), fence=3, worker_id=None, not_before=Below(now))`"""
    allowed, below = dict[str, tuple[Scalar | None, ...]](), dict[str, Scalar]()
    for field, value in fields.items():
        if isinstance(value, Below):
            below[field] = value.bound
        elif value == ():
            raise ValueError(f"{field}: one of no values can never hold")
        else:
            allowed[field] = value if isinstance(value, tuple) else (value,)
    compared = [*below.values(), *(one for some in allowed.values() for one in some if one is not None)]
    if any(isinstance(one, str) and len(one) > PLACE_BYTES for one in compared):
        raise ValueError("a condition compares short values: large ones are not in the row of every store")
    return When(fields=allowed, below=below)


def insert(table: Table[R], row: R) -> Write:
    """A new row. AlreadyExists when there is one of that key."""
    return Write("put", table, table.get_row_key(row), table.encode_row(row), when=When(exists=False))


def replace(table: Table[V], row: V) -> Write:
    """All fields of `row`, if nobody wrote since it was read. Stored fields that this code does not know survive."""
    changing = [field for field in table.fields if field != "revision" and field not in table.key]
    return patch(table, row, **{field: getattr(row, field) for field in changing})


def patch(table: Table[V], row: V, condition: When | None = None, /, **fields: object) -> Write:
    """Some fields of the row that was read, if the condition holds; without one, if nobody wrote since."""
    if fixed := fields.keys() & {"revision", *table.key}:
        raise TypeError(f"{table.name}: a patch does not change {sorted(fixed)}")
    item = table.encode_row(structs.replace(row, **fields))
    condition = when(revision=row.revision) if condition is None else condition
    _check_field_names(table, condition)
    changes, guards = {field: item.get(field) for field in fields}, dict(condition.fields)
    for index in table.joins:
        if not changes.keys().isdisjoint(index.parts):
            changes[index.partition] = item.get(index.partition)
            as_read = {part: (getattr(row, part),) for part in index.parts if part not in changes}
            guards = as_read | guards
    return Write("patch", table, table.get_row_key(row), changes, {"revision": 1}, When(True, guards, condition.below))


def tally(table: Table[R], key: Key, condition: When = When(), /, **add: int) -> Write:
    """Adds to the counters of a row, made on first use. Commit it together with the insert of what it counts."""
    if not add.keys() <= table.fields.keys():
        raise TypeError(f"{table.name}: no field {sorted(add.keys() - table.fields.keys())}")
    _check_field_names(table, condition)
    if not all(map(is_indexable_value, key)):
        raise InvalidInput("A key that is empty, too long or broken", table=table.name)
    return Write("tally", table, key, add=add, when=condition)


def check(table: Table[V], row: V, condition: When | None = None, /) -> Write:
    """Changes nothing; the commit holds only if the condition does: without one, if nobody wrote since the row was read."""
    condition = when(revision=row.revision) if condition is None else condition
    _check_field_names(table, condition)
    return Write("check", table, table.get_row_key(row), when=structs.replace(condition, exists=True))


def delete(table: Table[R], row: R, condition: When = When(), /) -> Write:
    """Quiet when there is no such row; Stale when there is one of which the condition does not hold."""
    _check_field_names(table, condition)
    return Write("delete", table, table.get_row_key(row), when=condition)


def is_condition_met(write: Write, row: Item | None) -> bool:
    """Whether a write's condition holds of the stored row: the meaning of `When`, for drivers that have the row in hand."""
    values, condition = row or {}, write.when
    if write.verb == "delete" and row is None:
        return True
    return (
        (condition.exists is None or condition.exists == (row is not None))
        and all(values.get(field) in allowed for field, allowed in condition.fields.items())
        and all(values.get(field) is None or values[field] < bound for field, bound in condition.below.items())
    )


def apply_write(write: Write, row: Item | None) -> Item | None:
    """What a write makes of the stored row: the meaning of `Write`."""
    match write.verb:
        case "delete":
            return None
        case "check":
            return row
        case "put":
            return write.fields
    changed = {**(row or dict(zip(write.table.key, write.key, strict=True))), **write.fields}
    changed |= {field: changed.get(field, 0) + count for field, count in write.add.items()}
    return {field: value for field, value in changed.items() if value is not None}


def join_index_values(parts: Sequence[Scalar]) -> str:
    """Several values as one text, such that no two lists of values look alike."""
    return msgspec.json.encode(parts).decode()


def is_indexable_value(value: Scalar) -> bool:
    """Whether every store can keep the value as a key or in an index, and so whether a row can have it there at all."""
    if not isinstance(value, str):
        return -(2**63) <= value < 2**63
    try:
        size = len(value) if value.isascii() else len(value.encode())
        return 0 < size <= PLACE_BYTES and "\0" not in value
    except UnicodeEncodeError:
        return False


def is_nested_deeper_than(value: object, levels: int) -> bool:
    """Whether lists and objects lie in one another more than so many levels deep."""
    level = [value]
    for _ in range(levels + 1):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [one for some in inner for one in some]
        if not inner:
            return False
    return True


def measure_value(value: object) -> int:
    """What it weighs as JSON, in bytes."""
    return len(msgspec.json.encode(value))


def _check_row_size(item: Item, table: str) -> None:
    sizes = [measure_value(value) for value in item.values()]
    inside = sum(size for size in sizes if size <= VALUE_BYTES)
    for size, limit in ((inside, ROW_BYTES), (sum(sizes), LARGEST_ROW_BYTES)):
        if size > limit:
            raise InvalidInput(f"{size} bytes are more than a row can hold", table=table, limit=limit)


def _check_field_names(table: Table[Any], condition: When) -> None:
    known = table.fields.keys()
    if not (condition.fields.keys() <= known and condition.below.keys() <= known):
        raise TypeError(f"{table.name}: no field {sorted({*condition.fields, *condition.below} - known)}")
