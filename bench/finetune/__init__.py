"""Make a frozen network for a dataset: train it on the protocol's train split, alone or with a head at every exit."""

from bench.finetune.config import FineTuning
from bench.finetune.run import Progress, Wanted, finetune

__all__ = ["FineTuning", "Progress", "Wanted", "finetune"]
