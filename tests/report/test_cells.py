from __future__ import annotations

import pytest

from bench.report.cells import addresses
from bench.trials.folders import without_paths
from tests.helpers.records import cell


def test_settings_never_share_a_folder_or_a_name():
    variants = (
        {"dataset_variant": "jpeg90"}, {}, {"dataset_variant": "jpeg90", "limit": 200}, {"protocol_version": "v1-seen"},
        {"image_size": 224}, {"bank_digest": "c" * 16}, {"backbone": "resnet18"},
    )  # fmt: skip
    found = addresses(cell(**known) for known in variants)
    assert len({a.folder for a in found.values()}) == len({a.name for a in found.values()}) == 7
    assert [str(a.folder) for c, a in found.items() if c.backbone == "resnet18"] == ["cifar100lt/resnet18"]
    assert "cifar100lt/efficientnet_lite0--jpeg90-96px-v1-limit200" in {str(a.folder) for a in found.values()}
    assert all(str(a.folder).startswith("cifar100lt/") for a in found.values())
    assert addresses([]) == {}


def test_names_become_safe_folders_and_titles():
    (found,) = addresses([cell(dataset="folder:/home/me/my pics", backbone="timm:a/b")]).values()
    assert found.folder.parts == ("folder_my_pics", "timm_a_b")
    assert "/home" not in found.name
    (hostile,) = addresses([cell(dataset="../..", backbone="/etc/passwd")]).values()
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
