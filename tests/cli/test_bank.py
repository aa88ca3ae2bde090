"""`bench bank list --json` and `bench bank remove` as a user has them."""

from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture
def banks(small_bank, tmp_path):
    shutil.copytree(small_bank.path, tmp_path / "banks" / small_bank.path.name)
    return ["--bank-dir", tmp_path / "banks"]


def test_a_bank_is_listed_and_removed(bench, banks, small_bank, tmp_path):
    (row,) = json.loads(bench("bank", "list", "--json", *banks).stdout)
    assert (row["name"], row["digest"], row["state"]) == (small_bank.path.name, small_bank.digest, "ok")
    assert (row["dataset"], row["backbone"], row["problem"]) == ("digits", small_bank.manifest.backbone, None)
    assert row["bytes"] > small_bank.manifest.bytes and row["used"].endswith("+00:00")
    assert row["sizes"] == dict(small_bank.manifest.sizes)
    megabytes = f"{row['bytes'] / 1e6:,.1f} MB"
    would = bench("bank", "remove", row["digest"][:12], "--dry-run", "--json", *banks)
    assert json.loads(would.stdout) == {"removed": {row["name"]: "named"}, "bytes": row["bytes"], "dry_run": True}
    assert json.loads(bench("bank", "verify", "--json", *banks).stdout) == [{"name": row["name"], "problems": []}]
    assert bench("bank", "remove", row["digest"][:12], *banks).stdout == f"removed {row['name']}: {megabytes} freed.\n"
    assert json.loads(bench("bank", "list", "--json", *banks).stdout) == []
    again = bench("bank", "remove", row["name"], *banks)
    assert again.returncode == 2 and "There is no bank" in again.stderr


def test_an_unfinished_bank_is_listed_with_what_is_known(bench, banks, small_bank, tmp_path):
    folder = tmp_path / "banks" / small_bank.path.name
    folder.rename(folder.with_name(f"{folder.name}.partial"))
    (row,) = json.loads(bench("bank", "list", "--json", *banks).stdout)
    assert (row["state"], row["dataset"], row["exit_names"]) == ("partial", None, None)
    assert small_bank.digest.startswith(row["digest"])
