"""The split and class folders of a tree of images: recognised by the rule of `roles`; ambiguous ones are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.datasets.classes import listed
from bench.datasets.roles import PARTS, assign, generic, parts_of, role
from bench.datasets.selection import Selection
from bench.errors import UserError
from bench.system.notices import tell_once


def find_parts(where: str, root: Path, wanted: Mapping[str, str | None]) -> dict[str, Path]:
    """Return the folder of class folders of each part.

    Split folders are recognised by their names, at the root or inside a folder that is the only one at its level;
    `wanted` names them explicitly, and `train="."` means that every folder is a class. Raises UserError if splits and
    classes cannot be told apart by name, and for a split without class folders. The number of images outside class
    folders is reported once.
    """
    return _Tree(where, root).parts(wanted)


class _Tree:
    def __init__(self, where: str, root: Path) -> None:
        self.where, self.root, self.files = where, root, Selection(root)
        self._known: dict[Path, list[Path]] = {}

    def parts(self, wanted: Mapping[str, str | None]) -> dict[str, Path]:
        if wanted.get("train") == ".":
            if others := [part for part, name in wanted.items() if name and part != "train"]:
                raise UserError(f"'{self.where}' takes every folder as a class (train=.). Leave {others[0]}= out.")
            return {"train": self._unwrapped(self.root)}
        asked = {name: self.root / name for name in wanted.values() if name and (self.root / name).is_dir()}
        if not asked:
            self.root = self._unwrapped(self.root)
        folders = {path.name: path for path in self.files.folders(self.root)} | asked
        if any(wanted.values()):
            return self._split(folders, assign(self.where, list(folders), wanted, "folder"), strict=False)
        named = parts_of(folders)
        splits = [name for names in named.values() for name in names]
        if any(self._classes(folders[name]) for name in splits):
            return self._split(folders, assign(self.where, list(folders), {}, "folder"), strict=True)
        self._check_classes(self.root, "train=.")
        self._tell_loose(self.root)
        return {"train": self.root}

    def _classes(self, base: Path) -> list[Path]:
        """Return the sub-folders of a folder that contain images."""
        if base not in self._known:
            self._known[base] = [path for path in self.files.folders(base) if self.files.holds(path)]
        return self._known[base]

    def _unwrapped(self, base: Path) -> Path:
        """Return the innermost folder that contains everything in `base`, unless it is a class or a split."""
        while len(inside := self._classes(base)) == 1 and self._classes(inside[0]) and not self._is_split(inside[0]):
            if any(path not in inside and not any(path.iterdir()) for path in self.files.folders(base)):
                break  # an empty folder may be a class
            base = inside[0]
        if base != self.root:
            self._tell_loose(self.root)
            tell_once(f"The images of '{self.where}' are read from {base}, the only folder that has any.")
        return base

    @staticmethod
    def _is_split(path: Path) -> bool:
        found = role(path.name)
        return found is not None and not found.rest

    def _split(self, folders: Mapping[str, Path], chosen: Mapping[str, str], *, strict: bool) -> dict[str, Path]:
        """Return the folder of class folders of each chosen split; `strict` refuses others that look like splits."""
        if "train" not in chosen:
            have, free = ", ".join(chosen.values()), [name for name in folders if name not in chosen.values()]
            raise UserError(
                f"{self.root} has the split folders {have}, but none for training. "
                f"{self._remedy([*(free or ['FOLDER']), *chosen.values()])}"
            )
        others = [name for name, path in folders.items() if name not in chosen.values() and self.files.holds(path)]
        unknown = [name for name in others if self._classes(folders[name])]
        if strict and unknown:
            raise UserError(
                f"{self.root} has folders of class folders that are named neither as training, validation nor test "
                f"images: {', '.join(unknown)}, next to {', '.join(chosen.values())}. "
                f"{self._remedy([chosen['train'], *unknown])}"
            )
        if others:
            count = sum(len(self.files.images(folders[name])) for name in others)
            tell_once(f"{count:,} images in {listed(others)} of {self.root} belong to no split and are left out.")
        self._tell_loose(self.root)
        bases = {part: self._inner(folders[name], part, chosen["train"]) for part, name in chosen.items()}
        found = {part: base for part, base in bases.items() if base is not None}
        if strict:
            for base in found.values():
                self._check_classes(base, ",".join(f"{part}={name}" for part, name in chosen.items()))
        return found

    def _inner(self, base: Path, part: str, train: str) -> Path | None:
        """Return the folder of class folders of one split; None for a split without images, which is reported."""
        inside = self._classes(base)
        while len(inside) == 1 and self._classes(inside[0]) and self._wraps(inside[0], base, part):
            base = inside[0]
            inside = self._classes(base)
        loose = self.files.loose(base)
        if not inside and part != "train" and not loose:
            tell_once(f"{base} has no images and is left out.")
            return None
        if not inside and not loose:
            raise UserError(f"{base} has no images. Fill it, or name another folder: {self.where}[train=FOLDER].")
        if not inside:
            other = "use every folder as a class" if part == "train" else "leave them out"
            raise UserError(
                f"{base} has {loose:,} images and no class folders, so their classes are not known. Sort them into one "
                f"folder per class, or {other}: {self.where}[train={'.' if part == 'train' else train}]."
            )
        self._tell_loose(base)
        return base

    @staticmethod
    def _wraps(inside: Path, base: Path, part: str) -> bool:
        """Return whether the only folder in a split is not a class, but the split again, or a word such as `images`."""
        found = role(inside.name)
        return inside.name == base.name or generic(inside.name) or (found is not None and found.part == part)

    def _check_classes(self, base: Path, all_classes: str) -> None:
        """Refuse folders that may not be classes; `all_classes` is the parameter that declares them classes."""
        folders, remedy = self._classes(base), f"if every folder is a class, write {self.where}[{all_classes}]."
        self._check_flat(base, [path.name for path in folders], remedy)
        self._check_nested(base, folders, remedy)

    @staticmethod
    def _check_flat(base: Path, names: Sequence[str], remedy: str) -> None:
        """Refuse split folders that contain images and no classes; a class may be called `train`."""
        named = parts_of(names)
        splits = [name for found in named.values() for name in found]
        if splits and all(map(role, names)):
            raise UserError(
                f"{base} has the split folders {', '.join(names)}, but they have images and no class folders. Sort "
                f"the images of each split into one folder per class; or, {remedy}"
            )
        if any(name.casefold() != "train" for name in splits):
            raise UserError(
                f"{base} has {', '.join(splits)}, named as {' and '.join(PARTS[part] for part in named)} images, but "
                f"without class folders, next to folders that may be classes. Move {splits[0]} elsewhere; or, {remedy}"
            )

    def _check_nested(self, base: Path, folders: Sequence[Path], remedy: str) -> None:
        """Refuse classes that contain splits, and folders that all contain the same classes."""
        inside = {path: [sub.name for sub in self._classes(path)] for path in folders}
        split = [path for path, names in inside.items() if len(parts_of(names)) > 1]
        split = split or [path for path, names in inside.items() if any(map(self._is_split, map(Path, names)))]
        if len(split) > 1 or (split and len(parts_of(inside[split[0]])) > 1):
            some = ", ".join(f"{split[0].name}/{name}" for name in inside[split[0]][:3])
            raise UserError(
                f"The folders of {base} contain split folders ({some}). Put the split folders at the top "
                f"(train/{split[0].name}, test/{split[0].name}); or, {remedy}"
            )
        shared = set.intersection(*map(set, inside.values())) if len(inside) > 1 else set()
        if len(shared) > 1 and not any(map(self.files.loose, folders)):
            names = [path.name for path in folders]
            ways = (
                self._remedy(names)
                if base == self.root
                else f"Name the folder of one ({base / names[0]}); or, {remedy}"
            )
            raise UserError(
                f"All folders of {base} ({listed(names)}) contain the same folders ({listed(sorted(shared))}), so "
                f"these may be the classes, and the folders above them splits or sources. {ways}"
            )

    def _remedy(self, names: Sequence[str]) -> str:
        """Return the advice to name two of these folders as splits, the first for training."""
        first, second = (*names, "FOLDER", "FOLDER")[:2]
        return (
            f"Name the splits: {self.where}[train={first},test={second}]; "
            f"or, if every folder is a class, write {self.where}[train=.]."
        )

    def _tell_loose(self, base: Path) -> None:
        if count := self.files.loose(base):
            them = "image in" if count == 1 else "images in"
            tell_once(f"{count:,} {them} {base} itself, outside its folders, {'is' if count == 1 else 'are'} left out.")
