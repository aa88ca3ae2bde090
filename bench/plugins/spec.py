"""The syntax that selects a plugin, `name[param=value,…]` or `family:argument[param=value]`, and its checks.

An argument or a value may be a path. An existing path may contain commas and brackets; any other text with these must
be quoted: `folder:"my,images"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from bench.errors import UserError, nearest
from bench.system.paths import exists

_NAME = re.compile(r"[A-Za-z0-9_.\-]+")
_SPECIAL = re.compile(r"[,\[\]]")
_QUOTES = "\"'"


@dataclass(frozen=True)
class Spec:
    """A registered name, the argument after its colon (a path, a hub name) and its parameters, all as text."""

    name: str
    argument: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        colon = f":{_quoted(self.argument)}" if self.argument else ""
        params = ",".join(f"{k}={v}" for k, v in sorted(self.params.items()))
        return f"{self.name}{colon}" + (f"[{params}]" if params else "")


def split_list(text: str) -> list[str]:
    """Split at the commas outside brackets, quotes and existing paths: `a[x=1,y=2],b` gives `a[x=1,y=2]` and `b`."""
    parts, depth, start, i = [], 0, 0, 0
    while i < len(text):
        c = text[i]
        depth += (c == "[") - (c == "]")
        if depth < 0:
            raise UserError(f"'{text}' has a ']' without a '['. {_HOW}")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
        i = _end(text, i + 1) if c in ":=" else i + 1
    if depth:
        raise UserError(f"'{text}' has a '[' that is never closed. {_HOW}")
    return [p.strip() for p in [*parts, text[start:]] if p.strip()]


def split_paths(text: str) -> list[str]:
    """Split paths at the commas outside quotes and existing paths."""
    parts, rest = [], text.strip()
    while rest:
        end = _end(rest, 0)
        while end < len(rest) and rest[end] != ",":
            end += 1
        parts.append(_unquoted(rest[:end].strip()))
        rest = rest[end + 1 :].strip()
    return [part for part in parts if part]


_HOW = 'Put a path that has commas or brackets into quotes: folder:"a,b[1]".'


def _end(text: str, start: int) -> int:
    """Return where the quoted text or existing path that begins at `start` ends; `start` if there is none."""
    quote = text[start : start + 1]
    if quote and quote in _QUOTES:
        close = text.find(quote, start + 1)
        return close + 1 if close > 0 else start
    ends = [found.start() for found in _SPECIAL.finditer(text, start)]
    return next((end for end in _longest(ends, len(text)) if exists(text[start:end].strip())), start)


def _longest(ends: list[int], whole: int) -> Iterator[int]:
    """Yield where an argument with special characters may end, the longest first."""
    yield from (end for end in reversed([*ends[1:], whole]) if ends and end > ends[0])


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0] else text


def _quoted(text: str) -> str:
    if not _SPECIAL.search(text) and text[0] not in _QUOTES:
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def parse(text: str) -> Spec:
    """Parse one spec; raise UserError if the text is not one."""
    text = text.strip()
    name = _NAME.match(text)
    rest = text[name.end() :] if name else ""
    argument, rest = _argument(rest[1:]) if rest[:1] == ":" else (None, rest)
    if not name or argument == "" or (rest and not (rest[0] == "[" and rest[-1] == "]")):
        raise UserError(f"'{text}' is not a name. Write name, name[param=value,…] or family:argument. {_HOW}")
    params: dict[str, str] = {}
    for item in split_list(rest[1:-1]):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            how = f" {_HOW}" if argument else ""
            raise UserError(f"'{item}' in '{text}' is not a parameter. Write {name[0]}[param=value].{how}")
        if key.strip() in params:
            raise UserError(f"Parameter '{key.strip()}' is given twice in '{text}'.")
        params[key.strip()] = _unquoted(value.strip())
    return Spec(name[0], argument, params)


def _argument(text: str) -> tuple[str, str]:
    """Split the text after a colon into the argument and the brackets that follow it."""
    end = _end(text, 0) or next((found.start() for found in re.finditer(r"[\[\]]", text)), len(text))
    return _unquoted(text[:end].strip()), text[end:].strip()


def typed(owner: str, params: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Convert parameter texts to the annotated types of `fields` (name → annotation).

    Raises UserError with the nearest valid name for an unknown parameter, or what the type allows for a bad value.
    """
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    values = {}
    for key, text in params.items():
        if key not in fields:
            has = nearest(key, fields) if fields else f" {owner} takes no parameters."
            raise UserError(f"'{owner}' has no parameter '{key}'.{has}")
        try:
            adapter = TypeAdapter(fields[key])
            values[key] = adapter.validate_python(None if _means_none(text, fields[key]) else plain_number(text))
        except ValidationError as error:
            detail = error.errors()[0]["msg"]
            raise UserError(f"'{text}' is not a valid value for parameter '{key}' of '{owner}': {detail}.") from None
        except ValueError as error:
            raise UserError(f"'{text}' is not a valid value for parameter '{key}' of '{owner}': {error}.") from None
        except PydanticUserError:
            raise UserError(f"Parameter '{key}' of '{owner}' cannot be given as text. Leave it out.") from None
    return values


def plain_number(value: Any) -> Any:
    """Return a value as it is; raise ValueError for a text such as `0-3`, which pydantic would read as -3."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0_]+[+-][\d_]+\s*", value):
        raise ValueError("it is not a number")
    return value


def _means_none(text: str, annotation: Any) -> bool:
    """Return whether the text means None: the parameter may be None, and `none` is not one of its words."""
    parts = [annotation, *get_args(annotation)]
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    return text == "none" and type(None) in parts and "none" not in words
