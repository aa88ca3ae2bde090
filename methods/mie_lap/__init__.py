"""Last-layer Laplace and model-internal ensembling (Meronen et al., Fixing Overconfidence in DNNs, WACV 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from bench.methods.mie_lap.laplace import Posterior, kfac, linear_layers
from bench.methods.mie_lap.predictive import mix, point_temperature, predict, safe_log, tune
from torch import Tensor, nn

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.recipe import Heads
from bench.rules import Pointwise, max_probability, quota_policies


@dataclass(frozen=True)
class MIEConfig:
    """The heads, how the predictive is computed, and whether exits are averaged."""

    heads: str = "plain"
    predictive: Literal["mc", "probit"] = tunable("mc")
    samples: int = 50
    ensemble: bool = tunable(True)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples={self.samples} must be at least 1")


class MIELaplace(Method):
    """Max-probability quotas on Laplace predictives averaged over the exits so far (MIE-LAP, Meronen et al.).

    Each exit's linear head gets a Gaussian posterior with Kronecker factors (`bench.methods.mie_lap.laplace`). Its
    predictive p_k is the mean softmax over `samples` draws of the logits, the same for every input
    (`predictive=probit`: one deterministic softmax). Exit k answers Σ_{j<=k} w_j p_j / Σ w_j with w_j = C_j / C_K, the
    backbone's cost up to j. Each exit's prior variance and temperature minimise the val NLL of that average, exit by
    exit; MSDNet's quotas set the thresholds.

    Differences: the output factor is exact and both factors are plain means over train, whereas the original keeps a
    moving average over batches; the prior is on standardised features; Monte Carlo searches only the neighbours of
    probit's best cell of the 10 × 10 grid. The task lacks the frozen head's features, so its predictive is softmax(a_K
    / T). Counted per exit: (D+1)² for the variance, S·C for the draws (2·C for probit) and k·C for the average.
    """

    name: ClassVar[str] = "mie_lap"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Fixing Overconfidence in Dynamic Neural Networks (MIE-LAP)",
        authors="Meronen, Trapp, Pilzer, Yang, Solin",
        venue="WACV",
        year=2024,
        link="https://arxiv.org/abs/2302.06359",
        family="ensemble",
        basis="checked against the authors' code",
        detail="Kronecker factors and predictive, equal to rounding; exact means instead of moving averages, and a "
        "smaller search",
    )
    Config: ClassVar[type] = MIEConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Fit the posteriors on train and their hyper-parameters on val, then one quota ratio per budget."""
        laplace = LaplaceHeads(heads.fit(self.config.heads, task), task, self.config)
        return quota_policies(task, budgets, laplace, Pointwise(max_probability))


class LaplaceHeads(Heads):
    """Linear heads that answer the log of their Laplace predictive, averaged over the exits so far."""

    needs_previous = True
    weights: Tensor
    temperatures: Tensor

    def __init__(self, linear: Heads, task: Task, config: MIEConfig) -> None:
        """Fit posteriors on task.train; choose prior variances and temperatures on task.val, earlier exits fixed."""
        super().__init__()
        layers = linear_layers(linear, config.heads)
        self.layers, self.ranks = nn.ModuleList(layers), [layer.in_features + 1 for layer in layers]
        self.linear, self.config, self.classes = linear, config, task.num_classes
        macs = torch.tensor(task.macs, dtype=torch.float64, device=task.device)
        self.register_buffer("weights", (macs / macs[-1]).clamp_min(1e-6))  # embeddings cost nothing
        self.spreads, self.scatter = nn.ModuleList(), nn.ParameterList()
        draws = torch.randn(config.samples, task.num_classes, generator=torch.Generator().manual_seed(task.seed))
        labels, temperatures = task.val.labels, []
        before = nothing = self.weights.new_zeros(len(labels))
        for k, layer in enumerate(layers):
            seen, held_out = task.train.features[k], task.val.features[k]
            posterior = Posterior(kfac(seen, layer(seen)))
            spread, scatter, temperature, after = tune(
                config.predictive,
                posterior,
                layer(held_out),
                held_out,
                labels,
                draws.to(task.device),
                before,
                self.weights[k],
            )
            self.spreads.append(spread)
            self.scatter.append(nn.Parameter(scatter, requires_grad=False))
            temperatures.append(temperature)
            before = after if config.ensemble else nothing
        temperatures.append(point_temperature(task.val.final_logits, labels, before, self.weights[-1]))
        self.register_buffer("temperatures", torch.tensor(temperatures, device=task.device))

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        if k == len(self.layers):
            return safe_log((features / self.temperatures[k]).softmax(-1))
        q = self.spreads[k](features).square().sum(-1)
        return safe_log(
            predict(self.config.predictive, self.layers[k](features), q, self.scatter[k], self.temperatures[k])
        )

    def combine(self, k: int, logits: Tensor) -> Tensor:
        return mix(logits, self.weights[: k + 1]) if self.config.ensemble else logits[:, k]

    def macs(self, k: int) -> int:
        average = (k + 1) * self.classes if self.config.ensemble else 0
        if k == len(self.layers):
            return average
        per_class = self.config.samples if self.config.predictive == "mc" else 2
        variance = self.ranks[k] ** 2
        return self.linear.macs(k) + variance + per_class * self.classes + average
