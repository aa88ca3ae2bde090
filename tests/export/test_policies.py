"""Policies of every method come back from text and tensors, and answer and decide the same to the last bit."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from bench.exits import ForwardPass
from bench.export.numbers import numbers
from bench.method import Infeasible
from bench.plugins import registry
from bench.rules import HeadsPolicy, Pointwise, ThresholdPolicy, max_probability
from bench.trials.modules import describe, rebuild
from bench.trials.plan import load_methods
from tests.helpers.tasks import GivenHeads, make_task

FAST = {
    "jeidnn": "jeidnn[epochs=2,points=4]",
    "eenet": "eenet[restarts=1,rounds=1,steps=2]",
    "learned_exit": "learned_exit[epochs=2]",
    "lookahead": "lookahead[trees=3]",
    "l2w_den": "l2w_den[heads=l2w[epochs=1]]",
    "boostednet": "boostednet[heads=boosted[epochs=1]]",
    "ztw": "ztw[heads=ztw[epochs=1,ensemble_steps=1]]",
}
MORE = (
    "jeidnn[preset=paper,epochs=2,points=4]",
    "jeidnn[preset=released,epochs=2,points=4]",
    "msdnet_thresh[heads=calibrated]",
    "msdnet_thresh[heads=plain[width=5,epochs=1]]",
    "patience[counting=lgvit]",
    "mie_lap[predictive=probit]",
    "anytime_poe[activation=relu]",
)


@pytest.fixture(scope="module")
def task():
    return make_task(150)


def stored(policy: nn.Module) -> nn.Module:
    """A policy after a trip through JSON and safetensors."""
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(describe(policy, tensors, "policy"), allow_nan=False)
    return rebuild(json.loads(text), load(save(tensors)))


@torch.no_grad()
def everything(policy, data) -> list[torch.Tensor]:
    """Heads' logits, answers and decisions of all exits."""
    forward, found = ForwardPass(policy.head, policy.combine), []
    for k in range(data.num_exits):
        found.append(forward.step(data.batch(k, slice(None))))
        if k < data.num_exits - 1:
            found.append(policy.leave(k, forward.answers))
    return [*forward._logits, *found]


@pytest.mark.parametrize("name", [*(FAST.get(name, name) for name in registry.plugins("methods")), *MORE])
def test_a_policy_of_every_method_comes_back(task, name):
    (method,) = load_methods([name])
    policies = [p for p in method.fit(task, (0.55, 0.8, 1.0)) if not isinstance(p, Infeasible)]
    assert policies
    for policy in policies:
        again = stored(policy)
        assert type(again) is type(policy) and again.note == policy.note
        pairs = zip(everything(policy, task.val), everything(again, task.val), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
        assert [again.macs(k) for k in range(task.num_exits)] == [policy.macs(k) for k in range(task.num_exits)]
        read = numbers(again)  # of modules that two places share, it has both
        assert all(read[key] == value for key, value in numbers(policy).items())


def test_every_method_is_tried_with_its_defaults_or_faster():
    assert set(FAST) <= set(registry.plugins("methods"))


def thresholds(*values: float) -> ThresholdPolicy:
    return ThresholdPolicy(GivenHeads(), Pointwise(max_probability), torch.tensor(values), 3)


def test_thresholds_can_be_read():
    found = numbers(thresholds(0.5, 0.75, -torch.inf))
    assert found["thresholds"] == [0.5, 0.75, "-inf"]
    assert found["score.function"] == "max_probability"


def test_layers_and_large_tensors_are_not_written_out():
    policy = thresholds(0.5)
    policy.layer = nn.Linear(3, 2)
    policy.register_buffer("table", torch.zeros(300))
    found = numbers(policy)
    assert found["layer.weight"].startswith("2 × 3 numbers") and found["table"].startswith("300 numbers")


class OfALambda(HeadsPolicy):
    def __init__(self):
        super().__init__(GivenHeads(), 2)
        self.rule = lambda x: x


def test_a_policy_that_holds_a_lambda_cannot_be_described():
    with pytest.raises(TypeError, match=r"policy\.rule is a function"):
        describe(OfALambda(), {}, "policy")


EVIL = (
    {"function": "os:system"},
    {"function": "torch:load"},
    {"function": "bench.rules.scores:torch.load"},  # not its own
    {"function": "bench.rules.policies:max_probability"},
    {"function": "bench.cli:main"},
    {"function": "bench.system.files:write_atomic"},
    {"function": "bench.__main__:main"},
    {"module": "bench.backbones.staged:StagedBackbone", "held": {}},
    {"module": "bench.rules.policies:HeadsPolicy", "held": {"_forward_hooks": {"dict": {}}}},
    {"module": "bench.rules.policies:no_such_class", "held": {}},
    {"module": "bench.rules.policies", "held": {}},
    {"module": "bench.rules.policies:Tensor", "held": {}},
    {"dataclass": "subprocess:Popen", "held": {"args": "true"}},
    {"dataclass": "bench.config:Dispatch", "held": {}},
    {"float": "one"},
    {"dict": 3},
    {"list": 3},
)


@pytest.mark.parametrize("part", EVIL)
def test_a_description_reaches_only_what_policies_are_made_of(part):
    tensors: dict[str, torch.Tensor] = {}
    description = describe(thresholds(0.5), tensors, "policy")
    evil = copy.deepcopy(description)
    evil["held"]["score"] = part
    with pytest.raises(ValueError, match=r"cannot be rebuilt|could not convert"):
        rebuild(evil, tensors)


def test_a_description_without_end_is_refused():
    deep: dict = {"list": []}
    for _ in range(100_000):
        deep = {"list": [deep]}
    with pytest.raises(ValueError, match="recursion"):
        rebuild({"module": "bench.rules.policies:HeadsPolicy", "held": {"x": deep}}, {})
