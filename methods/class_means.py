"""Early exit via class means (Görmez, Dasari & Koyuncu, E²CM, IJCNN 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, max_probability, one_threshold


@dataclass(frozen=True)
class ClassMeansConfig:
    """The heads, e.g. class_means[temperature=one]."""

    heads: str = "class_means"


class ClassMeans(Method):
    """Class-mean heads with one threshold on their largest probability (E²CM, Görmez, Dasari & Koyuncu, IJCNN 2022).

    An exit answers with the softmax of the negative, normalised distances of its features to the class means of train
    (recipe `class_means`), and a sample leaves at the first exit whose largest probability reaches t. No head is
    trained. For a budget, t is found by bisection over the values that occur on val.

    Source: https://arxiv.org/abs/2103.01148, code that could be read in part. Difference: the original has a threshold
    per layer, searched on train for the convex hull of accuracy over cost; here exits share one, which their
    temperatures make comparable.
    """

    name: ClassVar[str] = "class_means"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="E²CM: Early Exit via Class Means for Efficient Supervised and Unsupervised Learning",
        authors="Görmez, Dasari, Koyuncu",
        venue="IJCNN",
        year=2022,
        link="https://arxiv.org/abs/2103.01148",
        family="heads",
        basis="assumed in part",
        detail="distances and their scale as the paper has them; temperatures and one threshold for all exits are ours",
    )
    Config: ClassVar[type] = ClassMeansConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold with the largest val cost that fits it."""
        return one_threshold(task, budgets, heads.fit(self.config.heads, task), Pointwise(max_probability))
