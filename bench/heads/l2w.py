"""L2W heads: a net weights the samples at each exit and learns which of them will leave there (L2W-DEN)."""

from __future__ import annotations

from typing import ClassVar

from bench.heads.layers import LayerHeads, LinearHeads, Net
from bench.heads.training import start
from bench.heads.weighting import L2WConfig, Weighting
from bench.method import Task
from bench.recipe import Recipe


class L2W(Recipe):
    """Learning to weight samples (Han, Pu et al., L2W-DEN, ECCV 2022): train each exit for samples that leave there.

    A net E → 500 → E (ReLU, tanh) turns the losses of a sample at the E heads into weights 1 + eps·(w - mean), the mean
    over the batch's matrix (`centring=mat`, ImageNet) or over the exits of each sample (`col`, CIFAR). Heads minimise
    Σ_k mean_i w_ik CE_ik. Every `interval` batches the net learns: one half of the batch takes a lookahead step of the
    heads with its weights, the other half is then assigned to exits (exit by exit, the ⌊N·q_k⌋ most confident samples
    that *no earlier exit has taken*, q geometric with `ratio`) and their CE where they left is differentiated through
    the step; both halves in turn, then one step of the net (Adam, weight decay 1e-4, cosine). That CE is the sum over
    exits of the mean over each exit's samples (`objective=exits`, the release's), so that the few samples of a late
    exit count as much as the many of an early one, or the mean over all samples (`samples`).

    Differences: the frozen head is one of the K exits that samples are assigned to and takes the rest, as it does at
    inference, although it has no weights. Heads train with AdamW like those of all recipes; the lookahead is its step,
    momentum SGD at AdamW's current rate for each coordinate, whereas the original has one rate. The net learns every 10
    batches at 1e-3 (original: 1 or 100 batches, 1e-4), because our splits make few batches. The release takes two steps
    of the heads and two of the net a batch, one after each half; here each takes one, on the whole batch. Each weighted
    head is still selected by its own plain val NLL.
    """

    name: ClassVar[str] = "l2w"
    version: ClassVar[int] = 2
    Config: ClassVar[type] = L2WConfig

    def fit(self, task: Task) -> LayerHeads:
        """Train heads and weights on task.train; select each head's epoch on task.val."""
        if not task.train.features:
            return LinearHeads([])
        net = Net(task.train, task.num_classes, self.config.width, start(task))
        return net.heads(Weighting(task, net, self.config).run())
