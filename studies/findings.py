"""Update the tables and the figure of docs/findings.md from the published records and their report."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from pages import signed, write
from scipy.spatial import ConvexHull

import bench
from bench.stats.pools import pool_variance
from bench.stats.student import interval
from bench.tune.history import FOLDER, Tuned, searches

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "findings.md"
SETTING = "banking77/minilm_l6"
SETTINGS = {  # in the tables across settings, and their names there
    "banking77/minilm_l6": "Banking77 × MiniLM",
    "clinc150/minilm_l6": "CLINC150 × MiniLM",
    "fashion_mnist/t2t_vit_7_tuned_fashion_mnist": "Fashion-MNIST × T2T-ViT-7, trained on it",
    "cifar100lt/efficientnet_lite0_tuned_cifar100lt": "CIFAR-100-LT × EfficientNet-Lite0, tuned on it",
    "cifar100/efficientnet_lite0_tuned_cifar100": "CIFAR-100 × EfficientNet-Lite0, tuned on it",
    "cifar10/efficientnet_lite0_tuned_cifar10": "CIFAR-10 × EfficientNet-Lite0, tuned on it",
    "cifar10/efficientnet_lite0": "CIFAR-10 × EfficientNet-Lite0",
    "cifar10/cifar_resnet56": "CIFAR-10 × ResNet-56, trained on it",
    "caltech101/efficientnet_lite0": "Caltech-101 × EfficientNet-Lite0",
    "cifar10/clip_vit_b16": "CIFAR-10 × CLIP ViT-B/16",
    "caltech101/clip_vit_b16": "Caltech-101 × CLIP ViT-B/16",
}
ACROSS = (
    "global_thresh", "entropy_thresh", "eefp", "msdnet_thresh", "patience", "beem", "ztw", "per_class_thresh",
    "learned_exit", "jeidnn", "jeidnn[scheme=subsequent]", "lookahead",
)  # fmt: skip
JOINT_IMAGES = "cifar100/efficientnet_lite0_joint_cifar100"
JOINT = "banking77/minilm_l6_joint_banking77"
CLAIMS = "cifar100lt/efficientnet_lite0_tuned_cifar100lt"  # where JEI-DNN's claims are examined in detail
COMPARED = ("jeidnn", "global_thresh")
CLAIMED = (0.215, 0.464, 0.774)  # budgets
BUDGETS = (0.183, 0.291, 0.462, 0.735)
AT = 0.291  # the budget at which calibration and set sizes are shown
FIGURE = ROOT / "docs" / "findings.png"
SHOWN = {  # colour-blind-safe colours, and markers
    "global_thresh": ("#0072B2", "o"),
    "energy_thresh": ("#E69F00", "s"),
    "patience": ("#009E73", "^"),
    "msdnet_thresh": ("#CC79A7", "v"),
    "jeidnn": ("#D55E00", "D"),
    "jeidnn[scheme=subsequent]": ("#D55E00", "x"),
}


def tables(root: Path = ROOT) -> dict[str, str]:
    """Return the tables of the page by name, in Markdown."""
    frame = bench.load_records(root / "results" / SETTING)
    board = pd.read_csv(root / "reports" / SETTING / "tables" / "leaderboard.csv").set_index("method")
    return {
        "exits": exits(frame),
        "methods": methods(frame, board),
        "settings": settings(root),
        "gains": across(root),
        "claims": claims(root),
        "paired": paired(root),
        "tuned": tuned(root),
    }


def exits(frame: pd.DataFrame) -> str:
    """Return cost, accuracy and NLL of the static exits, means over seeds."""
    static = frame[frame["method"] == "static"]
    rows = static.groupby("exit")[["macs_fraction", "accuracy", "nll"]].mean()
    names = ["embeddings", *(f"block {k}" for k in range(1, len(rows)))]
    lines = ["| exit | cost | accuracy, % | NLL, nats |", "|---|--:|--:|--:|"]
    for name, row in zip(names, rows.itertuples(), strict=True):
        lines.append(f"| {name} | {row.macs_fraction:.3f} | {100 * row.accuracy:.2f} | {row.nll:.3f} |")
    return "\n".join(lines)


def methods(frame: pd.DataFrame, board: pd.DataFrame) -> str:
    """Return all methods by decreasing own gain: accuracy at some budgets, and ECE and set size at one of them."""
    ok = frame[(frame["kind"] == "method") & (frame["status"] == "ok")]
    accuracy = ok.pivot_table(index="method", columns="budget", values="accuracy")
    at = ok[ok["budget"] == AT].groupby("method")[["ece_mass15", "set_size_lac@0.05"]].mean()
    budgets = " | ".join(f"at {b:g}" for b in BUDGETS)
    lines = [
        f"| method | own gain, points | accuracy, %, {budgets} | ECE, %, at {AT:g} | set size at {AT:g} |",
        "|---|--:|" + "--:|" * (len(BUDGETS) + 2),
    ]
    for label, row in board.sort_values("own", ascending=False).iterrows():
        if label in accuracy.index:
            gain = f"{signed(row['own'])} [{signed(row['own_low'])}, {signed(row['own_high'])}]"
            found = " | ".join(f"{100 * accuracy.loc[label, b]:.2f}" for b in BUDGETS)
            ece, size = at.loc[label]
            lines.append(f"| `{label}` | {gain} | {found} | {100 * ece:.1f} | {size:.2f} |")
    return "\n".join(lines)


def settings(root: Path) -> str:
    """Return cost and accuracy of the static exits of every setting, means over seeds."""
    lines = ["| setting | accuracy of static exits, %, at their cost |", "|---|---|"]
    for setting, name in SETTINGS.items():
        frame = bench.load_records(root / "results" / setting)
        rows = frame[frame["method"] == "static"].groupby("exit")[["macs_fraction", "accuracy"]].mean()
        shown = ", ".join(f"{100 * row.accuracy:.1f} at {row.macs_fraction:.2f}" for row in rows.itertuples())
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines)


def across(root: Path) -> str:
    """Return the own gain of some methods in every setting."""
    boards = [
        pd.read_csv(root / "reports" / setting / "tables" / "leaderboard.csv").set_index("method")
        for setting in SETTINGS
    ]
    lines = [f"| method | {' | '.join(SETTINGS.values())} |", "|---|" + "--:|" * len(SETTINGS)]
    for label in ACROSS:
        rows = (board.loc[label] if label in board.index else None for board in boards)
        cells = ("–" if r is None else gain(r) for r in rows)
        lines.append(f"| `{label}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def gain(row: pd.Series) -> str:
    """Return an own gain with its interval below it, so that a table of many settings stays narrow."""
    low, high = signed(row["own_low"]), signed(row["own_high"])
    return f"{signed(row['own'])}<br><sub>[{low},&nbsp;{high}]</sub>"


def claims(root: Path) -> str:
    """Return accuracy, ECE and size of 90 % sets of some methods at some budgets, means over seeds."""
    frame = bench.load_records(root / "results" / CLAIMS)
    ok = frame[(frame["kind"] == "method") & (frame["status"] == "ok")]
    found = ok.groupby(["method", "budget"])[["accuracy", "ece_mass15", "set_size_lac@0.1"]].mean()
    heads = " | ".join(f"{score} at {b:g}" for score in ("accuracy, %,", "ECE, %,", "set size") for b in CLAIMED)
    lines = [f"| method | {heads} |", "|---|" + "--:|" * (3 * len(CLAIMED))]
    for label in ("jeidnn", "jeidnn[scheme=subsequent]", "msdnet_thresh", "global_thresh", "eefp", "learned_exit"):
        rows = [found.loc[(label, b)] for b in CLAIMED]
        cells = [f"{100 * r['accuracy']:.1f}" for r in rows] + [f"{100 * r['ece_mass15']:.1f}" for r in rows]
        cells += [f"{r['set_size_lac@0.1']:.1f}" for r in rows]
        lines.append(f"| `{label}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def paired(root: Path) -> str:
    """Return JEI-DNN minus one threshold in own gain, ECE and size of 95 % sets, in every setting that has both.

    ECE and set size are means over the budgets below 1 that both meet, paired by seed, with Student's intervals over
    seeds and pools.
    """
    lines = ["| setting | own gain, points | ECE, points | classes in a set |", "|---|--:|--:|--:|"]
    for setting, name in SETTINGS.items():
        frame = bench.load_records(root / "results" / setting)
        ok = frame[(frame["status"] == "ok") & (frame["budget"] < 1) & frame["method"].isin(COMPARED)]
        board = pd.read_csv(root / "reports" / setting / "tables" / "leaderboard.csv").set_index("method")
        row = board.loc[COMPARED[0]]
        cells = [spread(*(100 * row[f"plain_difference{end}"] for end in ("", "_low", "_high")))]
        for score, scale in (("ece_mass15", 100), ("set_size_lac@0.05", 1)):
            wide = ok.pivot_table(index=["seed", "budget"], columns="method", values=score).dropna()
            found = (wide[COMPARED[0]] - wide[COMPARED[1]]).groupby("seed").mean()
            pools = pool_variance(frame["protocol"].iloc[0])
            mean = interval(scale * found, pools=pools)
            cells.append(spread(mean.value, mean.low, mean.high))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tuned(root: Path) -> str:
    """Return what searches of parameters found: the winner minus the defaults on other data, and own gains on test."""
    lines = ["| setting | method | the search's winner minus the defaults | own gain: defaults | tuned |"]
    lines.append("|---|---|--:|--:|--:|")
    boards: dict[str, pd.Series] = {}
    for search in searches(root / "results" / FOLDER):
        setting = f"{search.subject.dataset}/{search.subject.backbone.partition('[')[0]}"
        if setting not in boards:
            path = root / "reports" / setting / "tables" / "leaderboard.csv"
            boards[setting] = pd.read_csv(path).set_index("method")["own"]
        own = boards[setting]
        label = kept_label(search)
        cells = [SETTINGS[setting], f"`{search.subject.method}`", compared(search), signed(own[search.subject.method])]
        lines.append(f"| {' | '.join([*cells, f'`{label}` {signed(own[label])}' if label else '–'])} |")
    return "\n".join(lines)


def compared(search: Tuned) -> str:
    """Return the difference on data that did not choose the winner; '–' if no trial scored above the defaults."""
    found = search.decision
    return (
        "–" if found is None else spread(*(100 * x for x in (found.difference, *(found.interval or (np.nan, np.nan)))))
    )


def kept_label(search: Tuned) -> str | None:
    """Return the label of a tuned method's records; None if the defaults were kept."""
    if search.kept != "tuned":
        return None
    defaults = search.history[0].params
    changed = {key: value for key, value in search.parameters.items() if value != defaults.get(key)}
    return f"{search.subject.method}[{','.join(f'{key}={value}' for key, value in changed.items())}]"


def spread(value: float, low: float, high: float) -> str:
    """Return a difference with its interval."""
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", "−")


def gains(frame: pd.DataFrame) -> pd.DataFrame:
    """Return cost and accuracy minus the static hull's at that cost, by method and budget, means over seeds."""
    static = frame[frame["method"] == "static"].groupby("exit")[["macs_fraction", "accuracy"]].mean().to_numpy()
    points = np.vstack([static, [static[-1, 0], 0.0], [static[0, 0], 0.0]])
    hull = points[np.sort(ConvexHull(points).vertices)]
    hull = hull[hull[:, 1] > 0]
    ok = frame[(frame["kind"] == "method") & (frame["status"] == "ok")]
    found = ok.groupby(["method", "budget"])[["macs_fraction", "accuracy"]].mean()
    found["gain"] = found["accuracy"] - np.interp(found["macs_fraction"], hull[:, 0], hull[:, 1])
    return found.reset_index()


def draw(frame: pd.DataFrame) -> None:
    """Draw the gain of every method's policies over random mixtures of static exits against their cost."""
    found = gains(frame)
    figure, axes = plt.subplots(figsize=(7.2, 4.0), dpi=130, layout="constrained")
    for label, part in found.groupby("method"):
        if label not in SHOWN:
            axes.plot(part["macs_fraction"], 100 * part["gain"], color="#bbbbbb", lw=0.8, zorder=1)
    axes.plot([], [], color="#bbbbbb", lw=0.8, label=f"{found['method'].nunique() - len(SHOWN)} other methods")
    for label, (colour, marker) in SHOWN.items():
        part = found[found["method"] == label]
        look = {"color": colour, "marker": marker, "ms": 5, "lw": 1.6, "ls": "--" if "[" in label else "-"}
        axes.plot(part["macs_fraction"], 100 * part["gain"], label=label, **look)
    axes.axhline(0, color="black", lw=1)
    axes.annotate("no better than mixing static exits", (0.985, -0.08), ha="right", va="top", fontsize=8)
    axes.set(
        xlim=(0.1, 1.01),
        ylim=(-2.6, 3),
        xlabel="realised cost, share of the plain network's MACs",
        ylabel="accuracy above the static hull, points",
    )
    axes.legend(fontsize=8, loc="lower left", frameon=False, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FIGURE, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    PAGE.write_text(write(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
    draw(bench.load_records(ROOT / "results" / SETTING))
