from __future__ import annotations

import pandas as pd
import pytest

from bench.errors import UserError
from bench.report.cells import split_cells, without_paths
from bench.trials.table import frame_of
from tests.helpers.records import records


def frame(**known):
    return frame_of(records(methods=["jeidnn"], seeds=[0], budgets=[0.5], samples=30, **known))


def test_cells_never_mix():
    variants = (
        {"dataset_variant": "jpeg90"}, {}, {"dataset_variant": "jpeg90", "limit": 200}, {"protocol_version": "v1-seen"},
        {"image_size": 224}, {"bank_digest": "c" * 16}, {"backbone": "resnet18"},
    )  # fmt: skip
    cells = split_cells(pd.concat([frame(**known) for known in variants]))
    assert len({c.folder for c in cells}) == len(cells) == 7
    assert [str(c.folder) for c in cells if c.backbone == "resnet18"] == ["cifar100lt/resnet18"]
    assert "cifar100lt/efficientnet_lite0--jpeg90-96px-v1-limit200" in {str(c.folder) for c in cells}
    assert all(str(c.folder).startswith("cifar100lt/") for c in cells)
    assert all(len(c.records) == 10 for c in cells)


def test_names_become_safe_folders_and_titles():
    (cell,) = split_cells(frame(dataset="folder:/home/me/my pics", backbone="timm:a/b"))
    assert cell.folder.parts == ("folder_my_pics", "timm_a_b")
    assert "/home" not in cell.name
    (hostile,) = split_cells(frame(dataset="../..", backbone="/etc/passwd"))
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
    assert split_cells(frame().iloc[:0]) == []
