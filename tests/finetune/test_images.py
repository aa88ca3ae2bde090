"""Batches: every image once an epoch, the same after a restart, changed only as asked."""

import numpy as np
import pytest
import torch

from bench.finetune.batches import Batches
from bench.finetune.config import FineTuning
from bench.finetune.images import Images, augmentation, squares
from bench.inputs.images import Transform
from tests.helpers.banks import FakeImages


def batches(**options):
    pixels = torch.arange(20, dtype=torch.uint8)[:, None, None, None].expand(20, 3, 8, 8).contiguous()
    config = FineTuning(**{"batch_size": 6, "augment": 0, "flip": False} | options)
    return Batches(Images(pixels, torch.arange(20), config, Transform(8, (0.5,) * 3, (0.5,) * 3, "bilinear")), config)


def test_an_epoch_shows_images_once_in_an_order_of_its_own():
    made = batches()
    epochs = [torch.cat([labels for _, labels in made.epoch(e, 0, 0)]).tolist() for e in (0, 1)]
    assert made.steps == 3 and all(len(set(order)) == len(order) == 18 for order in epochs)
    assert epochs[0] != epochs[1]
    pixels, labels = made[0, 1]
    assert torch.equal(pixels[:, 0, 0, 0].long(), labels)


def test_a_batch_depends_on_seed_epoch_and_step_alone():
    one, other = batches(augment=9, flip=True), batches(augment=9, flip=True)
    expected = [pixels for pixels, _ in one.epoch(1, 0, 0)]
    torch.manual_seed(9)
    assert torch.equal(next(other.epoch(1, 2, 0))[0], expected[2])
    assert not torch.equal(batches(augment=9, flip=True, seed=1)[1, 2][0], expected[2])


@pytest.mark.slow
def test_other_processes_make_the_same_batches():
    made = batches(augment=9, flip=True)
    alone = [pixels for pixels, _ in made.epoch(0, 1, 0)]
    for pixels, (again, _) in zip(alone, made.epoch(0, 1, 1), strict=True):
        assert torch.equal(pixels, again)


@pytest.mark.parametrize("side", [8, 100])
def test_small_images_are_shifted_and_large_ones_cropped(side):
    image = torch.randint(256, (3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    changed = augmentation(side, FineTuning(augment=0))(image)
    assert changed.shape == image.shape and changed.dtype == torch.uint8 and not torch.equal(changed, image)


def test_small_images_of_one_side_are_kept_as_they_are():
    images = FakeImages.random(sides=(12,))
    kept = squares(images, np.array([3, 0, 2]), 96)
    for row, image in zip(kept, (images.images[i] for i in (3, 0, 2)), strict=True):
        assert np.array_equal(row.permute(1, 2, 0).numpy(), image)


@pytest.mark.parametrize(("sides", "side"), [((12, 10), 10), ((80, 100), 18)])
def test_others_become_squares_of_one_side(sides, side):
    """Of two sides the smaller decides what is square in the first image; large ones are kept a little above 16."""
    images = FakeImages.random(count=30, sides=sides)
    images.images[0] = images.images[0][:side] if max(sides) < 64 else images.images[0]
    kept = squares(images, np.arange(30), 16)
    assert kept.shape == (30, 3, side, side)
    for row, image in zip(kept, images.images, strict=True):
        assert abs(float(row.float().mean()) - image.mean()) < 12
