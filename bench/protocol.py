"""The split protocol: which samples are train, pool and test. Nothing here depends on storage order.

Version 2 draws a new pool (val and cal) for every seed. In three cases the pool stays fixed, as in version 1: the
network was trained on the train split, so a new pool would contain samples that it has seen; it has seen all official
training samples, so that only the test set can be held out; or the dataset's authors provide held-out samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.backbones.staged import Tuned
    from bench.datasets.dataset import Dataset

FIXED = "v1"  # one pool for all seeds
SEEN = f"{FIXED}-seen"
DRAWN = "v2"  # a pool for each seed
POOL = {"cifar10": 10_000, "cifar100": 10_000, "svhn": 10_000, "fashion_mnist": 10_000}  # held out for val + cal
LONGTAIL_POOL = 50  # held out per class before a long tail is cut
SHARE = 0.2  # held out of any other dataset, and used as test if it has no test samples
VERSIONS = (FIXED, SEEN, DRAWN)


@dataclass(frozen=True)
class Splits:
    """Rows of a dataset by role, sorted by the samples' keys: classes are mixed, and storage order has no effect."""

    train: np.ndarray  # int64 [N_train]; under v2 all samples that a seed draws its train split and its pool from
    pool: np.ndarray  # int64 [N_pool]: val and cal, which `halves` separates; empty under v2
    test: np.ndarray  # int64 [N_test]
    protocol: str  # 'v1', 'v1-seen' or 'v2'
    limit: int | None = None
    pool_counts: tuple[int, ...] = ()  # [C], only v2: samples per class that a seed draws for its pool (`draw`)
    train_counts: tuple[int, ...] = ()  # [C], only v2: … and for its train split

    @property
    def sizes(self) -> dict[str, int]:
        """The number of samples that a run trains on, holds out and tests on."""
        drawn = {"train": sum(self.train_counts), "val + cal": sum(self.pool_counts)}
        fixed = {"train": len(self.train), "val + cal": len(self.pool)}
        return {**(drawn if self.pool_counts else fixed), "test": len(self.test)}


def split(dataset: Dataset, *, seen: bool = False, tuned: bool = False, limit: int | None = None) -> Splits:
    """Split a dataset into train, pool and test.

    seen: the backbone's weights have seen its training samples. tuned: they were trained on the train split that this
    function returns with `tuned`, and on no other samples of the dataset. Without either, and unless the dataset has
    its own pool, the protocol is v2: `train` then contains all official training samples, each seed draws its pool and
    its train split from them, and the sizes below are those of every seed.

    Held out of the official training samples, stratified: 10,000 for cifar10, cifar100, svhn and fashion_mnist; 50 per
    class for cifar100lt, whose training split then keeps int(450 · imbalance^(-c / (C - 1))) samples of class c; 20 %
    for any other dataset, unless its own val samples are at least 2 per class, which then are the pool (otherwise they
    join the training samples). Test is the official test set; if a dataset has val samples but no test samples, the
    val samples are the test set; if it has neither, 20 % are drawn first.

    seen: the pool is a stratified half of the official test set, test is the other half, train does not change.
    limit: at most this number of samples of each split, stratified; such runs are not comparable.
    Copies of one sample (same pixels or text, same label) within the training samples stay together, unless a quota
    cannot be met otherwise. Copies across official train and test, or under two labels, stay where the authors put
    them.
    Raises UserError for classes too small to split, and for a seen dataset without an official test set.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit} leaves no {dataset.modality}s. Give at least 1.")
    draw = _Draw.of(dataset)
    train, val, test = (np.flatnonzero(dataset.partition == part) for part in ("train", "val", "test"))
    if not len(test):
        val, test = test, val
    official_test, whole = test, len(train) + len(val)  # the pool, and a test split that is drawn, are 20 % of `whole`
    if not len(test):
        draw.require(train, 4)
        train, test = draw.stratified(train, round(SHARE * whole), "test", minimum=1)
    brought = len(val) and draw.counts(val).min() >= 2
    official = train if brought else np.concatenate([train, val])
    train, pool = (train, val) if brought else _hold_out(dataset, draw, official, whole)
    if seen:
        pool, test = _halve_test(dataset, draw, official_test)
    rows = Splits(train, pool, test, SEEN if seen else FIXED, limit)
    if limit is not None:
        rows = replace(
            rows,
            train=draw.first(train, limit, minimum=1),
            pool=draw.first(pool, limit, minimum=2),
            test=draw.first(test, limit, minimum=1),
        )
    if not (seen or tuned or brought):
        rows = replace(
            rows,
            train=official if limit is None else np.concatenate([rows.train, rows.pool]),
            pool=rows.pool[:0],
            protocol=DRAWN,
            pool_counts=tuple(draw.counts(rows.pool).tolist()),
            train_counts=tuple(draw.counts(rows.train).tolist()),
        )
    return replace(rows, train=draw.sort(rows.train), pool=draw.sort(rows.pool), test=draw.sort(rows.test))


def draw(
    labels: np.ndarray, keys: np.ndarray, pool_counts: Sequence[int], train_counts: Sequence[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a seed's train split and pool: positions in samples [N] with these labels and keys, ascending.

    pool_counts, train_counts: samples of each class [C]. The result depends only on the seed and on the samples' keys
    and labels; copies of a sample stay together, as in `split`.
    """
    rank = np.unique(keys, return_inverse=True)[1].reshape(-1)
    found = _Draw("pools", tuple(map(str, range(len(pool_counts)))), np.asarray(labels), rank, "samples")
    rest, pool = found.take(np.arange(len(labels)), pool_counts, f"pool|{seed}")
    return np.sort(found.take(rest, train_counts, f"train|{seed}")[1]), np.sort(pool)


def carve(dataset: Dataset, rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Split training rows into those that a network is trained on and a stratified share that selects its epoch.

    Every class with two or more images has at least one in each part.
    """
    draw = _Draw.of(dataset)
    counts = draw.counts(rows)
    total = max(round(share * len(rows)), int((counts > 0).sum()))
    quota = np.minimum(allocate(counts, total, minimum=1), np.maximum(counts - 1, 0))
    rest, held = draw.take(rows, quota, "tuning")
    return draw.sort(rest), draw.sort(held)


def has_seen(dataset: Dataset, trained_on: Collection[str], tuned: Tuned | None = None) -> bool:
    """Return whether weights trained on these public datasets have seen a dataset's training samples.

    A network that was `tuned` on this dataset by this protocol has seen its train split, but neither pool nor test.
    Datasets are compared by every part of their source, and by the digests of public datasets that are known, which
    also recognise samples stored under another name.
    """
    from bench.datasets.official import DIGESTS

    if tuned is not None and tuned_on(dataset, tuned):
        trained_on = tuned.before
    known = {digest for name in trained_on for digest in DIGESTS.get(name, ())}
    return not set(dataset.source.split("+")).isdisjoint(trained_on) or (bool(known) and dataset.digest in known)


def tuned_on(dataset: Dataset, tuned: Tuned | None, protocol: str = FIXED) -> bool:
    """Return whether a network was tuned on this dataset's train split by a protocol."""
    asked = (dataset.name, dataset.digest, protocol)
    return tuned is not None and (tuned.dataset, tuned.digest, tuned.protocol) == asked


def halves(pool_labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split a pool into val and cal: ascending positions, stratified; the sizes differ by at most one.

    The last images of classes of odd size go to val and cal in turn. The result depends only on the seed, the order of
    the pool and which of its images share a class.
    """
    labels = np.asarray(pool_labels)
    order = _shuffle(len(labels), f"halves|{seed}")
    _, codes, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
    by_class = np.argsort(codes, kind="stable")
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_val = rank % 2 == 0
    left_over = (rank == counts[codes] - 1) & is_val
    is_val[np.flatnonzero(left_over)[1::2]] = False
    return np.sort(order[is_val]), np.sort(order[~is_val])


def longtail_counts(per_class: int, imbalance: int, classes: int) -> list[int]:
    """Return the training images of each class: int(per_class · (1 / imbalance)^(c / (C - 1))), c = 0 … C - 1."""
    return [int(per_class * (1 / imbalance) ** (c / (classes - 1))) for c in range(classes)]


def allocate(counts: Sequence[int] | np.ndarray, total: int, *, minimum: int = 0) -> np.ndarray:
    """Return `total` divided among classes in proportion to counts [C], by largest remainder: int64 [C], exact in sum.

    No class gets more than it has; each gets at least `minimum` (or all it has) if the total is large enough.
    """
    have = np.asarray(counts, dtype=np.int64)
    total = min(int(total), int(have.sum()))
    least = np.minimum(have, minimum)
    if least.sum() > total:
        least = np.zeros_like(have)
    if not total:
        return least
    exact = have * total
    share = np.maximum(exact // have.sum(), least)
    while (gap := total - int(share.sum())) != 0:
        owed = exact - share * have.sum()  # what is still due to a class, in units of 1 / sum of counts
        allowed = np.flatnonzero(share < have) if gap > 0 else np.flatnonzero(share > least)
        order = allowed[np.argsort(-owed[allowed] if gap > 0 else owed[allowed], kind="stable")]
        share[order[: abs(gap)]] += 1 if gap > 0 else -1
    return share


def _hold_out(dataset: Dataset, draw: _Draw, train: np.ndarray, whole: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the training samples into train and pool."""
    if dataset.imbalance is not None:
        rest, pool = draw.take(train, [LONGTAIL_POOL] * dataset.num_classes, "pool")
        left = int(draw.counts(rest).min())
        _, tail = draw.take(rest, longtail_counts(left, dataset.imbalance, dataset.num_classes), "longtail")
        return tail, pool
    draw.require(train, 3)
    return draw.stratified(train, POOL.get(dataset.name, round(SHARE * whole)), "pool", minimum=2)


def _halve_test(dataset: Dataset, draw: _Draw, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split the official test images into pool and test."""
    if not len(test):
        things = f"{dataset.modality}s"
        raise UserError(
            f"The backbone was trained on {dataset.source}. By its name, {dataset.name} contains the same {things}, "
            f"and it has no official test set to hold out {things} from. Choose a backbone that has not seen them, "
            f"add test {things}, or rename the dataset if its {things} are different."
        )
    rest, pool = draw.stratified(test, len(test) // 2, "seen", minimum=2)
    return pool, rest


@dataclass(frozen=True)
class _Draw:
    """Random draws from a dataset; they depend on its source and its samples, not on storage order."""

    source: str
    class_names: tuple[str, ...]
    labels: np.ndarray
    rank: np.ndarray  # of each row's key among all keys; copies of a sample share theirs
    things: str  # 'images' or 'texts'

    @classmethod
    def of(cls, dataset: Dataset) -> _Draw:
        rank = np.unique(dataset.keys, return_inverse=True)[1].reshape(-1)
        return cls(dataset.drawn or dataset.source, dataset.class_names, dataset.labels, rank, f"{dataset.modality}s")

    def sort(self, rows: np.ndarray) -> np.ndarray:
        """Return rows sorted by their keys."""
        return rows[np.lexsort((rows, self.rank[rows]))]

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of rows per class: int64 [C]."""
        return np.bincount(self.labels[rows], minlength=len(self.class_names))

    def require(self, rows: np.ndarray, least: int) -> None:
        """Raise UserError for a class with fewer training samples than a split needs."""
        counts = self.counts(rows)
        if counts.min() < least:
            small = int(counts.argmin())
            raise UserError(
                f"Class '{self.class_names[small]}' has {counts[small]} training {self.things}, but a split needs at "
                f"least {least} per class. Add {self.things}, or remove the class."
            )

    def stratified(self, rows: np.ndarray, total: int, stage: str, *, minimum: int) -> tuple[np.ndarray, np.ndarray]:
        """Take `total` rows in proportion to the classes, at least `minimum` of each: (the rest, the rows taken)."""
        counts = self.counts(rows)
        total = max(total, minimum * int((counts > 0).sum()))
        return self.take(rows, allocate(counts, total, minimum=minimum), stage)

    def first(self, rows: np.ndarray, limit: int, *, minimum: int) -> np.ndarray:
        """Take the first rows of each class, at most `limit` in total."""
        counts = self.counts(rows)
        enough = minimum if limit >= minimum * int((counts > 0).sum()) else 1
        return self.take(rows, allocate(counts, limit, minimum=enough), "limit")[1]

    def take(self, rows: np.ndarray, quota: Sequence[int] | np.ndarray, stage: str) -> tuple[np.ndarray, np.ndarray]:
        """Take quota[c] rows of each class c, copies of an image together: (the rest, the rows taken)."""
        order = rows[np.lexsort((rows, self.rank[rows], self.labels[rows]))]
        counts = self.counts(rows)
        ends = np.cumsum(counts)
        taken = []
        for c, (end, want) in enumerate(zip(ends, quota, strict=True)):
            mine = order[end - counts[c] : end]
            if want > len(mine):
                name = self.class_names[c]
                raise UserError(f"Class '{name}' has {len(mine)} {self.things} left, but the protocol needs {want}.")
            taken.append(self._take_class(mine, int(want), f"{self.source}|{stage}|{c}"))
        chosen = np.concatenate(taken)
        return np.setdiff1d(rows, chosen, assume_unique=True), chosen

    def _take_class(self, rows: np.ndarray, want: int, seed: str) -> np.ndarray:
        """Walk through one class's distinct images in shuffled order; take whole groups of copies while they fit."""
        if np.all(np.diff(self.rank[rows])):  # no copies
            return rows[_shuffle(len(rows), seed)[:want]]
        groups = np.split(rows, np.flatnonzero(np.diff(self.rank[rows])) + 1)
        shuffled = [groups[i] for i in _shuffle(len(groups), seed)]
        taken: list[int] = []
        for group in shuffled:
            if len(taken) + len(group) <= want:
                taken += group.tolist()
        if len(taken) < want:  # only larger groups are left, so one must be split
            left = [row for group in shuffled for row in group.tolist() if row not in taken]
            taken += left[: want - len(taken)]
        return np.array(taken, dtype=np.int64)


def _shuffle(count: int, seed: str) -> np.ndarray:
    """Return a permutation from raw PCG64 output, which is the same in every version of NumPy."""
    state = int.from_bytes(hashlib.sha256(f"exitbench|{FIXED}|{seed}".encode()).digest()[:16], "big")
    return np.argsort(np.random.PCG64(state).random_raw(count), kind="stable")
