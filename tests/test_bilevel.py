from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from bench import registry
from bench.bilevel import Bilevel, Schedule, cross_entropy
from bench.exits import exit_distribution, uncertainty_features
from bench.gates import gate_targets
from bench.method import ExitData, Task
from bench.play import simulate
from tests.synthetic import make_split, make_task

COSTS = torch.tensor([0.2, 0.4, 0.6, 0.8, 1.0])
LAM = torch.tensor([0.05, 0.3, 1.0])


def bilevel(task: Task, lam=LAM, *, weighted=False, **schedule) -> Bilevel:
    options = {"counting": "released", "reading": "clipped"}
    return Bilevel(task, lam, COSTS[: task.num_exits], Schedule(**schedule), weighted=weighted, **options)


def official_head_loss(losses: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
    """The released loss: weights renormalised per sample by a factor that is not detached."""
    weighted = probability * losses
    return (weighted * (losses.sum(-1) / weighted.sum(-1))[:, None]).mean()


def test_the_released_weights_cancel_in_value_and_gradient():
    g = torch.Generator().manual_seed(0)
    losses = torch.rand(30, 4, generator=g, dtype=torch.float64, requires_grad=True)
    probability = torch.rand(30, 4, generator=g, dtype=torch.float64)
    official, uniform = official_head_loss(losses, probability), losses.mean()
    torch.testing.assert_close(official, uniform)
    torch.testing.assert_close(torch.autograd.grad(official, losses)[0], torch.autograd.grad(uniform, losses)[0])


def test_golden_head_loss_and_gradient(shared):
    d = {k: torch.from_numpy(np.asarray(v)) for k, v in np.load(shared / "golden" / "jeidnn_small.npz").items()}
    logits, labels, z0 = d["logits"].float(), d["labels"].long(), d["z0"].float()
    losses = torch.stack([cross_entropy(x, labels) for x in logits[:, :-1].unbind(1)], 1)
    assert float(losses.mean()) == pytest.approx(float(d["im_loss"]), abs=1e-5)
    exits = losses.shape[1]
    data = ExitData((z0,) * exits, logits[:, -1], labels)
    task = Task(data, data, tuple(range(1, exits + 2)), logits.shape[-1], 0, torch.device("cpu"))
    trainer = Bilevel(
        task, LAM, d["costs"], Schedule(weight_decay=0), weighted=False, counting="none", reading="clipped"
    )
    design = torch.cat([z0, torch.ones(len(z0), 1)], 1).double()
    solution = torch.linalg.lstsq(design, logits[:, 0].double()).solution.float()
    trainer.train[0], trainer.heads[0], trainer.biases[0] = z0, solution[:-1], solution[-1]
    trainer._head_step(torch.arange(len(z0)), None, lr=0.0)
    torch.testing.assert_close(trainer.momenta[0].T, d["im_grad_exit0"].float(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_head_steps_follow_the_gradient_of_the_stated_loss(weighted):
    task = make_task(200)
    trainer = bilevel(task, weighted=weighted, weight_decay=0)
    if weighted:
        trainer._multiply(len(LAM))
    rows = torch.arange(64)
    heads = [w.clone().requires_grad_() for w in trainer.heads]
    logits = [
        torch.addmm(b, x[rows], w).view(64, trainer.sets, -1)
        for x, w, b in zip(trainer.train, heads, trainer.biases, strict=True)
    ]
    losses = torch.stack([cross_entropy(x, task.train.labels[rows]) for x in logits], -1)
    if weighted:
        features = torch.stack([uncertainty_features(x) for x in logits], 2).detach()
        z = torch.einsum("nhgf,hgf->nhg", features, trainer.weight) + trainer.bias
        marginal, _ = exit_distribution(z.sigmoid())
        loss = (marginal * losses).sum(-1).mean(0).sum()
    else:
        loss = losses.mean()
    expected = torch.autograd.grad(loss, heads)
    trainer._head_step(rows, None, lr=0.0)
    for got, want in zip(trainer.momenta, expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_gate_steps_follow_the_gradient_of_the_weighted_cross_entropy(weighted):
    task = make_task(200)
    trainer = bilevel(task, weighted=weighted, weight_decay=0)
    if weighted:
        trainer._multiply(len(LAM))
    trainer.pos_weight = torch.rand(len(LAM), 4) * 5
    features, losses = trainer._read(task.train, trainer.train, torch.arange(50))
    targets = gate_targets(losses, COSTS, LAM[:, None, None])
    weight, bias = trainer.weight.clone().requires_grad_(), trainer.bias.clone().requires_grad_()
    z = (features * weight[:, None]).sum(-1) + bias[:, None]
    each = binary_cross_entropy_with_logits(z, targets, pos_weight=trainer.pos_weight[:, None], reduction="none")
    expected = torch.autograd.grad(each.mean((1, 2)).sum(), (weight, bias))
    trainer._gate_step(features, targets, lr=0.0)
    for got, want in zip(trainer.gate_momentum, expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("warmup", ["fixed", "dynamic"])
def test_fused_training_gives_what_one_lambda_at_a_time_gives(weighted, warmup):
    task = make_task(300)
    plan = {"epochs": 4, "warmup_epochs": 2, "switch": 3, "warmup": warmup}
    fused_heads, fused_gates = bilevel(task, weighted=weighted, **plan).run()
    assert len(fused_heads) == (len(LAM) if weighted else 1)
    for p, lam in enumerate(LAM):
        (alone,), gates = bilevel(task, lam[None], weighted=weighted, **plan).run()
        torch.testing.assert_close(fused_gates.weight[p], gates.weight[0], atol=1e-4, rtol=1e-3)
        together = fused_heads[p if weighted else 0]
        torch.testing.assert_close(together.logits(task.val), alone.logits(task.val), atol=1e-3, rtol=1e-3)


def test_phases_restart_each_epoch_or_continue():
    task = make_task(200)  # four batches of 64, so three steps fill most of an epoch
    phases: list[str] = []
    for restart in (True, False):
        trainer = bilevel(task, epochs=3, warmup_epochs=0, switch=3, restart=restart)
        seen: list[str] = []
        trainer._gate_step = lambda *_, seen=seen: seen.append("g")
        trainer._head_step = lambda *_, seen=seen: seen.append("h")
        trainer.run()
        phases.append("".join(seen))
    assert phases == ["gggh" * 3, "ggghhhggghhh"]


def test_a_short_epoch_that_restarts_never_trains_heads():
    task = make_task(200)
    trainer = bilevel(task, epochs=3, warmup_epochs=1, switch=200, restart=True)
    before = [w.clone() for w in trainer.heads]
    trainer._warm_up()
    warmed = [w.clone() for w in trainer.heads]
    trainer._joint_epoch(0, 0.01)
    assert not torch.equal(before[0], warmed[0])
    assert all(torch.equal(a, b) for a, b in zip(warmed, trainer.heads, strict=True))


DEGENERATE = {
    "one class": {"classes": 1},
    "two samples": {"n": 2},
    "one gate": {"exits": 2},
    "only the last exit": {"exits": 1},
}


@pytest.mark.parametrize("preset", ["ours", "paper,epochs=3", "released,epochs=3"])
@pytest.mark.parametrize("shape", DEGENERATE, ids=str)
def test_degenerate_tasks_give_finite_policies(preset, shape):
    from bench.trials.plan import load_methods

    task = make_task(**({"n": 60} | DEGENERATE[shape]))
    for policy in load_methods([f"jeidnn[preset={preset},points=4]"])[0].curve(task, [0.0, 0.5, 50.0]):
        outcomes = simulate(policy, task.val, task.macs)
        assert all(t.isfinite().all() for t in policy.state_dict().values())
        assert outcomes.logits.isfinite().all()


@pytest.mark.parametrize("preset", ["ours", "paper", "released"])
def test_saturated_logits_give_finite_policies(preset):
    plain = make_task(80)
    loud = ExitData(tuple(1e4 * x for x in plain.train.features), 1e4 * plain.train.final_logits, plain.train.labels)
    task = Task(loud, loud, plain.macs, plain.num_classes, 0, plain.device)
    jeidnn = registry.load("methods", "jeidnn")
    for policy in jeidnn(jeidnn.Config(preset=preset, epochs=3, points=4)).curve(task, [0.0, 1.0]):
        assert simulate(policy, task.val, task.macs).logits.isfinite().all()
        assert all(t.isfinite().all() for t in policy.state_dict().values())


@pytest.mark.gpu
@pytest.mark.parametrize("preset", ["ours", "paper", "released"])
def test_cpu_and_gpu_agree(preset):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    jeidnn = registry.load("methods", "jeidnn")
    task, test = make_task(400), make_split(400, exits=5, classes=6, dims=12, seed=5)

    def move(data: ExitData) -> ExitData:
        return ExitData(tuple(x.cuda() for x in data.features), data.final_logits.cuda(), data.labels.cuda())

    there = Task(move(task.train), move(task.val), task.macs, task.num_classes, 0, torch.device("cuda"))
    config = jeidnn.Config(preset=preset, epochs=4, points=4)
    here = [simulate(p, test, task.macs).macs.double().mean() for p in jeidnn(config).curve(task, [0.05, 0.5])]
    away = [simulate(p, move(test), task.macs).macs.double().mean() for p in jeidnn(config).curve(there, [0.05, 0.5])]
    if preset == "ours":
        assert torch.allclose(torch.stack(here), torch.stack(away).cpu(), rtol=0.02)
    assert all(torch.isfinite(x) for x in away)
