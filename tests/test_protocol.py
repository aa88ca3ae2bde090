"""The splits: sizes, disjointness, stratification, storage order, the seen rule, halves, draws and limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import datasets, protocol
from bench.datasets.images import ImageDataset
from bench.datasets.stores import ArrayStore
from bench.errors import UserError
from bench.protocol import allocate, halves, longtail_counts
from tests.helpers.paths import SHARED

LOSSLESS = SHARED / "data" / "lossless" / "cifar100"


def made(labels, partition=None, *, name="set", source=None, pixels=None, seed=0, imbalance=None, order=None):
    """A dataset of random 2 × 2 images with these labels, its rows stored in this order."""
    labels = np.asarray(labels, dtype=np.int64)
    partition = np.full(len(labels), "train") if partition is None else np.asarray(partition)
    if pixels is None:
        pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 2, 2, 3), dtype=np.uint8)
    order = np.arange(len(labels)) if order is None else order
    names = tuple(f"c{c}" for c in range(labels.max() + 1))
    store = ArrayStore(lambda: pixels[order])
    return ImageDataset(name, source or name, names, labels[order], partition[order], store, imbalance=imbalance)


def split(data, **options):
    """The splits with one pool for all seeds, of version 1."""
    return protocol.split(data, tuned=True, **options)


def parts(**sizes):
    return np.repeat(list(sizes), list(sizes.values()))


def roles(data, rows):
    """Each split's images, by key."""
    return {role: data.keys[getattr(rows, role)].tolist() for role in ("train", "pool", "test")}


def counts(data, rows):
    return np.bincount(data.labels[rows], minlength=data.num_classes)


def assert_disjoint(rows):
    together = np.concatenate([rows.train, rows.pool, rows.test])
    assert len(np.unique(together)) == len(together)


@pytest.fixture(scope="module")
def cifar_like():
    """50,000 + 10,000 rows of 100 classes, as CIFAR-100."""
    labels = np.concatenate([np.arange(50_000) % 100, np.arange(10_000) % 100])

    def make(name, **options):
        return made(labels, parts(train=50_000, test=10_000), name=name, source="cifar100", **options)

    return make


def test_cifar_sizes(cifar_like):
    data = cifar_like("cifar100")
    rows = split(data)
    assert (rows.protocol, rows.limit) == ("v1", None)
    assert [set(counts(data, r)) for r in (rows.train, rows.pool, rows.test)] == [{400}, {100}, {100}]
    assert_disjoint(rows)
    assert set(data.partition[rows.test]) == {"test"} and set(data.partition[rows.pool]) == {"train"}


@pytest.mark.parametrize("imbalance", [1, 10, 50, 100])
def test_longtail_sizes(cifar_like, imbalance):
    data = cifar_like("cifar100lt", imbalance=imbalance)
    rows = split(data)
    expected = [int(450 * (1 / imbalance) ** (c / 99)) for c in range(100)]
    assert counts(data, rows.train).tolist() == expected
    assert set(counts(data, rows.pool)) == {50} and len(rows.test) == 10_000
    assert_disjoint(rows)


def test_longtail_formula():
    tail = longtail_counts(450, 100, 100)
    assert (tail[0], tail[50], tail[99], sum(tail)) == (450, 43, 4, 9754)


@pytest.mark.parametrize("name", ["svhn", "fashion_mnist"])
def test_ten_thousand_are_held_out(name):
    classes = np.random.default_rng(0).choice(10, 25_000, p=np.arange(1, 11) / 55)
    data = made(np.concatenate([classes, np.arange(100) % 10]), parts(train=25_000, test=100), name=name)
    rows = split(data)
    assert [len(r) for r in (rows.train, rows.pool, rows.test)] == [15_000, 10_000, 100]
    share = counts(data, rows.pool) / counts(data, np.flatnonzero(data.partition == "train"))
    np.testing.assert_allclose(share, 0.4, atol=0.001)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"train": 1000}, [600, 200, 200]),
        ({"train": 1000, "test": 300}, [800, 200, 300]),
        ({"train": 1000, "val": 100, "test": 300}, [1000, 100, 300]),
        ({"train": 1000, "val": 100}, [800, 200, 100]),
        ({"train": 1000, "val": 10, "test": 300}, [808, 202, 300]),
    ],
)
def test_anything_else(sizes, expected):
    labels = np.concatenate([np.arange(n) % 10 for n in sizes.values()])
    data = made(labels, parts(**sizes))
    rows = split(data)
    assert [len(r) for r in (rows.train, rows.pool, rows.test)] == expected
    assert_disjoint(rows)
    assert sum(expected) == len(data)
    for r in (rows.pool, rows.test):
        assert np.ptp(counts(data, r)) <= 1
    held_out = "test" if "test" in sizes else "val"
    if held_out in sizes:
        assert set(data.partition[rows.test]) == {held_out}


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("limit", [None, 57])
def test_storage_order_is_of_no_account(seen, limit):
    labels = np.random.default_rng(3).integers(0, 7, 900)
    partition = parts(train=700, test=200)
    first = made(labels, partition)
    second = made(labels, partition, order=np.random.default_rng(4).permutation(900))
    third = made(labels, partition, order=np.argsort(labels, kind="stable"))
    assert first.digest == second.digest == third.digest
    results = [roles(data, split(data, seen=seen, limit=limit)) for data in (first, second, third)]
    assert results[0] == results[1] == results[2]


def test_splits_mix_classes_and_differ_between_sources():
    labels = np.sort(np.arange(1000) % 10)
    data = made(labels)
    rows = split(data)
    assert counts(data, rows.test[:100]).min() > 2
    other = made(labels, source="other")
    assert set(roles(data, rows)["test"]) != set(roles(other, split(other))["test"])


def test_copies_of_an_image_stay_together():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 2, 2, 3), dtype=np.uint8)
    pixels[150:] = pixels[:150]
    pixels[200:220] = pixels[0]
    labels = np.tile(np.arange(150) % 3, 2)
    labels[200:220] = labels[0]
    data = made(labels, pixels=pixels)
    rows = split(data)
    by_role = [set(keys) for keys in roles(data, rows).values()]
    assert not by_role[0] & by_role[1] and not by_role[1] & by_role[2] and not by_role[0] & by_role[2]
    assert [len(r) for r in (rows.train, rows.pool, rows.test)] == [180, 60, 60]


def test_copies_part_where_a_quota_needs_it():
    pixels = np.repeat(np.arange(2, dtype=np.uint8), 10)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    rows = split(made(np.repeat([0, 1], 10), pixels=pixels))
    assert [len(r) for r in (rows.train, rows.pool, rows.test)] == [12, 4, 4]
    assert_disjoint(rows)


def test_seen_backbones_are_held_out_from_the_test_set(cifar_like):
    data = cifar_like("cifar100")
    rows, plain = split(data, seen=True), split(data)
    assert rows.protocol == "v1-seen"
    np.testing.assert_array_equal(rows.train, plain.train)
    assert set(counts(data, rows.pool)) == {50} == set(counts(data, rows.test))
    assert set(data.partition[np.concatenate([rows.pool, rows.test])]) == {"test"}
    assert_disjoint(rows)
    tail = cifar_like("cifar100lt", imbalance=100)
    rows = split(tail, seen=True)
    assert len(rows.train) == 9754 and set(counts(tail, rows.pool)) == {50}


def test_seen_needs_an_official_test_set():
    with pytest.raises(UserError, match="no official test set"):
        split(made(np.arange(100) % 2), seen=True)


@pytest.mark.parametrize("limit", [1, 3, 10, 37, 5000])
def test_limit(cifar_like, limit):
    data = made(np.arange(700) % 10, parts(train=500, test=200))
    rows, full = split(data, limit=limit), split(data)
    for role in ("train", "pool", "test"):
        some, everything = getattr(rows, role), getattr(full, role)
        assert len(some) == min(limit, len(everything)) and set(some) <= set(everything)
        assert np.ptp(counts(data, some)) <= 1
    assert rows.limit == limit and rows.protocol == "v1"
    tail = cifar_like("cifar100lt", imbalance=100)
    assert counts(tail, split(tail, limit=200).train).min() == 1


def test_limit_has_to_be_positive():
    with pytest.raises(UserError, match="--limit 0"):
        split(made(np.arange(100) % 2), limit=0)


def test_small_classes_are_named():
    with pytest.raises(UserError, match="Class 'c1' has 3 training images, but a split needs at least 4"):
        split(made([0] * 50 + [1] * 3))
    rows = split(made([0] * 50 + [1] * 4))
    data = made([0] * 50 + [1] * 4)
    assert [counts(data, r)[1] for r in (rows.train, rows.pool, rows.test)] == [1, 2, 1]


def test_a_long_tail_needs_its_images():
    data = made(np.arange(4000) % 100, name="cifar100lt", imbalance=100)
    with pytest.raises(UserError, match="has 32 images left, but the protocol needs 50"):
        split(data)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=80), st.integers(0, 5))
def test_halves(labels, seed):
    labels = np.array(labels)
    val, cal = halves(labels, seed)
    assert sorted([*val, *cal]) == list(range(len(labels)))
    assert 0 <= len(val) - len(cal) <= 1
    a, b = np.bincount(labels[val], minlength=7), np.bincount(labels[cal], minlength=7)
    assert np.abs(a - b).max() <= 1
    renamed = halves(np.array([3, 6, 0, 5, 1, 2, 4])[labels], seed)
    np.testing.assert_array_equal(renamed[0], val)


def test_halves_depend_on_the_seed():
    labels = np.arange(1000) % 10
    first, again, other = (set(halves(labels, seed)[0]) for seed in (0, 0, 1))
    assert first == again
    assert 200 < len(first & other) < 300
    shuffled = np.random.default_rng(0).permutation(labels)
    assert set(halves(shuffled, 0)[0]) != first and np.ptp(np.bincount(shuffled[halves(shuffled, 0)[0]])) == 0


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 600), st.integers(0, 3))
def test_allocate(have, total, minimum):
    got = allocate(have, total, minimum=minimum)
    total = min(total, sum(have))
    assert got.sum() == total
    assert (got >= 0).all() and (got <= have).all()
    if total and sum(min(minimum, h) for h in have) <= total:
        assert (got >= np.minimum(have, minimum)).all()
    if not minimum and total:
        assert (np.abs(got - np.array(have) * total / sum(have)) < 1).all()


def test_allocate_by_largest_remainder():
    assert allocate([47, 16, 15, 12, 10], 10).tolist() == [5, 2, 1, 1, 1]
    assert allocate([1000, 1, 1], 10, minimum=1).tolist() == [8, 1, 1]
    assert allocate([5, 5, 5], 2, minimum=1).sum() == 2


def test_splits_are_those_of_version_one():
    """What v1 draws must never change: banks and records of other machines rely on it."""
    data = made(
        np.arange(60) % 3, parts(train=50, test=10), pixels=np.arange(720).astype(np.uint8).reshape(60, 2, 2, 3)
    )
    assert sorted(split(data).pool.tolist()) == [3, 12, 14, 16, 19, 29, 31, 32, 42, 48]
    assert halves(np.arange(12) % 3, 7)[0].tolist() == [0, 1, 5, 9, 10, 11]


def drawn(data, rows, seed):
    """The dataset rows of a seed's train split and pool."""
    found = protocol.draw(data.labels[rows.train], data.keys[rows.train], rows.pool_counts, rows.train_counts, seed)
    return [rows.train[positions] for positions in found]


@pytest.mark.parametrize("limit", [None, 600])
def test_every_seed_draws_its_own_pool_of_the_same_sizes(limit):
    data = made(np.arange(4000) % 7, parts(train=3600, test=400))
    rows, fixed = protocol.split(data, limit=limit), split(data, limit=limit)
    assert (rows.protocol, len(rows.pool)) == ("v2", 0)
    assert rows.test.tolist() == fixed.test.tolist()
    assert len(rows.train) == len(fixed.train) + len(fixed.pool)
    pools = []
    for seed in range(4):
        train, pool = drawn(data, rows, seed)
        assert sorted([*train, *pool]) == sorted(rows.train)
        assert counts(data, train).tolist() == counts(data, fixed.train).tolist()
        assert counts(data, pool).tolist() == counts(data, fixed.pool).tolist()
        pools.append(set(pool))
    shared = np.mean([len(a & b) / len(a) for i, a in enumerate(pools) for b in pools[:i]])
    assert shared == pytest.approx(len(pools[0]) / len(rows.train), abs=0.05)


def test_a_seed_draws_the_same_samples_from_any_storage_and_keeps_copies_together():
    pixels = np.repeat(np.random.default_rng(0).integers(0, 256, (300, 2, 2, 3), dtype=np.uint8), 2, 0)
    labels = np.repeat(np.arange(300) % 3, 2)
    one, two = (made(labels, pixels=pixels, order=order) for order in (None, np.random.default_rng(1).permutation(600)))
    for seed in (0, 1):
        first, second = (drawn(data, protocol.split(data), seed) for data in (one, two))
        for mine, other in zip(first, second, strict=True):
            assert one.keys[mine].tolist() == two.keys[other].tolist()
        assert not set(one.keys[first[0]]) & set(one.keys[first[1]])


def test_long_tails_are_drawn_from_all_official_images():
    data = made(np.arange(5000) % 10, name="cifar100lt", imbalance=10)
    rows = protocol.split(data)
    counted = longtail_counts(350, 10, 10)  # of 500, 100 are tested on and 50 are held out
    assert list(rows.train_counts) == counted and set(rows.pool_counts) == {50} and len(rows.train) == 4000
    (tail, pool), (other, _) = (drawn(data, rows, seed) for seed in (0, 1))
    assert counts(data, tail).tolist() == counted and not set(tail) & set(pool) and set(tail) != set(other)


@pytest.mark.parametrize("options", [{"seen": True}, {"tuned": True}, {}])
def test_the_pool_is_fixed_where_it_has_to_be(options):
    partition = parts(train=300, test=100) if options else parts(train=200, val=100, test=100)
    rows = protocol.split(made(np.arange(400) % 4, partition), **options)
    assert len(rows.pool) and not rows.pool_counts and rows.protocol == ("v1-seen" if options.get("seen") else "v1")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not LOSSLESS.is_dir(), reason="needs the lossless CIFAR-100 of ../shared/data")
def test_real_cifar100():
    assert datasets.load("cifar100", data_dir=SHARED / "data").variant == "jpeg90"
    data = datasets.load("cifar100", data_dir=LOSSLESS.parent)
    assert (data.name, data.num_classes, data.native_size) == ("cifar100", 100, 32)
    assert data.variant is None  # its digest is that of the authors' files
    assert data.class_names[:2] == ("apple", "aquarium_fish")
    rows = split(data)
    val, cal = halves(data.labels[rows.pool], 0)
    assert [len(r) for r in (rows.train, val, cal, rows.test)] == [40_000, 5_000, 5_000, 10_000]
    assert_disjoint(rows)
    by_role = {role: set(keys) for role, keys in roles(data, rows).items()}
    assert not by_role["train"] & by_role["pool"]
    tail = datasets.load("cifar100lt", data_dir=LOSSLESS.parent)
    assert tail.digest == data.digest
    rows = split(tail)
    val, cal = halves(tail.labels[rows.pool], 1)
    assert counts(tail, rows.train).tolist() == [int(450 * 0.01 ** (c / 99)) for c in range(100)]
    assert [len(r) for r in (rows.train, val, cal, rows.test)] == [9754, 2500, 2500, 10_000]
    assert rows.protocol == "v1"
