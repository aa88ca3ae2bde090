"""The grid of the JEI-DNN paper: datasets × T2T-ViT depths, each with its image size, checkpoint and λ list."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import UserError, nearest
from bench.plugins.spec import split_list
from bench.reproduce.published import Published, points

IMAGENET_FILE = {"t2t_vit_7": "71.7_T2T_ViT_7.pth.tar", "t2t_vit_14": "81.5_T2T_ViT_14.pth.tar"}
RECIPE = (
    "SGD with momentum 0.9, weight decay 5e-4 and batches of 64 for 60 epochs on all official training images; "
    "learning rate 0.01 for a fresh head, 0.0001 for the tokens-to-token module and the blocks, cosine to 0.0002; the "
    "final norm, the class token and the positions stay as they are; the epoch of best test accuracy was kept"
)
RELEASED = "The T2T-ViT authors released it (github.com/yitu-opensource/T2T-ViT, their transfer to CIFAR100)"


@dataclass(frozen=True)
class PaperCell:
    """One dataset and backbone of the grid."""

    dataset: str
    backbone: str
    source: str  # whose images the dataset has
    image_size: int
    accuracy: str  # the checkpoint's test accuracy in percent, as the file names write it
    epochs: int  # of the published runs, warm-up included
    warmup_epochs: int
    batch_size: int = 64
    release: str | None = None  # file name in the T2T-ViT authors' release, if the network is theirs
    not_comparable: str | None = None  # why accuracies here and there must not be subtracted

    @property
    def name(self) -> str:
        """Its name in `--cells` and in every table."""
        return f"{self.dataset}/{self.backbone}"

    @property
    def points(self) -> tuple[Published, ...]:
        """The published points, the whole network last."""
        return points(self.dataset, self.backbone)

    @property
    def lams(self) -> tuple[float, ...]:
        """The λ list of the published runs."""
        return tuple(p.lam for p in self.points if p.lam is not None)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Possible file names of the fine-tuned network: the release's or the authors' own, then a neutral one."""
        theirs = "cifar100LT" if self.dataset == "cifar100lt" else self.dataset
        folder = f"checkpoint_{theirs}_{self.backbone}"
        own = (f"{folder}/ckpt_0.01_0.0005_{self.accuracy}.pth",)
        neutral = f"{theirs}_{self.backbone.replace('t2t_vit_', 't2t-vit-')}.pth"
        return (*((self.release,) if self.release else own), neutral)

    @property
    def origin(self) -> str:
        """Describe where the fine-tuned network comes from."""
        if self.release:
            return RELEASED
        start = f"fine-tune {IMAGENET_FILE[self.backbone]} (T2T-ViT release) at {self.image_size} pixels"
        other = "; the T2T-ViT authors' own CIFAR10 network (98.3 %) is another" if self.name in ANOTHER else ""
        return f"The JEI-DNN authors never released theirs ({self.accuracy} % on test); {start}{other}"


ANOTHER = ("cifar10/t2t_vit_14",)
LONGTAIL = "their test set is long-tailed, ours is balanced"
# SVHN with T2T-ViT-14 was never run.
GRID = (
    PaperCell("cifar10", "t2t_vit_7", "cifar10", 224, "94.95", 15, 3),
    PaperCell("cifar10", "t2t_vit_14", "cifar10", 224, "96.35", 15, 1),
    PaperCell("cifar100", "t2t_vit_7", "cifar100", 224, "78.97", 15, 4),
    PaperCell("cifar100", "t2t_vit_14", "cifar100", 224, "88.4", 30, 1, release="cifar100_t2t-vit-14_88.4.pth"),
    PaperCell("cifar100lt", "t2t_vit_7", "cifar100", 224, "81.56", 15, 4, not_comparable=LONGTAIL),
    PaperCell("cifar100lt", "t2t_vit_14", "cifar100", 224, "87.70", 20, 1, not_comparable=LONGTAIL),
    PaperCell("svhn", "t2t_vit_7", "svhn", 32, "91.90", 15, 6, batch_size=256),
)


def choose(text: str | None) -> tuple[PaperCell, ...]:
    """Return the cells in a comma-separated list, in the grid's order; all of them for None."""
    if text is None:
        return GRID
    by_name = {cell.name: cell for cell in GRID}
    wanted = split_list(text)
    if not wanted:
        raise UserError(f"--cells names no cell. Valid: {', '.join(by_name)}.")
    for name in wanted:
        if name not in by_name:
            raise UserError(f"There is no cell '{name}' in the paper's grid.{nearest(name, by_name)}")
    return tuple(cell for cell in GRID if cell.name in wanted)
