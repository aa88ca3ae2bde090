from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
import torch
from torch import nn

from bench import heads
from bench.heads.layers import LayerHeads
from bench.plugins import registry
from bench.rules import shared_heads
from bench.trials.modules import describe, rebuild
from bench.trials.plan import load_methods
from tests.helpers.tasks import make_task


@pytest.fixture(scope="module")
def task():
    made = make_task(120)
    return replace(made, native=tuple((torch.ones(6, 12) * k, torch.arange(6.0)) for k in range(4)))


def round_trip(module: nn.Module) -> nn.Module:
    tensors: dict[str, torch.Tensor] = {}
    return rebuild(describe(module, tensors, "heads"), tensors)


@pytest.mark.parametrize("recipe", [*registry.plugins("heads"), "plain[width=5]", "calibrated[base=boosted]"])
def test_heads_of_every_recipe_come_back_and_answer_the_same(task, recipe):
    spec = f"{recipe}[epochs=1]" if recipe in ("plain", "distilled", "boosted", "l2w", "ztw", "cosee") else recipe
    fitted = heads.fit(spec, task)
    again = round_trip(fitted)
    assert type(again) is type(fitted)
    assert torch.equal(again.logits(task.val), fitted.logits(task.val))
    assert [again.macs(k) for k in range(task.num_exits)] == [fitted.macs(k) for k in range(task.num_exits)]


@pytest.mark.parametrize("name", ["mie_lap", "anytime_poe", "caching", "jeidnn[epochs=2,points=4]"])
def test_heads_that_methods_make_come_back(task, name):
    (method,) = load_methods([name])
    fitted = shared_heads(method.fit(task, (0.9,))[0])
    assert torch.equal(round_trip(fitted).logits(task.val), fitted.logits(task.val))


def test_tensors_that_modules_share_are_stored_once():
    layer, tensors = nn.Linear(3, 2), {}
    description = describe(nn.ModuleList([layer, layer]), tensors, "heads")
    assert len(tensors) == 2
    again = rebuild(description, tensors)
    assert again[0].weight.data_ptr() == again[1].weight.data_ptr()


def test_parts_of_a_tensor_are_stored_beside_it():
    module = nn.ParameterList([nn.Parameter(torch.arange(6.0).view(2, 3))])
    module.register_buffer("part", module[0].detach()[:1])
    module.register_buffer("turned", module[0].detach().T)
    again = round_trip(module)
    assert torch.equal(again[0], module[0])
    assert torch.equal(again.part, module.part) and torch.equal(again.turned, module.turned)


class OfAFunction(LayerHeads):
    def __init__(self):
        super().__init__([])
        self.function = lambda x: x


def test_a_module_that_holds_a_function_cannot_be_described():
    with pytest.raises(TypeError, match=r"heads\.function is a function"):
        describe(OfAFunction(), {}, "heads")


@dataclasses.dataclass
class Plain:
    value: int


@pytest.mark.parametrize(
    "description",
    [
        {"module": "os:system", "held": {}},
        {"module": "subprocess:Popen", "held": {}},
        {"module": "not_a_package:Heads", "held": {}},
        {"module": f"{__name__}:Plain", "held": {}},
        {"dataclass": "bench.trials.modules:rebuild", "held": {}},
        {"module": "torch.nn.modules.linear:Linear", "held": {"weight": {"tensor": "missing", "trained": True}}},
        {"unknown": 1},
        {"list": []},
    ],
)
def test_a_description_can_only_make_modules_of_known_packages(description):
    with pytest.raises(ValueError, match="heads"):
        rebuild(description, {})
