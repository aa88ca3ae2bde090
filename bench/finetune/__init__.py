"""Train a network on the protocol's train split, with or without a head at every exit, to use it as a backbone."""

from bench.finetune.config import FineTuning
from bench.finetune.run import Progress, Wanted, finetune

__all__ = ["FineTuning", "Progress", "Wanted", "finetune"]
