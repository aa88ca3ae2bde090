"""Train a network on the protocol's train split, resumably, and write it as a folder that `--backbone` takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from bench import backbones, datasets, protocol
from bench.backbones.builder import only_registered, spec_of
from bench.backbones.network import read
from bench.backbones.staged import StagedBackbone, Tuned
from bench.backbones.weights import RANDOM
from bench.bank.fitting import check_fits
from bench.datasets.dataset import Dataset
from bench.errors import UserError
from bench.finetune import folder as output
from bench.finetune.batches import Batches, Samples
from bench.finetune.config import FineTuning
from bench.finetune.images import Images
from bench.finetune.model import Network, loss
from bench.finetune.parallel import Group, Tell, devices_for, launch
from bench.finetune.texts import Texts
from bench.plugins.files import load_files
from bench.plugins.registry import plugins
from bench.plugins.spec import Spec, parse
from bench.system.cpus import cpu_count
from bench.system.files import slug
from bench.system.memory import reuse_freed_memory
from bench.system.paths import user_path

EVALUATED_AT_ONCE = 256
DEFAULT = Path("networks")


@dataclass(frozen=True)
class Wanted:
    """The user's request: a dataset, a backbone and how it is trained. None or missing means the default."""

    dataset: str
    backbone: str
    recipe: Mapping[str, Any] = field(default_factory=dict)  # fields of FineTuning
    image_size: int | None = None
    weights: str | None = None
    limit: int | None = None
    data_dir: Path | None = None
    plugin: tuple[Path, ...] = ()  # files that define the dataset or the backbone


@dataclass
class Progress:
    """Callbacks for training progress; by default they do nothing."""

    step: Callable[[int, int, float], None] = lambda done, total, value: None  # steps, and the recent mean loss
    epoch: Callable[[dict[str, Any]], None] = lambda entry: None  # an entry of the history


def finetune(
    wanted: Wanted,
    folder: Path | None = None,
    *,
    device: str = "cpu",
    devices: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint_seconds: float = 120.0,
) -> Path:
    """Train a network, resuming an interrupted run, and return its folder (default: networks/NAME).

    The network is trained on the protocol's train split only, minus a part that selects the epoch; never on the pool or
    test samples. devices: processes that share the work (`bench.finetune.parallel`); None: all GPUs for 'cuda', else 1.
    Raises UserError for a folder with other content, and for values that are not valid.
    """
    progress = progress or Progress()
    job = _prepare(wanted)
    folder = DEFAULT / slug(output.name_of(job.start)) if folder is None else folder
    if output.finished(folder, job.start):
        return folder
    devices = devices_for(device, devices, min(job.config.batch_size, len(job.rows), len(job.held)))
    if devices == 1:
        _train(Group(torch.device(device)), job, folder, workers, checkpoint_seconds, progress)
    else:
        events: dict[str, Callable[..., None]] = {"step": progress.step, "epoch": progress.epoch}
        args = wanted, folder, workers, checkpoint_seconds
        launch(devices, device, _train_part, args, lambda kind, *told: events[kind](*told))
    return folder


@dataclass(frozen=True)
class _Job:
    """The inputs of a training run: samples by row, a network, and the description of both."""

    data: Dataset
    rows: np.ndarray  # to train on
    held: np.ndarray  # to select the epoch
    backbone: StagedBackbone
    config: FineTuning
    tuned: Tuned
    again: bool  # the network was tuned on these samples before
    start: dict[str, Any]


def _prepare(wanted: Wanted) -> _Job:
    load_files(wanted.plugin)  # here, as several processes prepare the same job
    data = datasets.load(wanted.dataset, data_dir=wanted.data_dir)
    config = FineTuning.suited(data.modality, wanted.recipe, from_random=wanted.weights == RANDOM)
    spec = spec_of(wanted.backbone)
    if spec.argument is not None and spec.name not in plugins("backbones"):
        raise UserError(
            f"'{spec}' is not a registered backbone, so its network cannot be described in a folder. Give its file "
            "with --plugin, register it as an entry point of `bench.backbones`, or train it yourself and let its "
            "factory load the weights."
        )
    with only_registered():
        spec, size = backbones.for_images(spec, data.native_size, wanted.image_size)
        backbone = backbones.load(
            spec, num_classes=data.num_classes, image_size=size, weights=wanted.weights, data_dir=wanted.data_dir
        )
    check_fits(data, backbone.name, backbone.modality)
    if config.exit_weights is not None and len(config.exit_weights) != backbone.num_exits:
        raise UserError(
            f"{backbone.name} has {backbone.num_exits} exits; give a weight for each, the last one included."
        )
    seen = protocol.has_seen(data, backbone.seen, backbone.tuned)
    splits = protocol.split(data, seen=seen, tuned=True, limit=wanted.limit)
    rows, held = protocol.carve(data, splits.train, config.val_share)
    if len(rows) < 2:
        raise UserError(
            f"'{data.name}' has only {len(rows)} {data.modality}s to train on. Give more data or a higher limit."
        )
    start = output.description(_base(spec), backbone, data, splits.protocol, config, wanted.limit, len(rows), len(held))
    again = protocol.tuned_on(data, backbone.tuned, splits.protocol)
    before = backbone.tuned.before if backbone.tuned and again else backbone.seen
    tuned = Tuned(data.name, data.digest, splits.protocol, before, tuple(map(str, data.class_names)))
    return _Job(data, rows, held, backbone, config, tuned, again, start)


def _train(
    group: Group, job: _Job, folder: Path, workers: int | None, checkpoint_seconds: float, progress: Progress
) -> None:
    reuse_freed_memory()
    training = _Training(job, folder, group)
    kind: type[Images | Texts] = Texts if job.data.modality == "text" else Images
    learnt, held = (kind.read(job.data, rows, job.backbone, job.config) for rows in (job.rows, job.held))
    if workers is None:
        workers = max(1, min(8, cpu_count() // group.size - 1)) if kind is Images else 0  # tokens are ready
    training.run(Batches(learnt, job.config, group.part), held, workers, progress, checkpoint_seconds)
    accuracy = training.measure(held)
    if group.rank == 0:
        files = job.backbone.files
        output.write(folder, job.start, training.best, training.history, job.tuned, job.data.source, accuracy, files)


def _train_part(
    group: Group, tell: Tell, wanted: Wanted, folder: Path, workers: int | None, checkpoint_seconds: float
) -> None:
    progress = Progress(lambda *told: tell("step", *told), lambda entry: tell("epoch", entry))
    _train(group, _prepare(wanted), folder, workers, checkpoint_seconds, progress)


def _base(spec: Spec) -> Spec:
    """Return the spec of the architecture alone."""
    if spec.name == "network" and spec.argument is not None:
        return parse(read(user_path(spec.argument))["backbone"])
    kept = {k: v for k, v in spec.params.items() if k not in ("weights", "seen", "head_for", "image_size", "exits")}
    return Spec(spec.name, spec.argument, kept)


class _Training:
    """The state of a training run: weights, their average, the optimiser and progress."""

    def __init__(self, job: _Job, folder: Path, group: Group) -> None:
        self.config, self.folder, self.start, self.group, self.device = (
            job.config,
            folder,
            job.start,
            group,
            group.device,
        )
        config = job.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = Network(job.backbone, config, keep_head=job.again).to(self.device)
        _channels_last(self.network)
        self.average = AveragedModel(self.network, multi_avg_fn=self._mix, use_buffers=True)
        groups = self.network.groups()
        if config.optimiser == "adamw":
            self.optimiser: torch.optim.Optimizer = torch.optim.AdamW(groups)
        else:
            self.optimiser = torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.momentum > 0)
        for rates in self.optimiser.param_groups:
            rates["peak"] = rates["lr"]
        self.epoch = self.step = 0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}

    def run(
        self,
        batches: Batches,
        held: Samples,
        workers: int,
        progress: Progress,
        checkpoint_seconds: float,
    ) -> None:
        """Train to the end, from the last checkpoint if there is one."""
        if (before := output.checkpoint(self.folder, self.start)) is not None:
            self._restore(before)
        total, saved = self.config.epochs * batches.steps, time.monotonic()
        lately: list[float] = []
        while self.epoch < self.config.epochs:
            began, first = time.monotonic(), self.step
            for batch, labels in batches.epoch(self.epoch, self.step, workers):
                taken = self.epoch * batches.steps + self.step
                lately = [*lately[-49:], self._step(batches, batch, labels, taken, total)]
                self.step += 1
                progress.step(self.epoch * batches.steps + self.step, total, sum(lately) / len(lately))
                if time.monotonic() - saved > checkpoint_seconds and self.step < batches.steps:
                    self._save()
                    saved = time.monotonic()
            speed = (self.step - first) * batches.size / (time.monotonic() - began)
            self._end_epoch(held, sum(lately) / max(1, len(lately)), speed)
            progress.epoch(self.history[-1])
            self._save()
            saved = time.monotonic()

    def measure(self, held: Samples) -> list[float]:
        """Return the accuracy of each exit with the best weights, as stored."""
        self.network.backbone.load_state_dict(output.rounded(self.best))
        return self._accuracy(self.network, held)

    @property
    def _averaged(self) -> Any:
        return self.average.module

    def _step(self, batches: Batches, batch: Tensor, labels: Tensor, taken: int, total: int) -> float:
        rate = schedule(taken, total, self.config.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["peak"]
        self.network.train()
        torch.manual_seed(self.config.seed + 1 + taken * self.group.size + self.group.rank)  # of dropout
        ready = batches.samples.ready(batch.to(self.device, non_blocking=True))
        half = torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
        with half, self.group.whole_batch():
            logits = self.network(ready)
        value = loss(logits, labels.to(self.device), self.config) * (len(labels) / batches.size)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        self.group.sum_gradients(self.network.parameters())
        value = self.group.sum(value.detach())
        if not torch.isfinite(value):
            raise UserError(
                f"The loss is no longer finite after {taken} steps. Lower --lr (now {self.config.lr:g}) and "
                "start again in another folder."
            )
        self.optimiser.step()
        self.average.update_parameters(self.network)
        return float(value)

    def _mix(self, averages: Any, currents: Any, count: Any) -> None:
        """Move averages towards the current values, faster during the first steps."""
        decay = min(self.config.ema, (1 + int(count)) / (10 + int(count)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, currents, 1 - decay)
        else:
            torch._foreach_copy_(averages, currents)

    def _end_epoch(self, held: Samples, value: float, speed: float) -> None:
        accuracy = self._accuracy(self._averaged, held)
        self.history.append({
            "epoch": self.epoch + 1,
            "loss": value,
            "accuracy": accuracy,
            "without_average": self._accuracy(self.network, held),
            "samples_per_second": speed,
        })  # fmt: skip
        if _score(accuracy) >= max((_score(entry["accuracy"]) for entry in self.history), default=0.0):
            self.best = _copied(self._averaged.backbone.state_dict())
        self.epoch, self.step = self.epoch + 1, 0

    @torch.inference_mode()
    def _accuracy(self, network: Any, held: Samples) -> list[float]:
        network.eval()
        right = torch.zeros(len(network.backbone.native) + 1, dtype=torch.int64, device=self.device)
        for rows in torch.arange(len(held.labels))[self.group.part(len(held.labels))].split(EVALUATED_AT_ONCE):
            batch = held.ready(held.batch(rows).to(self.device))
            answers = torch.stack([logits.argmax(1) for logits in network(batch)])
            right += (answers == held.labels[rows].to(self.device)).sum(1)
        return [float(r) / len(held.labels) for r in self.group.sum(right)]

    def _save(self) -> None:
        if self.group.rank:
            return
        output.save_checkpoint(self.folder, self.start, {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
            "history": self.history,
            "epoch": self.epoch,
            "step": self.step,
        })  # fmt: skip

    def _restore(self, held: dict[str, Any]) -> None:
        self.network.load_state_dict(held["network"])
        self.average.load_state_dict(held["average"])
        self.optimiser.load_state_dict(held["optimiser"])
        self.best, self.history = held["best"], held["history"]
        self.epoch, self.step = held["epoch"], held["step"]


def schedule(taken: int, total: int, warmup: float) -> float:
    """Return the share of the peak rate at step `taken` of `total`, from 0: linear to 1, then along a cosine to 0."""
    rise = max(1, round(warmup * total))
    if taken < rise:
        return (taken + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (taken - rise) / max(1, total - rise)))


def _score(accuracy: list[float]) -> float:
    return sum(accuracy) / len(accuracy)


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def _channels_last(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
