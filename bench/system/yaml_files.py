"""Read YAML files strictly: limited size, UTF-8, unique keys, and no implicit conversion of values."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError

if TYPE_CHECKING:
    from yaml import Node, SafeLoader

LIMIT = 1 << 18  # bytes of a file of settings
DEPTH = 50


class NotYaml(UserError):
    """A file that is not the YAML it should be."""


def read_yaml(path: Path, what: str, *, limit: int = LIMIT, typed: bool = False) -> Any:
    """Return the content of a YAML file; every scalar is the text in the file, and `null` or an empty value is None.

    So `no`, `on`, `010`, `1e2` and `12:30` mean the same as on the command line: the caller converts text to numbers
    and flags. With `typed`, which is for files that this project writes, scalars have YAML's types.
    limit: maximum size in bytes. Raises NotYaml for a file that cannot be read, is not UTF-8, is too large, has
    a key twice, or is not YAML.
    """
    text = _text(path, what, limit)
    import yaml

    try:
        loader = _loader(typed)(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > len(text) + 1:
            raise NotYaml(f"The {what} '{path}' becomes too large when its aliases are expanded. Write values out.")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise NotYaml(f"The {what} '{path}' is not valid YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise NotYaml(f"The {what} '{path}' is nested too deeply or recursive. Write plain settings.") from None
    except ValueError as error:  # a number that YAML's types cannot hold
        raise NotYaml(f"The {what} '{path}' is not valid YAML: {error}.") from None


def _text(path: Path, what: str, limit: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise NotYaml(f"The {what} '{path}' cannot be read ({error.strerror}).") from None
    if len(content) > limit:
        raise NotYaml(f"The {what} '{path}' is larger than the limit of {limit >> 10:,} KiB. Give another file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        looks = "it looks like UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else f"line {line} has other bytes"
        raise NotYaml(f"The {what} '{path}' is not UTF-8 text: {looks}. Save it as UTF-8.") from None


def _size(node: Node, known: dict[int, int], depth: int = 0) -> int:
    """Count the values of a node as if every alias were written out."""
    if depth > DEPTH:
        raise RecursionError
    if id(node) not in known:
        held = node.value if isinstance(node.value, list) else []
        parts = [part for item in held for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_size(part, known, depth + 1) for part in parts)
    return known[id(node)]


@cache
def _loader(typed: bool) -> type[SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' is given twice", key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    if not typed:
        merge = yaml.SafeLoader.yaml_implicit_resolvers["<"]
        Loader.yaml_implicit_resolvers = {"<": merge}
        Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:null|Null|NULL|)$"), ["n", "N", ""])
    return Loader
