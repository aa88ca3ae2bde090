"""Records of a published store: their identity is read at once, scores and outcomes on first access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.trials.outcomes import SampleOutcomes, pack, unpack
from bench.trials.record import PackedOutcomes, Record

Decode = Callable[[str, int], Any]  # field, row → value
SAMPLES = "samples"  # the field of unpacked outcomes


class StoredRecord(Record):
    """A record whose large fields are decoded on first access. It equals the `Record` that it was made from."""

    def __getattr__(self, name: str) -> Any:
        """Decode a field that is not there yet."""
        if name not in type(self).model_fields or "_decode" not in self.__dict__:
            return super().__getattr__(name)  # type: ignore[misc]
        held = self.__dict__
        held[name] = self._packed() if name == "outcomes" else held["_decode"](name, held["_row"])
        return held[name]

    @classmethod
    def make(cls, values: dict[str, Any], decode: Decode, row: int) -> StoredRecord:
        """Return a record with these fields; `decode` returns the others."""
        record = cls.__new__(cls)
        values |= {"_decode": decode, "_row": row}
        for name, value in (
            ("__dict__", values),
            ("__pydantic_fields_set__", set()),
            ("__pydantic_extra__", None),
            ("__pydantic_private__", None),
        ):
            object.__setattr__(record, name, value)
        return record

    def samples(self) -> SampleOutcomes | None:
        """Return the per-sample outcomes, decoded again by every call."""
        found: SampleOutcomes | None = self.__dict__["_decode"](SAMPLES, self.__dict__["_row"])
        return found

    def _packed(self) -> PackedOutcomes | None:
        found = self.samples()
        return None if found is None else pack(*found)

    def whole(self) -> Record:
        """Return a plain record with all fields."""
        return Record.model_construct(**{name: getattr(self, name) for name in Record.model_fields})

    def __eq__(self, other: object) -> bool:
        """Compare all fields."""
        return self.whole() == (other.whole() if isinstance(other, StoredRecord) else other)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the plain record."""
        return Record.__new__, (Record,), self.whole().__getstate__()

    def __copy__(self) -> Record:  # type: ignore[override]
        """Return a plain record."""
        return self.whole()

    def model_copy(self, **options: Any) -> Record:  # type: ignore[override]
        """Return a plain record, changed as asked for."""
        return self.whole().model_copy(**options)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Return all fields as a dictionary."""
        return self.whole().model_dump(**options)

    def model_dump_json(self, **options: Any) -> str:
        """Return all fields as JSON."""
        return self.whole().model_dump_json(**options)

    def __repr__(self) -> str:
        """Show all fields."""
        return repr(self.whole())

    __str__ = __repr__


def samples_of(record: Record) -> SampleOutcomes | None:
    """Return the per-sample outcomes of a record of either store, or None where it has none."""
    if isinstance(record, StoredRecord):
        return record.samples()
    return None if record.outcomes is None else unpack(record)
