"""A network's own heads answer as they were trained, at the cost of their last layer."""

from dataclasses import replace

import pytest
import torch

from bench import heads
from bench.errors import UserError
from bench.plugins import registry
from tests.helpers.tasks import make_task


@pytest.fixture
def task():
    made = make_task(200, exits=4, classes=3, dims=5)
    g = torch.Generator().manual_seed(1)
    own = [(torch.randn(3, 5, generator=g), torch.randn(3, generator=g)) for _ in range(3)]
    return replace(made, native=tuple(own))


def test_they_answer_as_the_network_does(task):
    fitted = heads.fit("native", task)
    answers = fitted.logits(task.val)
    for k, (weight, bias) in enumerate(task.native):
        torch.testing.assert_close(answers[:, k], task.val.features[k] @ weight.T + bias)
        assert fitted.macs(k) == 15
    assert torch.equal(answers[:, 3], task.val.final_logits) and fitted.macs(3) == 0


def test_features_that_are_logits_already_cost_nothing(task):
    given = replace(make_task(50, exits=4, classes=3, dims=3), native=(None,) * 3)
    fitted = heads.fit("native", given)
    assert torch.equal(fitted.logits(given.val)[:, 1], given.val.features[1])
    assert [fitted.macs(k) for k in range(4)] == [0] * 4


@pytest.mark.parametrize("name", ["msdnet_thresh", "jeidnn", "pcee", "anytime_poe"])
def test_rules_run_on_them(task, name):
    method = registry.load("methods", name)
    options = {"heads": "native"} | ({"epochs": 2} if name == "jeidnn" else {})
    (policy,) = method(method.Config(**options)).fit(task, (0.9,))
    weight, bias = task.native[0]
    answer = policy.head(0, task.val.features[0], ())
    torch.testing.assert_close(answer.softmax(-1), (task.val.features[0] @ weight.T + bias).softmax(-1))


def test_temperatures_go_on_top(task):
    fitted = heads.fit("calibrated[base=native]", task)
    assert type(fitted.base).__name__ == "NativeHeads" and fitted.logits(task.val).shape == (200, 4, 3)


def test_a_network_without_any_is_told_of():
    with pytest.raises(UserError, match=r"no heads of its own.*heads=plain"):
        heads.fit("native", make_task(50))
