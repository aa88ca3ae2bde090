"""A plugin file of methods that change what other methods share, each in its own way."""

from __future__ import annotations

import os
import random
import signal
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from bench.methods.msdnet_thresh import MSDNetThreshold

import bench.budgets
from bench import heads
from bench.method import Method
from bench.metrics import calibration
from bench.rules import ThresholdPolicy

DEEDS = {}


def deed(function):
    DEEDS[function.__name__] = function
    return function


@deed
def writes_train(task, fitted):
    task.train.features[0].add_(1.0)


@deed
def writes_train_behind_autograd(task, fitted):
    task.train.features[1].data.mul_(2.0)


@deed
def writes_val_through_numpy(task, fitted):
    task.val.features[0].numpy()[:] = 0.0


@deed
def writes_labels(task, fitted):
    task.val.labels.fill_(0)


@deed
def writes_final_logits(task, fitted):
    task.val.final_logits.neg_()


@deed
def replaces_a_split(task, fitted):
    object.__setattr__(task.val, "features", tuple(torch.zeros_like(x) for x in task.val.features))


@deed
def writes_shared_heads(task, fitted):
    fitted.layers[0].weight.data.zero_()


@deed
def replaces_a_weight(task, fitted):
    fitted.layers[0].weight = torch.nn.Parameter(torch.zeros_like(fitted.layers[0].weight))


@deed
def adds_noise_to_heads(task, fitted):
    plain = fitted.forward
    fitted.forward = lambda k, x, previous: plain(k, x, previous) + torch.randn(())


@deed
def hooks_heads(task, fitted):
    fitted.layers[0].register_forward_hook(lambda module, inputs, output: output * 0)


@deed
def poisons_the_cache(task, fitted):
    for key in task.shared_cache:
        task.shared_cache[key] = None


@deed
def clears_the_cache(task, fitted):
    task.shared_cache.clear()


@deed
def changes_the_type(task, fitted):
    torch.set_default_dtype(torch.float64)


@deed
def changes_the_device(task, fitted):
    torch.set_default_device("meta")


@deed
def switches_gradients_off(task, fitted):
    torch.set_grad_enabled(False)


@deed
def changes_the_threads(task, fitted):
    torch.set_num_threads(torch.get_num_threads() + 1)


@deed
def demands_determinism(task, fitted):
    torch.use_deterministic_algorithms(True)


@deed
def rounds_products(task, fitted):
    torch.set_float32_matmul_precision("medium")


@deed
def goes_elsewhere(task, fitted):
    os.chdir("/")


@deed
def handles_signals(task, fitted):
    signal.signal(signal.SIGUSR1, lambda *_: None)


@deed
def silences_warnings(task, fitted):
    warnings.simplefilter("ignore")


@deed
def drops_filters_of_warnings(task, fitted):
    warnings.resetwarnings()


@deed
def changes_a_variable(task, fitted):
    os.environ["PATH"] = "/nowhere"


@deed
def removes_a_variable(task, fitted):
    del os.environ["PATH"]


@deed
def replaces_a_generator(task, fitted):
    np.random.set_bit_generator(np.random.PCG64(1))


@deed
def patches_the_optimiser(task, fitted):
    torch.optim.AdamW.step = lambda self, closure=None: None


@deed
def patches_a_score(task, fitted):
    calibration.classwise_ece = lambda *_, **__: 0.0


@deed
def patches_a_solver(task, fitted):
    bench.budgets.global_thresholds = lambda *_: None


@deed
def patches_a_class(task, fitted):
    ThresholdPolicy.leave = lambda self, k, logits: torch.ones(len(logits), dtype=torch.bool)


@dataclass(frozen=True)
class Config:
    deed: str = "writes_train"


class Meddler(Method):
    """Does what its parameter says after what msdnet_thresh does."""

    name = "meddler"
    version = 1
    Config = Config

    def fit(self, task, budgets):
        policies = MSDNetThreshold().fit(task, budgets)
        DEEDS[self.config.deed](task, heads.fit("plain", task))
        return policies


class Harmless(Method):
    """Uses what any method may use: random numbers, a cache entry of its own, what packages do when imported."""

    name = "harmless"
    version = 1
    Config = Config

    def fit(self, task, budgets):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        warnings.filterwarnings("ignore", module="harmless")
        os.environ["HARMLESS"] = "1"
        task.shared_cache["harmless"] = 1
        return MSDNetThreshold().fit(task, budgets)
