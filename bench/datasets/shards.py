"""Group the table files in a folder by split, from their names, and check that shards are complete."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePath

from bench.datasets.roles import Role, assign, parts_of, role
from bench.errors import UserError
from bench.system.files import leads_back

BUILDERS = {".parquet": "parquet", ".tar": "webdataset"}  # reader of each kind; the first kind present is used
_SHARD = re.compile(r"(?P<stem>.*?)[-_. ]?(?P<number>\d+)(?:[-_]of[-_](?P<total>\d+))?(?:-[0-9a-f]{16})?")


def table_files(path: Path) -> list[Path]:
    """Return the parquet files in a folder, else its tar files; hidden files and folders are skipped."""
    found = sorted(_below(path, (path.resolve(),)))
    of = {suffix: [file for file in found if file.suffix == suffix and file.is_file()] for suffix in BUILDERS}
    return next((files for files in of.values() if files), [])


def _below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files in a folder at any depth; links to folders are followed, except circular ones."""
    for path in folder.iterdir():
        if path.name.startswith((".", "__")):
            continue
        if not path.is_dir():
            yield path
        elif not leads_back(str(real := path.resolve()), map(str, above)):
            yield from _below(path, (*above, real))


def grouped(where: str, base: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Group files by the split in their names or folders; one group if there is none."""
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(_title(where, file.relative_to(base)), []).append(file)
    groups = found if any(role(title) for title in found) else {"train": list(files)}
    for title, several in groups.items():
        folders = sorted({str(file.parent.relative_to(base)) for file in several})
        if len({file.name for file in several}) < len(several):
            raise UserError(
                f"Split '{title}' of '{where}' has files of the same names in several folders ({', '.join(folders)}). "
                f"If these are configurations, name the folder of one: hf:{base / folders[0]}."
            )
    return groups


def _title(where: str, file: PurePath) -> str:
    """Return what names the split of a file: its stem without shard numbers, else the innermost folder that does."""
    names = [_stem(file), *reversed(file.parts[:-1])]
    told = {found.part: name for name in reversed(names) if (found := role(name))}
    if len(told) > 1:
        raise UserError(f"{file} of '{where}' is named as {' and as '.join(told)}. Rename the file or its folder.")
    return next(iter(told.values()), names[0])


def _stem(file: PurePath) -> str:
    shard = _SHARD.fullmatch(file.stem)
    return shard["stem"] if shard and shard["stem"] else file.stem


def assign_files(where: str, titles: list[str], wanted: Mapping[str, str | None]) -> dict[str, str]:
    """Assign files to parts; a single `mnist_train` counts without a matching test file."""
    roles: dict[str, Role] = {title: found for title in titles if (found := role(title))}
    paired = {title for group in parts_of(titles).values() for title in group}
    lone = [t for t in roles if t not in paired and [r.part for r in roles.values()].count(roles[t].part) == 1]
    parts = assign(where, titles, {**{roles[t].part: t for t in lone}, **{k: v for k, v in wanted.items() if v}})
    if "train" not in parts:
        raise UserError(
            f"'{where}' has no training split among {', '.join(titles)}. Name one: {where}[train={titles[0]}]."
        )
    return parts


def check_shards(where: str, title: str, files: Sequence[Path], hint: str) -> None:
    """Refuse a split with missing shards, as seen from `00000-of-00003` in file names."""
    numbers: dict[tuple[Path, str, int], set[int]] = {}
    for file in files:
        shard = _SHARD.fullmatch(file.stem)
        if shard and shard["total"]:
            key = (file.parent, shard["stem"], int(shard["total"]))
            numbers.setdefault(key, set()).add(int(shard["number"]))
    for (folder, stem, total), have in numbers.items():
        first = 1 if total in have else 0
        if (lacking := total - len(have)) > 0:
            missing = (str(number) for number in range(first, first + total) if number not in have)
            some = ", ".join(islice(missing, 5)) + (" …" if lacking > 5 else "")
            raise UserError(
                f"Split '{title}' of '{where}' is incomplete: of its {total} shards {stem}-…-of-{total:05} in "
                f"{folder}, {lacking} are missing (number {some}). Download them, or remove '-of-{total:05}' from "
                f"the names.{hint}"
            )
    versions = {(folder, stem) for folder, stem, _ in numbers}
    if len(versions) < len(numbers):
        totals = ", ".join(str(total) for _, _, total in numbers)
        raise UserError(f"Split '{title}' of '{where}' has shards of several versions (of {totals}). Keep one version.")
