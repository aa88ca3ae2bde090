"""The linear probe against scikit-learn, and its corner cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from bench.bank import probe


def blobs(count: int = 400, width: int = 20, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes on badly scaled, shifted features."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    means = rng.normal(size=(classes, width))
    features = (means[labels] + 2 * rng.normal(size=(count, width))) * rng.uniform(0.1, 20, width) + 5
    return features.astype(np.float32), labels


def objective(x: np.ndarray, labels: np.ndarray, weight: np.ndarray, bias: np.ndarray, l2: float) -> float:
    logits = torch.from_numpy(x @ weight.T + bias)
    return probe.nll(logits, torch.from_numpy(labels)) + l2 / 2 * float((weight**2).sum())


@pytest.mark.parametrize("l2", [0.3, 0.01, 0.001])
def test_agrees_with_scikit_learn(l2: float) -> None:
    features, labels = blobs()
    mean, deviation = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    x = (features - mean) / deviation
    theirs = LogisticRegression(C=1 / (l2 * len(x)), tol=1e-8, max_iter=5000).fit(x, labels)
    best = objective(x, labels, theirs.coef_, theirs.intercept_, l2)
    weights, biases = probe.fit(features, labels, 4, (1.0, l2))
    weight = weights[1].double().numpy()
    mine = objective(x, labels, weight * deviation, biases[1].double().numpy() + weight @ mean, l2)
    assert best - 1e-6 <= mine <= best + 1e-3
    logits = features @ weights[1].numpy().T + biases[1].numpy()
    agree = (logits.argmax(1) == theirs.predict(x)).mean()
    assert agree > 0.98


def test_is_deterministic_and_reads_memory_maps_in_pieces(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = blobs(1000)
    weights, biases = probe.fit(features, labels, 4)
    again, _ = probe.fit(features, labels, 4)
    assert torch.equal(weights, again)
    np.save(tmp_path / "f.npy", features)
    monkeypatch.setattr(probe, "_CHUNK", 96)
    monkeypatch.setattr(probe, "_IN_MEMORY", 0)
    mapped, mapped_biases = probe.fit(np.load(tmp_path / "f.npy", mmap_mode="r"), labels, 4)
    x = torch.from_numpy(features)
    for r in range(len(weights)):
        torch.testing.assert_close(x @ mapped[r].T + mapped_biases[r], x @ weights[r].T + biases[r], rtol=0, atol=0.05)


def test_losses_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = blobs(300)
    features = features.astype(np.float16)
    weights, biases = probe.fit(features, labels, 4, (0.3, 0.01))
    rows = np.arange(1, 300, 2)
    x, y = torch.from_numpy(features[rows]).float(), torch.from_numpy(labels[rows])
    expected = [probe.nll(x @ w.T + b, y) for w, b in zip(weights, biases, strict=True)]
    assert probe.losses(features, rows, labels, weights, biases) == expected
    monkeypatch.setattr(probe, "_LOGITS", 4 * 32)  # 32 samples of 4 classes
    largest, nll = [], probe.nll
    monkeypatch.setattr(probe, "nll", lambda logits, y: largest.append(len(logits)) or nll(logits, y))
    assert probe.losses(features, rows, labels, weights, biases) == pytest.approx(expected, rel=1e-6)
    assert max(largest) == 32


def test_weaker_penalties_fit_train_closer() -> None:
    features, labels = blobs()
    weights, biases = probe.fit(features, labels, 4)
    losses = [
        probe.nll(torch.from_numpy(features) @ w.T + b, torch.from_numpy(labels))
        for w, b in zip(weights, biases, strict=True)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] + 0.05


def test_constant_features_and_absent_classes() -> None:
    features, labels = blobs()
    features[:, 3] = 7.0
    features[:, 4] = 0.0
    weights, biases = probe.fit(features, labels, 6)
    assert weights.shape == (8, 6, 20)
    assert torch.isfinite(weights).all()
    assert torch.isfinite(biases).all()
    assert not weights[:, :, 3:5].any()
    logits = torch.from_numpy(features) @ weights[-1].T + biases[-1]
    assert logits.argmax(1).max() < 4


def test_a_feature_too_small_for_float16_gets_no_weight() -> None:
    """As in the last block of MiniLM: rounding such a feature changes it by as much as samples differ in it."""
    features, labels = blobs()
    features[:, 3] = -9.5e-8 + 1e-9 * features[:, 3]
    weights, _ = probe.fit(features, labels, 4)
    assert (weights[:, :, 3] == 0).all() and (weights[:, :, :3] != 0).all()
