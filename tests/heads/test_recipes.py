"""What all recipes owe, whatever their loss."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
import torch

from bench import heads
from bench.method import ExitData
from tests.helpers.tasks import make_task

SPECS = [
    "plain[epochs=4]",
    "plain[epochs=4,width=8]",
    "distilled[epochs=4,labels=0.3,temperature=2]",
    "distilled[epochs=4,width=8]",
    "boosted[epochs=4]",
    "boosted[epochs=4,width=8,final=alone]",
    "l2w[epochs=4,interval=1,hidden=16]",
    "l2w[epochs=4,interval=2,hidden=16,centring=col,width=8]",
    "ztw[epochs=4,ensemble_steps=20]",
    "ztw[epochs=4,ensemble_steps=20,weights=softplus,width=8]",
    "calibrated[base=plain[epochs=4]]",
    "calibrated[base=ztw[epochs=4,ensemble_steps=20]]",
    "cosee[epochs=4]",
    "cosee[epochs=4,thresholds=2,width=8]",
    "prior_adjusted[base=plain[epochs=4]]",
    "prior_adjusted[base=boosted[epochs=4],tau=one]",
]
EXACT = ["class_means", "class_means[temperature=one]", "lens"]  # nothing in them is drawn at random


def first(data: ExitData, n: int) -> ExitData:
    return ExitData(tuple(x[:n] for x in data.features), data.final_logits[:n], data.labels[:n])


@pytest.mark.parametrize("spec", SPECS)
def test_the_same_seed_gives_the_same_heads_and_another_seed_others(spec):
    states = []
    for seed in (0, 0, 1):
        task = dataclasses.replace(make_task(60), seed=seed)
        states.append(heads.fit(spec, task).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert any(not torch.equal(states[0][key], states[2][key]) for key in states[0])


@pytest.mark.parametrize("spec", [*SPECS, *EXACT])
def test_heads_learn(spec):
    task = make_task(400, classes=4)
    answers = heads.fit(spec.replace("epochs=4", "batch_size=50,lr=0.03,epochs=8", 1), task).logits(task.val)
    accuracy = (answers.argmax(-1) == task.val.labels[:, None]).double().mean(0)
    assert (accuracy > 0.38).all()
    assert accuracy[3] > accuracy[0]


@pytest.mark.parametrize("spec", [*SPECS, *EXACT])
def test_heads_survive_pickling_and_batches_change_nothing(spec):
    task = make_task(120)
    fitted = heads.fit(spec, task)
    answers = fitted.logits(task.val)
    torch.testing.assert_close(pickle.loads(pickle.dumps(fitted)).logits(task.val), answers, atol=0, rtol=0)
    torch.testing.assert_close(fitted.logits(first(task.val, 1)), answers[:1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("spec", [*SPECS, *EXACT])
def test_an_answer_depends_on_its_own_and_earlier_exits_only(spec):
    task = make_task(120)
    fitted = heads.fit(spec, task)
    answers = fitted.logits(task.val)
    later = tuple(x if k < 2 else x + 5 for k, x in enumerate(task.val.features))
    changed = fitted.logits(ExitData(later, task.val.final_logits.flip(0), task.val.labels))
    torch.testing.assert_close(changed[:, :2], answers[:, :2], atol=0, rtol=0)
    assert not torch.allclose(changed[:, 2], answers[:, 2])


@pytest.mark.parametrize("spec", [*SPECS, *EXACT])
def test_heads_without_memory_answer_from_their_own_logits_alone(spec):
    task = make_task(120)
    fitted = heads.fit(spec, task)
    answers = fitted.logits(task.val)
    other = ExitData((task.val.features[0] + 5, *task.val.features[1:]), task.val.final_logits, task.val.labels)
    same = torch.allclose(fitted.logits(other)[:, 1], answers[:, 1])
    assert same == (not fitted.needs_previous)


@pytest.mark.parametrize("spec", [*SPECS, *EXACT])
@pytest.mark.parametrize(
    ("n", "exits", "classes"), [(2, 4, 3), (50, 4, 1), (50, 1, 3), (50, 2, 3), (2, 1, 1), (1, 3, 2)]
)
def test_tiny_tasks_are_fitted(spec, n, exits, classes):
    task = make_task(n, exits=exits, classes=classes)
    fitted = heads.fit(spec, task)
    answers = fitted.logits(task.val)
    assert answers.shape == (n, exits, classes)
    assert answers.isfinite().all()
    assert all(fitted.macs(k) >= 0 for k in range(exits))


@pytest.mark.parametrize("spec", [*SPECS, *EXACT])
def test_saturated_and_constant_inputs_stay_finite(spec):
    task = make_task(60)
    parts = {}
    for name in ("train", "val"):
        data = getattr(task, name)
        features = (torch.zeros_like(data.features[0]), *(1e4 * x for x in data.features[1:]))
        parts[name] = ExitData(features, 1e4 * data.final_logits.sign(), data.labels)
    task = dataclasses.replace(task, **parts, shared_cache={})
    assert heads.fit(spec, task).logits(task.val).isfinite().all()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("plain[epochs=1]", [72, 72, 72, 72, 0]),
        ("plain[epochs=1,width=8]", [144, 144, 144, 144, 0]),
        ("distilled[epochs=1]", [72, 72, 72, 72, 0]),
        ("l2w[epochs=1]", [72, 72, 72, 72, 0]),
        ("boosted[epochs=1]", [72, 78, 78, 78, 6]),
        ("boosted[epochs=1,final=alone]", [72, 78, 78, 78, 0]),
        # 12·6, then 6² for the cascade and 2·6 for its normalisation; ensembles of 1, 2, 3, 4 heads
        ("ztw[epochs=1,ensemble_steps=0]", [72 + 6, 120 + 12, 120 + 18, 120 + 24, 0]),
        ("ztw[epochs=1,ensemble_steps=0,width=8]", [144 + 6, 204 + 12, 204 + 18, 204 + 24, 0]),
        ("calibrated[base=plain[epochs=1]]", [78, 78, 78, 78, 6]),
        ("calibrated[base=boosted[epochs=1]]", [78, 84, 84, 84, 12]),
        ("cosee[epochs=1]", [72, 72, 72, 72, 0]),
        ("prior_adjusted[base=boosted[epochs=1]]", [72, 78, 78, 78, 6]),
        ("lens", [72, 72, 72, 72, 0]),
        # 12·6 products with the means, 12 for the square of the features, 6 scales
        ("class_means", [90, 90, 90, 90, 0]),
    ],
)
def test_multiply_accumulates_by_hand(spec, expected):
    fitted = heads.fit(spec, make_task(10, classes=6, dims=12))
    assert [fitted.macs(k) for k in range(5)] == expected


def test_a_recipe_is_fitted_once_per_task_and_shared():
    task = make_task(30)
    calibrated = heads.fit("calibrated[base=plain[epochs=2]]", task)
    assert calibrated.base is heads.fit("plain[epochs=2]", task)
