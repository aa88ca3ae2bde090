from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from synthetic import records, row

from bench.errors import UserError
from bench.report.aggregate import aggregate, interval, leaders
from bench.report.cells import split_cells, without_paths


def only_cell(frame: pd.DataFrame):
    (cell,) = split_cells(frame)
    return cell


def find(rows, method, point):
    return next(r for r in rows if (r.method, r.point) == (method, point))


def accuracies(**methods: list[float]) -> pd.DataFrame:
    """Records of one budget from the accuracies per seed."""
    return pd.DataFrame(
        [
            row(method=m, seed=s, accuracy=a, macs_fraction=0.5, macs=1.0)
            for m, v in methods.items()
            for s, a in enumerate(v)
        ]
    )


def test_interval_by_hand():
    e = interval([1.0, 2.0, 3.0])
    assert (e.mean, e.n) == (2.0, 3)
    assert e.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert math.isnan(interval([5.0]).half)
    assert interval([5.0, 5.0]).half == 0.0


def test_a_complete_grid_has_no_flags_but_the_cell_s():
    rows = aggregate(only_cell(records(dataset_variant=None)))
    assert all(r.complete and not r.flags for r in rows)
    assert [r.method for r in rows[12:]] == ["static"] * 6 + ["hull"] * 4 + ["random"] * 4 + ["oracle"]
    assert [r.point for r in rows[12:18]] == [f"exit={k}" for k in range(6)]
    assert [r.budget for r in rows[18:-1]] == [0.3, 0.5, 0.7, 0.9] * 2 and rows[-1].budget is None
    assert [r.budget for r in rows[:12]] == sorted([0.3, 0.5, 0.7, 0.9] * 3)
    assert find(rows, "oracle", "oracle").estimate("ece_mass15") is None
    flagged = aggregate(only_cell(records(limit=200, protocol="v1-seen")))
    assert all(r.flags == ("limit 200", "v1-seen", "jpeg90") for r in flagged)


def test_gain_over_random_is_taken_seed_by_seed():
    frame = records(methods=["jeidnn"], budgets=[0.5])
    mine = frame[frame["kind"] == "method"]
    got = find(aggregate(only_cell(frame)), "jeidnn", "budget=0.5").estimate("gain_random")
    assert got == interval((mine["accuracy"] - mine["accuracy_random"]).tolist())


def test_missing_seeds_and_budgets_are_said():
    frame = records(dataset_variant=None)
    frame = frame[~((frame["method"] == "jeidnn") & (frame["budget"] == 0.3) & (frame["seed"] == 2))]
    frame = frame[~((frame["method"] == "entropy_thresh") & (frame["budget"] == 0.9))]
    rows = aggregate(only_cell(frame))
    part = find(rows, "jeidnn", "budget=0.3")
    assert part.flags == ("incomplete 2/3 seeds", "not run 1/3")
    assert part.estimate("accuracy").n == 2 and not part.complete
    none = find(rows, "entropy_thresh", "budget=0.9")
    assert none.flags == ("not run",) and none.estimate("accuracy") is None


def test_failures_are_rows_with_their_reason():
    frame = records(methods=["jeidnn", "msdnet_thresh"], dataset_variant=None).astype({"reason": object})
    bad = (frame["method"] == "jeidnn") & (frame["budget"] == 0.3)
    frame.loc[bad, ["status", "reason"]] = ["infeasible", "the first exit costs 0.31"]
    bad = (frame["method"] == "jeidnn") & (frame["budget"] == 0.5) & (frame["seed"] == 1)
    frame.loc[bad, ["status", "reason"]] = ["failed", "ValueError: no file /home/someone/secret/x.py"]
    rows = aggregate(only_cell(frame))
    assert find(rows, "jeidnn", "budget=0.3").flags == ("infeasible",)
    assert find(rows, "jeidnn", "budget=0.3").reasons == ("the first exit costs 0.31",)
    part = find(rows, "jeidnn", "budget=0.5")
    assert part.flags == ("incomplete 2/3 seeds", "failed 1/3")
    assert part.reasons == ("ValueError: no file x.py",)
    assert part.seeds == (0, 2)


def test_only_the_newest_of_two_versions_counts():
    old = row(seed=0, accuracy=0.1, source_digest="a", created="2026-01-01T00:00:00+00:00")
    new = row(seed=0, accuracy=0.9, source_digest="b", created="2026-02-01T00:00:00+00:00")
    other = row(seed=1, accuracy=0.7, source_digest="a", created="2026-01-01T00:00:00+00:00")
    (got,) = aggregate(only_cell(pd.DataFrame([new, old, other])))
    assert got.estimate("accuracy").mean == pytest.approx(0.8)
    assert got.flags[:2] == ("1 older record left out", "versions of the code mixed")


def test_collapse_is_flagged_for_methods_only():
    frame = records(methods=["jeidnn"], budgets=[0.5], dataset_variant=None)
    frame.loc[frame["method"] == "jeidnn", "collapsed"] = 0.97
    rows = aggregate(only_cell(frame))
    assert [r.method for r in rows if "collapsed" in r.flags] == ["jeidnn"]


def test_best_needs_paired_differences_above_zero():
    # the seeds differ far more than the methods, whose differences are steady
    frame = accuracies(a=[0.50, 0.60, 0.70], b=[0.49, 0.589, 0.691])
    assert leaders(aggregate(only_cell(frame))) == {("a", "budget=0.5"): "best"}
    frame = accuracies(a=[0.50, 0.60, 0.70], b=[0.49, 0.61, 0.68], c=[0.1, 0.2, 0.3])
    assert leaders(aggregate(only_cell(frame))) == {("a", "budget=0.5"): "tie", ("b", "budget=0.5"): "tie"}
    equal = accuracies(a=[0.5, 0.6], b=[0.5, 0.6])
    assert set(leaders(aggregate(only_cell(equal))).values()) == {"tie"}


def test_nobody_leads_with_one_seed_alone_or_with_seeds_missing():
    assert leaders(aggregate(only_cell(accuracies(a=[0.9], b=[0.1])))) == {}
    assert leaders(aggregate(only_cell(accuracies(a=[0.9, 0.8])))) == {}
    assert leaders(aggregate(only_cell(accuracies(a=[0.9, 0.9], b=[0.1, 0.1, 0.1])))) == {}


def test_cells_never_mix():
    frames = [records(methods=["jeidnn"], seeds=[0], budgets=[0.5], **kw) for kw in (
        {}, {"dataset_variant": None}, {"limit": 200}, {"protocol": "v1-seen"}, {"image_size": 224},
        {"bank_digest": "c" * 16}, {"backbone": "resnet18"},
    )]  # fmt: skip
    cells = split_cells(pd.concat(frames))
    assert len({c.folder for c in cells}) == len(cells) == 7
    assert [str(c.folder) for c in cells if c.backbone == "resnet18"] == ["cifar100lt/resnet18"]
    assert "cifar100lt/efficientnet_lite0--jpeg90-96px-v1-limit200" in {str(c.folder) for c in cells}
    assert all(str(c.folder).startswith("cifar100lt/") for c in cells)
    assert all(len(c.records) == 10 for c in cells)


def test_names_become_safe_folders_and_titles():
    (cell,) = split_cells(pd.DataFrame([row(dataset="folder:/home/me/my pics", backbone="timm:a/b")]))
    assert cell.folder.parts == ("folder_my_pics", "timm_a_b")
    assert "/home" not in cell.name
    hostile = split_cells(pd.DataFrame([row(dataset="../..", backbone="/etc/passwd")]))[0]
    assert ".." not in hostile.folder.parts and not hostile.folder.is_absolute()


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("no file '/a/b/c.txt'", "no file 'c.txt'"),
        ("~/x/y.py broke", "y.py broke"),
        ("0.3/0.5 and a/b stay", "0.3/0.5 and a/b stay"),
        ("folder:/data/pics", "folder:pics"),
        (r"C:\Users\me\f.py:3", "f.py:3"),
    ],
)
def test_paths_are_shortened(text, short):
    assert without_paths(text) == short


def test_what_is_no_record_frame():
    with pytest.raises(UserError, match="columns id, status"):
        split_cells(pd.DataFrame({"x": [1]}))
    assert split_cells(pd.DataFrame([row()]).iloc[:0]) == []
    assert np.isnan(row()["limit"])
