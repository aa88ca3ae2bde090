"""Check what needs no fit of the method: its name, docstring, source, Config, and the ranges for a search."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bench.check.result import Violation
from bench.check.subject import Subject
from bench.method import Fidelity, Method
from bench.trials.identity import stated_version


def loads(subject: Subject) -> None:
    """Import the class."""
    if not (isinstance(subject.cls, type) and issubclass(subject.cls, Method)):
        raise Violation(f"{subject.cls!r} is not a method: derive a class from bench.method.Method and register that.")


def named(subject: Subject) -> str:
    """Check name and docstring, and return what its version means."""
    cls, name = subject.cls, getattr(subject.cls, "name", None)
    if not isinstance(name, str) or not name:
        raise Violation(f"{cls.__name__} has no name: set the class variable name to what users type.")
    summary = (cls.__doc__ or "").strip().partition("\n")[0].strip()
    if not summary:
        raise Violation(
            f"{cls.__name__} has no docstring: give it one whose first line says what the method does and names its "
            "paper; `bench list` shows that line."
        )
    if len(summary) > 140:
        raise Violation(f"The docstring's first line has {len(summary)} characters: shorten it to at most 140.")
    if (version := stated_version(cls)) is None:
        return "No version of its own: after an edit of the code all points run again."
    return f"Version {version}: raise it when numbers may change."


def sourced(subject: Subject) -> str:
    """Check the fields of `fidelity`, and return the source."""
    cls = subject.cls
    found = cls.fidelity
    if not isinstance(found, Fidelity):
        raise Violation(
            f"{cls.__name__} does not say where it comes from: set the class variable fidelity to a "
            "bench.method.Fidelity (`bench new method` writes an example)."
        )
    for name, hint in get_type_hints(Fidelity).items():
        value, valid = getattr(found, name), get_args(hint)
        if valid and value not in valid:
            raise Violation(f"fidelity.{name} is {value!r}: give one of {', '.join(map(repr, valid))}.")
        if not valid and not (isinstance(value, hint) and str(value).strip()) and name != "link":
            raise Violation(f"fidelity.{name} is {value!r}: give {'a year' if hint is int else 'a text'}.")
    if not str(found.link).startswith("https://") and (found.link or found.basis != "our own"):
        raise Violation(f"fidelity.link is {found.link!r}: give an https:// address (empty only for 'our own').")
    return found.citation


def configured(subject: Subject) -> None:
    """Check the Config."""
    config = getattr(subject.cls, "Config", None)
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise Violation("Config must be a dataclass: decorate it with @dataclass(frozen=True).")
    if not config.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise Violation(f"{config.__name__} is mutable: decorate it with @dataclass(frozen=True).")
    for f in dataclasses.fields(config):
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise Violation(f"{config.__name__}.{f.name} has no default: it must run without any parameter.")
    default = config()
    try:
        hash(default)
        json.dumps(dataclasses.asdict(default))
    except TypeError as error:
        raise Violation(
            f"{config.__name__} cannot be hashed and written to JSON ({error}): use only numbers, strings, booleans, "
            "None and tuples of them as fields."
        ) from None
    _readable(config, default)


def _readable(config: type, default: Any) -> None:
    from pydantic import TypeAdapter, ValidationError

    hints = get_type_hints(config)
    for f in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(default, f.name)
        try:
            TypeAdapter(hints[f.name]).validate_python(value)
        except ValidationError as error:
            raise Violation(
                f"The default of {config.__name__}.{f.name}, {value!r}, is not of its annotated type: "
                f"{error.errors()[0]['msg']}. Change the default or the annotation."
            ) from None


def ranges(subject: Subject) -> str:
    """Check the ranges that fields declare with `bench.plugins.params.tunable`."""
    config, hints = subject.cls.Config, get_type_hints(subject.cls.Config)
    tuned = [f for f in dataclasses.fields(config) if "tune" in f.metadata]
    for f in tuned:
        _range(config, f, hints[f.name])
    return f"{len(tuned)} tunable" + (f": {', '.join(f.name for f in tuned)}" if tuned else "")


def _range(config: type, f: dataclasses.Field, hint: Any) -> None:
    low, high, log = (f.metadata["tune"].get(key) for key in ("low", "high", "log"))
    where = f"{config.__name__}.{f.name}"
    if low is None and high is None:
        choices = [bool if hint is bool else get_origin(part) for part in (hint, *get_args(hint))]
        if not ({bool, Literal} & set(choices)):
            raise Violation(f"{where} is tunable without a range: give low and high, or make it a Literal or bool.")
        return
    if low is None or high is None or not low < high:
        raise Violation(f"The range of {where} is {low} … {high}: give a low below a high.")
    if log and low <= 0:
        raise Violation(f"The range of {where} is logarithmic but starts at {low}: start it above 0.")
    default = f.default
    if isinstance(default, int | float) and not low <= default <= high:
        raise Violation(f"The default of {where}, {default}, is outside its range {low} … {high}: widen the range.")
    if isinstance(default, int) and not (isinstance(low, int) and isinstance(high, int)):
        raise Violation(f"{where} is an integer but its range is {low} … {high}: give integers.")
    for end in (low, high):
        try:
            config(**{f.name: end})
        except ValueError as error:
            raise Violation(
                f"A search may set {where} to {end}, which its Config rejects ({error}): narrow the range."
            ) from None
