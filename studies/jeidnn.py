"""Update the table of docs/jeidnn.md from the reports of the published settings.

python studies/jeidnn.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pages import signed, write

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "jeidnn.md"
NATIVE = "heads=native"
SETTINGS = {  # names on the page, and the heads
    "banking77/minilm_l6": ("Banking77 × MiniLM", ""),
    "clinc150/minilm_l6": ("CLINC150 × MiniLM", ""),
    "fashion_mnist/t2t_vit_7_tuned_fashion_mnist": ("Fashion-MNIST × T2T-ViT-7, trained on it", ""),
    "cifar100lt/efficientnet_lite0_tuned_cifar100lt": ("CIFAR-100-LT × EfficientNet-Lite0, tuned on it", ""),
    "cifar100/efficientnet_lite0_tuned_cifar100": ("CIFAR-100 × EfficientNet-Lite0, tuned on it", ""),
    "cifar10/efficientnet_lite0_tuned_cifar10": ("CIFAR-10 × EfficientNet-Lite0, tuned on it", ""),
    "cifar10/efficientnet_lite0": ("CIFAR-10 × EfficientNet-Lite0", ""),
    "cifar10/cifar_resnet56": ("CIFAR-10 × ResNet-56, trained on it", ""),
    "caltech101/efficientnet_lite0": ("Caltech-101 × EfficientNet-Lite0", ""),
    "cifar10/clip_vit_b16": ("CIFAR-10 × CLIP ViT-B/16", ""),
    "caltech101/clip_vit_b16": ("Caltech-101 × CLIP ViT-B/16", ""),
    "cifar100/efficientnet_lite0_joint_cifar100": ("CIFAR-100 × EfficientNet-Lite0, joint, native heads", NATIVE),
    "banking77/minilm_l6_joint_banking77": ("Banking77 × MiniLM, joint, native heads", NATIVE),
}
COLUMNS = {
    "remaining (ours)": ("jeidnn", ""),
    "1[l ≥ l\\*]": ("jeidnn", "scheme=subsequent"),
    "one threshold": ("global_thresh", ""),
}


def table(root: Path = ROOT) -> str:
    """Return own gains with their intervals: JEI-DNN with both targets, and one threshold, on the same heads."""
    lines = [f"| setting | {' | '.join(COLUMNS)} |", "|---|" + "--:|" * len(COLUMNS)]
    for setting, (title, heads) in SETTINGS.items():
        board = pd.read_csv(root / "reports" / setting / "tables" / "leaderboard.csv").set_index("method")
        rows = (board.loc[_label(name, option, heads)] for name, option in COLUMNS.values())
        cells = (f"{signed(r['own'])} [{signed(r['own_low'])}, {signed(r['own_high'])}]" for r in rows)
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _label(name: str, *options: str) -> str:
    given = ",".join(filter(None, options))
    return f"{name}[{given}]" if given else name


if __name__ == "__main__":
    PAGE.write_text(write(PAGE.read_text(encoding="utf-8"), {"targets": table()}), encoding="utf-8")
