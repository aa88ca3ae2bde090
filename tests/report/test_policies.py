"""Policies that are published beside records: the site offers them, `bench publish` leaves them alone."""

from __future__ import annotations

import html
import json
import zipfile

import pytest

from bench.errors import UserError
from bench.report.build import build
from bench.report.policies import policies
from bench.report.request import request_of
from bench.stats.resample import BootstrapConfig
from bench.trials.publish import publish
from tests.helpers.records import cell, records, write

FAST = BootstrapConfig(draws=200, sample_draws=50)
SETTING = "cifar100lt/efficientnet_lite0"


def policy(store, name="eefp[top=3]@0.5.zip", where=None, **known):
    """Publish a made-up policy of which only policy.json is there."""
    facts = {
        "method": "eefp[top=3]", "budget": 0.5, "seed": 0, "setting": (where or cell()).model_dump(mode="json"),
        "test": {"accuracy": 0.71234, "macs": 1, "macs_fraction": 0.4871}, "backbone": {"weights": None}, "files": {},
    }  # fmt: skip
    path = store / SETTING / "policies" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("policy.json", json.dumps(facts | known))
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    publish(write(folder / "runs", records(samples=40, seeds=(0, 1), budgets=(0.3, 0.5))), folder / "results")
    return folder / "results"


def site(store, only=None):
    build(request_of(store, store.parent / "reports", formats=("site",), bootstrap=FAST, only=only))
    return store.parent / "reports" / "site"


def test_a_setting_offers_its_policies_until_they_are_gone(store):
    page, copied = site(store) / "settings" / f"{SETTING}.html", site(store) / "policies" / SETTING
    assert "policies-title" not in page.read_text() and not copied.exists()
    paths = [policy(store), policy(store, "own.zip", budget=0.3, backbone={"weights": "net.pth"})]
    publish(store.parent / "runs", store)
    assert all(path.is_file() for path in paths)
    site(store)
    text = html.unescape(page.read_text()).replace("<wbr>", "")
    assert text.index("eefp[top=3], budget 0.3") < text.index("eefp[top=3], budget 0.5")
    assert "(1 kB): accuracy on test 71.23\u00a0%, cost 48.7\u00a0% of MACs, seed 0, without the weights" in text
    words = text.replace("<span>", "").replace("</span>", "")
    assert 'bench.load_policy("eefp[top=3]@0.5.zip")' in words
    assert 'bench.load_policy("own.zip", backbone="FOLDER")' in words
    assert f'href="../../policies/{SETTING}/eefp%5Btop%3D3%5D%400.5.zip" download' in page.read_text()
    assert (copied / "eefp[top=3]@0.5.zip").read_bytes() == paths[0].read_bytes()
    for path in paths:
        path.unlink()
    site(store, only=SETTING)
    assert "policies-title" not in page.read_text() and not copied.exists()


def test_policies_of_another_bank_are_not_offered(tmp_path):
    policy(tmp_path, where=cell(bank_digest="c" * 16))
    assert policies([tmp_path]).keys() == {cell(bank_digest="c" * 16)} and policies([tmp_path / "none"]) == {}


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), None])
def test_another_file_is_told_of(tmp_path, content):
    path = policy(tmp_path, seed="zero")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="is not an exported policy"):
        policies([tmp_path])
