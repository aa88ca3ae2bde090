from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from bench.methods.jeidnn.bilevel import Bilevel, BilevelSchedule
from bench.methods.jeidnn.gates import coins
from bench.methods.jeidnn.targets import cross_entropy, gate_targets
from torch.nn.functional import binary_cross_entropy_with_logits

from bench import heads
from bench.exits import exit_distribution, first_true, uncertainty_features
from bench.heads.plain import LinearHeads
from bench.inference import simulate
from bench.method import ExitData, Task
from bench.plugins import registry
from bench.trials.plan import load_methods
from tests.helpers.tasks import make_split, make_task

COSTS = torch.tensor([0.2, 0.4, 0.6, 0.8, 1.0])
LAM = torch.tensor([0.05, 0.3, 1.0])


def bilevel(task: Task, lam=LAM, *, weighted=False, more=None, **schedule) -> Bilevel:
    options = {"counting": "released", "reading": "clipped"} | (more or {})
    return Bilevel(task, lam, COSTS[: task.num_exits], BilevelSchedule(**schedule), weighted=weighted, **options)


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


def golden_trainer(d) -> Bilevel:
    """Return a trainer whose exit 0 has the inputs, head and gates of the golden numbers."""
    exits = d["gate_bias"].shape[0]
    data = ExitData((d["z0"],) * exits, torch.zeros(len(d["z0"]), d["head_bias"].shape[0]), d["labels"])
    task = Task(data, data, tuple(range(1, exits + 2)), d["head_bias"].shape[0], 0, torch.device("cpu"))
    options = {"weighted": False, "counting": "none", "reading": "clipped"}
    trainer = Bilevel(task, d["lam"][None], d["costs"], BilevelSchedule(weight_decay=0), **options)
    trainer.train[0], trainer.heads[0], trainer.biases[0] = d["z0"], d["head_weight"], d["head_bias"]
    trainer.weight, trainer.bias, trainer.pos_weight = (d[k][None] for k in ("gate_weight", "gate_bias", "pos_weight"))
    return trainer


@pytest.fixture
def released(golden) -> dict[str, torch.Tensor]:
    d = {k: torch.from_numpy(np.asarray(v)) for k, v in np.load(golden / "jeidnn_losses.npz").items()}
    return {k: v.float() if v.is_floating_point() else v.long() for k, v in d.items()}


def test_golden_head_loss_and_gradient(released):
    assert float(released["losses"][:, :-1].mean()) == pytest.approx(float(released["im_loss"]), abs=1e-5)
    trainer = golden_trainer(released)
    trainer._head_step(torch.arange(len(released["z0"])), None, lr=0.0)
    torch.testing.assert_close(trainer.momenta[0].T, released["im_grad_exit0"], atol=1e-5, rtol=0)


def test_golden_gate_step(released):
    trainer = golden_trainer(released)
    trainer._gate_step(released["features"][None], trainer._targets(released["losses"][None]), lr=0.0)
    for got, name in zip(trainer.gate_momentum, ("gate_weight_grad", "gate_bias_grad"), strict=True):
        torch.testing.assert_close(got[0], released[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_head_steps_follow_the_gradient_of_the_stated_loss(weighted):
    task = make_task(200)
    trainer = bilevel(task, weighted=weighted, weight_decay=0)
    if weighted:
        trainer._multiply(len(LAM))
    rows = torch.arange(64)
    weights = [w.clone().requires_grad_() for w in trainer.heads]
    logits = [
        torch.addmm(b, x[rows], w).view(64, trainer.sets, -1)
        for x, w, b in zip(trainer.train, weights, trainer.biases, strict=True)
    ]
    losses = torch.stack([cross_entropy(x, task.train.labels[rows]) for x in logits], -1)
    if weighted:
        features = torch.stack([uncertainty_features(x) for x in logits], 2).detach()
        z = torch.einsum("nhgf,hgf->nhg", features, trainer.weight) + trainer.bias
        marginal, _ = exit_distribution(z.sigmoid())
        loss = (marginal * losses).sum(-1).mean(0).sum()
    else:
        loss = losses.mean()
    expected = torch.autograd.grad(loss, weights)
    trainer._head_step(rows, None, lr=0.0)
    for got, want in zip(trainer.momenta, expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("draw", [None, 3])
def test_single_heads_learn_from_the_samples_that_leave_there(draw):
    task = make_task(200)
    trainer = bilevel(task, weighted=True, weight_decay=0, more={"single": True, "draw": draw})
    trainer._multiply(len(LAM))
    trainer.bias = torch.linspace(-2.5, 0.5, 3)[:, None].expand(-1, 4).clone()  # from late to early exits
    rows, labels = torch.arange(64), task.train.labels[:64]
    weights = [w.clone().requires_grad_() for w in trainer.heads]
    logits = [
        torch.addmm(b, x[rows], w).view(64, 3, -1)
        for x, w, b in zip(trainer.train, weights, trainer.biases, strict=True)
    ]
    loss, left = 0.0, set()
    for p in range(3):
        own = torch.stack([x[:, p] for x in logits], 1)
        z = torch.einsum("ngf,gf->ng", uncertainty_features(own).detach(), trainer.weight[p]) + trainer.bias[p]
        marginal, conditional = exit_distribution(z.sigmoid())
        drawn = coins(own, draw)
        taken = (
            first_true(conditional >= 0.5)
            if drawn is None
            else (marginal.cumsum(-1) <= drawn.detach()[:, None]).sum(-1)
        )
        left |= set(taken.tolist())
        gated = torch.cat([own, torch.zeros(64, 1, own.shape[-1])], 1)[rows, taken]
        loss = loss + (cross_entropy(gated, labels) * (taken < 4)).sum() / 64
    assert len(left) > 2
    expected = torch.autograd.grad(loss, weights)
    trainer._head_step(rows, None, lr=0.0)
    for got, want in zip(trainer.momenta, expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-4)


def test_a_head_that_nobody_leaves_at_gets_no_gradient():
    task = make_task(100)
    trainer = bilevel(task, weighted=True, weight_decay=0, more={"single": True, "reading": "cumulative"})
    trainer._multiply(len(LAM))
    trainer.weight, trainer.bias = torch.zeros_like(trainer.weight), torch.tensor([[-9.0, 9, 9, 9]] * 3)
    trainer._head_step(torch.arange(64), None, lr=0.0)
    assert [bool(m.any()) for m in trainer.momenta] == [False, True, False, False]
    trainer.bias = torch.full_like(trainer.bias, -9.0)
    trainer.momenta = [torch.zeros_like(m) for m in trainer.momenta]
    trainer._head_step(torch.arange(64), None, lr=0.0)
    assert not any(bool(m.any()) for m in trainer.momenta)


@pytest.mark.parametrize("weighted", [False, True])
def test_gate_steps_leave_out_the_gates_after_the_best_exit(weighted):
    task = make_task(200)
    trainer = bilevel(task, weighted=weighted, weight_decay=0, more={"scheme": "ignore_subsequent"})
    if weighted:
        trainer._multiply(len(LAM))
    trainer.pos_weight = torch.rand(len(LAM), 4) * 5
    features, losses = trainer._read(task.train, trainer.train, torch.arange(50))
    best = (losses + LAM[:, None, None] * COSTS).argmin(-1)
    weight, bias = trainer.weight.clone().requires_grad_(), trainer.bias.clone().requires_grad_()
    z = (features * weight[:, None]).sum(-1) + bias[:, None]
    total = torch.zeros(())
    for p in range(3):
        terms = []
        for n in range(50):
            for k in range(min(int(best[p, n]) + 1, 4)):
                right = float(k == best[p, n])
                w = trainer.pos_weight[p, k] if right else torch.ones(())
                terms.append(w * binary_cross_entropy_with_logits(z[p, n, k], torch.tensor(right)))
        total = total + torch.stack(terms).mean()
    expected = torch.autograd.grad(total, (weight, bias))
    trainer._gate_step(features, trainer._targets(losses), lr=0.0)
    for got, want in zip(trainer.gate_momentum, expected, strict=True):
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


HISTORY = {"single": True, "draw": 1, "objective": "prob", "scheme": "ignore_subsequent", "counting": "global"}


@pytest.mark.parametrize(
    ("weighted", "warmup", "more"),
    [
        (False, "fixed", {}),
        (False, "dynamic", {}),
        (True, "fixed", {}),
        (True, "dynamic", {}),
        (True, "fixed", HISTORY),
    ],
)
def test_fused_training_gives_what_one_lambda_at_a_time_gives(weighted, warmup, more):
    task = make_task(300)
    plan = {"epochs": 4, "warmup_epochs": 2, "switch": 3, "warmup": warmup, "more": more}
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


@pytest.mark.parametrize(
    "options",
    [
        "preset=ours",
        "gate_data=train,pos_weight=released,objective=zeroOne",
        "scheme=ignore_subsequent,reading=clipped,pos_weight=global,decision=prob",
        "preset=released,epochs=3,points=3",
        "preset=paper,epochs=3,points=3",
        "preset=paper,im_loss=single,reading=single,scheme=only,pos_weight=global,decision=prob,epochs=3,points=3",
    ],
)
def test_all_tensors_are_made_on_the_device_of_the_task(options, monkeypatch):
    """A device without memory of its own stands for the GPU: operations on tensors of two devices fail there too."""
    away = torch.device("meta")

    class Generator:
        def __init__(self, device="cpu"):
            self.device = torch.device(device)

        def manual_seed(self, seed):
            return self

    def drawing(function):
        def draw(*args, generator=None, **kwargs):
            assert generator is None or torch.device(kwargs.get("device") or "cpu") == generator.device
            return function(*args, **kwargs)

        return draw

    monkeypatch.setattr(torch, "Generator", Generator)
    for name in ("rand", "randn", "randperm"):
        monkeypatch.setattr(torch, name, drawing(getattr(torch, name)))
    monkeypatch.setattr(torch, "equal", lambda a, b: a.device == b.device and a.shape == b.shape)
    answers = itertools.cycle([True, False, False])  # there are no values to ask: one Newton step, then the end
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: next(answers))
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: 0.5)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: torch.full(self.shape, 0.5, dtype=self.dtype))

    given = LinearHeads([torch.nn.Linear(5, 3, device=away) for _ in range(3)])
    monkeypatch.setattr(heads, "fit", lambda recipe, task: given)

    def split() -> ExitData:
        features = tuple(torch.empty(40, 5, device=away) for _ in range(3))
        return ExitData(features, torch.empty(40, 3, device=away), torch.empty(40, dtype=torch.int64, device=away))

    task = Task(split(), split(), (1000, 2000, 3000, 4000), 3, 0, away)
    (method,) = load_methods([f"jeidnn[{options}]"])
    for policy in [*method.curve(task, [0.0, 0.5]), *method.fit(task, [0.6, 1.0])]:
        assert simulate(policy, task.val, task.macs).exit_index.device == away


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
