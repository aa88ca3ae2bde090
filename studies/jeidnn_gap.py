"""What separates JEI-DNN's paper, its released code and ours: every number, table and figure of docs/jeidnn.md.

    python studies/jeidnn_gap.py --banks FOLDER… --seeds 0,1,2,3,4 --out docs/jeidnn [--jobs 2] [--cache FOLDER]

Writes CSV data and figures into the folder, and the tables between the markers of the page beside it, if there is one.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from jeidnn_variants import CONTEXT, DEFAULTS, GROUPS, OURS, PAPER, RELEASED, at_costs, collect, window
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from bench.report.figures import render
from bench.report.style import COLOURS, MARKERS, REFERENCE, settings

COSTS = (0.3, 0.5, 0.7, 0.9)


# ------------------------------------------------------------------------------------------------ statistics


def interval(values: Any) -> tuple[float, float]:
    """Return the mean and the half width of the 95 % Student-t interval."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2 or np.isnan(values).any():
        return float(values.mean()), float("nan")
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def scores(points: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy at each of COSTS and over the window, and the largest val cost, per bank, variant and seed."""
    rows = []
    for (bank, variant, seed), group in points.groupby(["bank", "variant", "seed"], sort=False):
        row = dict(zip(map(str, COSTS), at_costs(group, COSTS), strict=True))
        rows.append(
            {"bank": bank, "variant": variant, "seed": seed, **row}
            | {"window": window(group), "reach": group["val_cost"].max(), "last_exit": group["last_exit"].max()}
        )
    return pd.DataFrame(rows)


COLUMNS = [*map(str, COSTS), "window"]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean and half width per bank and variant of each score, in percent, and the reach."""
    rows = []
    for (bank, variant), group in table.groupby(["bank", "variant"], sort=False):
        row: dict[str, Any] = {"bank": bank, "variant": variant, "seeds": len(group)}
        for c in COLUMNS:
            row[c], row[f"{c}_ci95"] = interval(100 * group[c])
        rows.append(row | {"reach": group["reach"].mean(), "last_exit": 100 * group["last_exit"].mean()})
    return pd.DataFrame(rows)


def effects(table: pd.DataFrame) -> pd.DataFrame:
    """Return each change's difference from the row it is paired with by seed, in points of accuracy, per bank."""
    indexed = table.set_index(["bank", "variant", "seed"]).sort_index()
    pairs = [(g, *change) for g, changes in GROUPS.items() for change in changes]
    pairs += [("against ours", name, OURS, spec) for name, spec in (("released", RELEASED), ("paper", PAPER))]
    pairs += [("against ours", name, OURS, name) for name in CONTEXT]
    rows = []
    for bank in dict.fromkeys(table["bank"]):
        for group, change, base, spec in pairs:
            mine, other = indexed.loc[(bank, spec)], indexed.loc[(bank, base)]
            row: dict[str, Any] = {"bank": bank, "group": group, "change": change, "base": base, "variant": spec}
            for c in COLUMNS:
                row[c], row[f"{c}_ci95"] = interval(100 * (mine[c] - other[c]))
            rows.append(row | {"reach": mine["reach"].mean(), "base_reach": other["reach"].mean(), "seeds": len(mine)})
    return pd.DataFrame(rows)


def choices(defaults: pd.DataFrame) -> pd.DataFrame:
    """Return every combination's mean score inside val and its difference from the default, per bank."""
    means = defaults.groupby(["bank", "variant", "seed"], sort=False)["window"].mean().sort_index()
    rows = []
    for bank in dict.fromkeys(defaults["bank"]):
        present = means.loc[(bank, default_spec())]
        for spec in dict.fromkeys(defaults["variant"]):
            mine = means.loc[(bank, spec)]
            (mean, half), (gap, gap_half) = interval(100 * mine), interval(100 * (mine - present))
            row = {"bank": bank, "variant": spec, "window": mean, "window_ci95": half}
            rows.append(row | {"difference": gap, "difference_ci95": gap_half, "seeds": len(mine)})
    found = pd.DataFrame(rows)
    found["rank"] = found.groupby("bank")["window"].rank(ascending=False, method="min").astype(int)
    return found


def default_spec() -> str:
    """Return the defaults of `ours`, spelt out."""
    return "jeidnn[" + ",".join(f"{k}={v[0]}" for k, v in DEFAULTS.items()) + "]"


# ------------------------------------------------------------------------------------------------ tables


def plus(mean: float, half: float, *, signed: bool = False) -> str:
    """Write `mean ± half`; bold where a signed interval excludes zero."""
    if np.isnan(mean):
        return "–"
    text = f"{mean:+.2f} ± {half:.2f}" if signed else f"{mean:.2f} ± {half:.2f}"
    text = text.replace("-", "−")
    return f"**{text}**" if signed and abs(mean) > half else text


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rows])


def tables(frames: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Return the page's tables by name, from the CSV data alone."""
    found = {}
    at = [f"at {c:g}" for c in COSTS]
    for bank, rows in frames["summary"].groupby("bank", sort=False):
        lines = []
        by = rows.set_index("variant")
        for v in (OURS, RELEASED, PAPER, *CONTEXT):
            cells = [plus(by.loc[v, c], by.loc[v, f"{c}_ci95"]) for c in COLUMNS]
            lines.append([f"`{v}`", *cells, f"{by.loc[v, 'reach']:.2f}"])
        found[f"summary {bank}"] = markdown(["accuracy, %", *at, "mean 0.3–0.9", "reach"], lines)
    found["effects"] = _effects_table(frames["effects"])
    found["heads"] = _heads_table(frames["heads"])
    found["defaults"] = _defaults_table(frames["defaults"])
    return found


def _effects_table(frame: pd.DataFrame) -> str:
    banks, by = list(dict.fromkeys(frame["bank"])), frame.set_index(["group", "change", "bank"])
    lines = []
    for group, rows in frame.groupby("group", sort=False):
        lines.append([f"*{group}*", *[""] * (3 * len(banks))])
        for change in dict.fromkeys(rows["change"]):
            line = [f"`{change}`" if "one change" in str(group) else change]
            for bank in banks:
                r = by.loc[(group, change, bank)]
                line += [plus(r[c], r[f"{c}_ci95"], signed=True) for c in ("0.5", "window")]
                line.append(f"{r['base_reach']:.2f} → {r['reach']:.2f}")
            lines.append(line)
    titles = [f"{b.split('--')[0]}: {c}" for b in banks for c in ("at 0.5", "mean 0.3–0.9", "reach")]
    return markdown(["difference, points", *titles], lines)


def _heads_table(frame: pd.DataFrame) -> str:
    exits = sorted(frame["exit"].unique())
    lines = []
    for (bank, name), rows in frame.groupby(["bank", "heads"], sort=False):
        by = rows.set_index("exit")["accuracy"]
        lines.append([f"{str(bank).split('--')[0]}: {name}", *[f"{by[k]:.1f}" if k in by else "" for k in exits]])
    return markdown(["accuracy, %", *[f"exit {k}" for k in exits]], lines)


def _defaults_table(frame: pd.DataFrame) -> str:
    banks, by = list(dict.fromkeys(frame["bank"])), frame.set_index(["variant", "bank"])
    total = frame["variant"].nunique()
    best = frame.groupby("variant")["difference"].mean().sort_values(ascending=False, kind="stable").index[:3]
    one = [s for s in dict.fromkeys(frame["variant"]) if len(set(split(s)) - set(split(default_spec()))) <= 1]
    lines = []
    for spec in [*one, *[s for s in best if s not in one]]:
        apart = [o for o in split(spec) if o not in split(default_spec())]
        line = [f"`{', '.join(apart)}`" if apart else "the defaults"]
        for bank in banks:
            r = by.loc[(spec, bank)]
            gap = "" if not apart else plus(r["difference"], r["difference_ci95"], signed=True)
            line += [f"{r['window']:.2f}", gap, f"{r['rank']:.0f}/{total}"]
        lines.append(line)
    return markdown(["changed", *[h for b in banks for h in (b.split("--")[0], "difference", "rank")]], lines)


def split(spec: str) -> list[str]:
    """Return the options of a spec."""
    return spec.removeprefix("jeidnn").strip("[]").split(",")


def fill(text: str, found: dict[str, str]) -> str:
    """Put each table between its markers, `<!-- table NAME -->` and `<!-- end -->`."""

    def put(match: re.Match[str]) -> str:
        return f"{match[1]}\n{found[match[2]]}\n{match[3]}"

    return re.sub(r"(<!-- table (.+?) -->)\n.*?(<!-- end -->)", put, text, flags=re.S)


# ------------------------------------------------------------------------------------------------ figures

LINES = {OURS: "ours", RELEASED: "released", PAPER: "paper", "msdnet_thresh": "msdnet_thresh"}


def canvas(width: float, height: float, columns: int = 1, *, share: bool = False) -> tuple[Figure, np.ndarray]:
    """Return an empty figure and its axes [columns]."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, sharey=share, squeeze=False)[0]


def curve_figure(bank: str, points: pd.DataFrame, static: pd.DataFrame) -> Figure:
    """Draw accuracy against realised cost on one bank; bars are 95 % intervals over seeds in both directions."""
    figure, (axes,) = canvas(8.2, 4.6)
    for i, (spec, name) in enumerate(LINES.items()):
        rows = points[(points["variant"] == spec) & points["accuracy"].notna()]
        xs, ys = [], []
        for _, group in rows.groupby("budget"):
            if group["seed"].nunique() == points["seed"].nunique():
                xs.append(interval(group["test_cost"]))
                ys.append(interval(100 * group["accuracy"]))
        (x, x_half), (y, y_half) = np.array(xs).T, np.array(ys).T
        style: dict[str, Any] = {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 6, "markeredgecolor": "white"}
        axes.errorbar(x, y, y_half, x_half, linestyle="none", ecolor=COLOURS[i], elinewidth=1, capsize=2, alpha=0.6)
        axes.plot(x, y, label=name, linewidth=1.6, **style)
    means = static.groupby("exit")[["cost", "accuracy"]].mean()
    x, y = means["cost"].to_numpy(), 100 * means["accuracy"].to_numpy()
    axes.plot(
        x, y, color=REFERENCE, marker="o", markersize=4, linewidth=1, zorder=1, label="static exits (plain heads)"
    )
    for k, px, py in zip(means.index, x, y, strict=True):
        axes.annotate(str(k), (px, py), (3, -4), textcoords="offset points", va="top", fontsize=8, color="#5F5F5F")
    axes.set_xlabel("realised MACs on test, fraction of the plain backbone")
    axes.set_ylabel("accuracy on test, %")
    seeds = points["seed"].nunique()
    axes.set_title(f"{bank.replace('--', ' · ')}; bars: 95 % intervals over {seeds} seeds", fontsize=10, loc="left")
    drawn = np.concatenate([line.get_ydata() for line in axes.lines[1:]]).astype(float)
    shown = points.loc[points["variant"].isin(LINES), "accuracy"] * 100
    low = min(shown.min(), drawn[drawn > shown.min() - 15].min())
    axes.set_ylim(low - 0.06 * (drawn.max() - low), drawn.max() + 0.08 * (drawn.max() - low))
    axes.set_xlim(left=0.1)
    axes.legend(loc="lower right", frameon=True)
    return figure


def forest_figure(frame: pd.DataFrame) -> Figure:
    """Draw every difference of the mean accuracy over costs 0.3–0.9 with its interval, one panel per bank."""
    banks = list(dict.fromkeys(frame["bank"]))
    first = frame[frame["bank"] == banks[0]]
    names: list[tuple[str, bool]] = []
    for group, rows in first.groupby("group", sort=False):
        names += [(str(group), True), *[(str(c), False) for c in rows["change"]]]
    where = {}
    group = ""
    for position, (name, heading) in enumerate(names):
        group = name if heading else group
        where[(group, None if heading else name)] = -position
    figure, panels = canvas(3.3 + 2.9 * len(banks), 0.27 * len(names) + 1.0, len(banks), share=True)
    for axes, bank in zip(panels, banks, strict=True):
        rows = frame[frame["bank"] == bank]
        y = np.array([where[(g, c)] for g, c in zip(rows["group"], rows["change"], strict=True)])
        x, half = rows["window"].to_numpy(), rows["window_ci95"].to_numpy()
        for sign, colour, marker in ((1, COLOURS[0], "o"), (-1, COLOURS[1], "s"), (0, REFERENCE, "D")):
            mine = np.where(np.abs(x) > half, np.sign(x), 0) == sign
            axes.errorbar(x[mine], y[mine], xerr=half[mine], fmt=marker, color=colour, markersize=5, capsize=2.5)
        axes.axvline(0, color="#444444", linewidth=0.9)
        axes.set_title(bank.replace("--", "\n"), fontsize=10)
        axes.set_xlabel("points of accuracy", fontsize=9)
        axes.set_ylim(-len(names) + 0.3, 0.7)
    left = panels[0]
    left.set_yticks(list(where.values()), [g if c is None else c for g, c in where], fontsize=8.5)
    for tick, (_, change) in zip(left.get_yticklabels(), where, strict=True):
        tick.set_fontweight("bold" if change is None else "normal")
    return figure


def draw(frames: dict[str, pd.DataFrame]) -> Iterator[tuple[str, Figure]]:
    """Yield all figures by file name without ending."""
    for bank, points in frames["points"].groupby("bank", sort=False):
        yield f"curve--{bank}", curve_figure(str(bank), points, frames["static"][frames["static"]["bank"] == bank])
    yield "effects", forest_figure(frames["effects"])


def read(out: Path) -> dict[str, pd.DataFrame]:
    """Read the page's data."""
    return {f.stem: pd.read_csv(f) for f in sorted(out.glob("*.csv"))}


def write(raw: dict[str, pd.DataFrame], out: Path) -> None:
    """Write data and figures, and the tables into the page beside the folder."""
    table = scores(raw["points"])
    grouped = raw["exits"].groupby(["bank", "heads", "exit"], sort=False)["accuracy"].mean() * 100
    frames = {
        "points": raw["points"],
        "static": raw["static"],
        "heads": grouped.reset_index(),
        "summary": summary(table),
        "effects": effects(table),
        "nested": raw["defaults"],
        "defaults": choices(raw["defaults"]),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(out / f"{name}.csv", index=False, float_format="%.5f", lineterminator="\n")
    frames = read(out)
    with mpl.rc_context(settings()):
        for name, figure in draw(frames):
            for form in ("svg", "png"):
                (out / f"{name}.{form}").write_bytes(render(figure, form))
    page = out.with_suffix(".md")
    found = tables(frames)
    if page.exists():
        page.write_text(fill(page.read_text(encoding="utf-8"), found), encoding="utf-8")
    for name, text in found.items():
        print(f"\n{name}\n{text}")


def main() -> None:
    """Measure, then write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--banks", nargs="+", type=Path, required=True, help="folders of feature banks")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--out", type=Path, default=Path("docs/jeidnn"))
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "jeidnn_gap", help="keeps fits")
    parser.add_argument("--only", choices=("test", "nested"), help="fill the cache with one part and stop")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    seeds = [int(s) for s in given.seeds.split(",")]
    kinds = [given.only] if given.only else ["test", "nested"]
    raw = collect([b.resolve() for b in given.banks], seeds, given.cache, given.jobs, kinds)
    if not given.only:
        write(raw, given.out)


if __name__ == "__main__":
    main()
