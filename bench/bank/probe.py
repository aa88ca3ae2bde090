"""The linear probe: the frozen final head of a backbone whose own head does not fit the dataset's classes.

It is fitted once, on the train split's final features, for a grid of penalties; all candidates are stored with the
bank. Each run chooses its candidate on val alone, so cal has no influence on the head that is later calibrated on it.
No fit depends on the seed, so a bank needs one fit, not one per run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

GRID = tuple(10.0 ** (-e / 2) for e in range(8))  # 1 … 3e-4, strong to weak
_IN_MEMORY = 1 << 27  # feature values kept in float32 during the fit; beyond it, every pass reads the memory map
_CHUNK = 8192  # samples at once; fewer if their logits would have more values than:
_LOGITS = 1 << 24
_MEMORY = 20  # curvature pairs of L-BFGS
_MAX_STEPS = 200
SMALLEST = 2.0**-24  # step of float16 next to zero
_GAP = 1e-4  # nats above the minimum at which a fit stops


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    grid: Sequence[float] = GRID,
    *,
    device: str | torch.device = "cpu",
) -> tuple[Tensor, Tensor]:
    """Fit multinomial logistic regression for every penalty; return weights [R, C, D] and biases [R, C], float32.

    features [N, D] may be a memory map, which is read in bounded parts, or as a whole if it fits on a GPU.
    Minimises mean cross-entropy + l2/2 · |W|² on features standardised by their own mean and deviation, without a
    penalty on the bias (scikit-learn's LogisticRegression with C = 1/(l2·N) on such features); the standardisation is
    then folded into weight and bias. L-BFGS starts at zero, and for each further penalty at the solution of the next
    stronger one. Deterministic.
    """
    problem = _Problem(features, torch.from_numpy(np.asarray(labels)), num_classes, torch.device(device))
    solution = torch.zeros(num_classes, features.shape[1] + 1, device=device)
    weights, biases = [], []
    for l2 in grid:
        solution = _minimise(problem, solution, float(l2))
        weight = solution[:, :-1] * problem.scale
        weights.append(weight)
        biases.append(solution[:, -1] - (weight.double() @ problem.mean.double()).float())
    return torch.stack(weights).cpu(), torch.stack(biases).cpu()


def losses(features: np.ndarray, rows: np.ndarray, labels: np.ndarray, weights: Tensor, biases: Tensor) -> list[float]:
    """Return the mean negative log-likelihood of R candidate heads on some rows of features [N, D], read in parts."""
    totals = [0.0] * len(weights)
    step = _rows_at_once(weights.shape[1])
    for part in (rows[start : start + step] for start in range(0, len(rows), step)):
        x, y = torch.from_numpy(features[part]).float(), torch.from_numpy(labels[part])
        for r, (w, b) in enumerate(zip(weights, biases, strict=True)):
            totals[r] += nll(x @ w.T + b, y) * (len(part) / len(rows))
    return totals


def nll(logits: Tensor, labels: Tensor) -> float:
    """Return the mean negative log-likelihood of logits [N, C], summed in float64."""
    return float(torch.nn.functional.cross_entropy(logits.double(), labels))


class _Problem:
    """Mean cross-entropy of a linear classifier on standardised features, and its gradient."""

    def __init__(self, features: np.ndarray, labels: Tensor, num_classes: int, device: torch.device) -> None:
        self._features, self._labels, self._device = features, labels.to(device), device
        self._step = _rows_at_once(num_classes)
        self._kept: list[Tensor] | None = None
        self.count, width = features.shape
        total, square = torch.zeros(2, width, dtype=torch.float64, device=device)
        for part in self._raw():
            total += part.sum(0, dtype=torch.float64)
        mean = total / self.count
        for part in self._raw():
            square += (part - mean).square().sum(0)
        deviation = (square / self.count).sqrt()
        # a feature that is constant, or varies by a float16 step or two, carries no information: its weight stays zero
        flat = deviation <= 1e-6 * mean.abs() + SMALLEST
        self.mean = mean.float()
        self.scale = torch.where(flat, 0.0, 1.0 / deviation).float()
        if features.size <= (_IN_MEMORY if device.type == "cpu" else torch.cuda.mem_get_info(device)[0] // 16):
            self._kept = list(self._standardised())

    def __call__(self, solution: Tensor, l2: float) -> tuple[float, Tensor]:
        """Return objective and gradient at [C, D+1], the bias last."""
        weight, bias = solution[:, :-1], solution[:, -1]
        gradient, loss, start = torch.zeros_like(solution), 0.0, 0
        for part in self._parts():
            labels = self._labels[start : start + len(part)]
            start += len(part)
            log_p = torch.addmm(bias, part, weight.T).log_softmax(1)
            loss -= float(log_p.gather(1, labels[:, None]).sum(dtype=torch.float64))
            error = log_p.exp_()
            error[torch.arange(len(part), device=self._device), labels] -= 1
            gradient[:, :-1].addmm_(error.T, part)
            gradient[:, -1] += error.sum(0)
        gradient /= self.count
        gradient[:, :-1] += l2 * weight
        return loss / self.count + 0.5 * l2 * float(weight.double().square().sum()), gradient

    def _raw(self) -> Iterator[Tensor]:
        for start in range(0, self.count, self._step):
            yield torch.from_numpy(np.array(self._features[start : start + self._step])).to(self._device).float()

    def _standardised(self) -> Iterator[Tensor]:
        for part in self._raw():
            yield part.sub_(self.mean).mul_(self.scale)

    def _parts(self) -> Iterator[Tensor]:
        return iter(self._kept) if self._kept is not None else self._standardised()


def _rows_at_once(num_classes: int) -> int:
    return max(1, min(_CHUNK, _LOGITS // num_classes))


def _minimise(problem: _Problem, start: Tensor, l2: float) -> Tensor:
    """Run L-BFGS with backtracking until the objective is near its minimum, or no step improves it in float32."""
    point = start
    value, gradient = problem(point, l2)
    pairs: list[tuple[Tensor, Tensor]] = []
    for _ in range(_MAX_STEPS):
        if _gap(gradient, l2) <= _GAP:
            break
        direction = -_two_loop(gradient, pairs)
        slope = float((direction * gradient).sum())
        step = 1.0 if pairs else min(1.0, 1.0 / float(gradient.norm()))
        while True:
            candidate = point + step * direction
            new_value, new_gradient = problem(candidate, l2)
            if new_value <= value + 1e-4 * step * slope:
                break
            step /= 2
            if step < 1e-6:
                return point
        moved, turned = candidate - point, new_gradient - gradient
        if float((moved * turned).sum()) > 1e-10 * float(turned.square().sum()):
            pairs = [*pairs[-_MEMORY + 1 :], (moved, turned)]
        point, value, gradient = candidate, new_value, new_gradient
    return point


def _gap(gradient: Tensor, l2: float) -> float:
    """Estimate how far the objective is above its minimum, in nats: |gradient|² / (2 · curvature).

    The weights' curvature is at least l2; that of the C biases, which have no penalty, is taken as 1 / (10·C):
    mean p(1 - p) if predictions are confident.
    """
    weight, bias = gradient[:, :-1].square().sum(), gradient[:, -1].square().sum()
    return float(weight / l2 + bias * 10 * len(gradient)) / 2


def _two_loop(gradient: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Apply L-BFGS's inverse Hessian (Nocedal and Wright, algorithm 7.4)."""
    result, steps = gradient.clone(), []
    for moved, turned in reversed(pairs):
        rho = 1.0 / float((moved * turned).sum())
        alpha = rho * float((moved * result).sum())
        result -= alpha * turned
        steps.append((moved, turned, rho, alpha))
    if pairs:
        moved, turned = pairs[-1]
        result *= float((moved * turned).sum()) / float(turned.square().sum())
    for moved, turned, rho, alpha in reversed(steps):
        result += (alpha - rho * float((turned * result).sum())) * moved
    return result
