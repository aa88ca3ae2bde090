"""A policy as one .zip: it is what the folder is, and a .zip that means harm is refused."""

from __future__ import annotations

import stat
import zipfile

import pytest
import torch

from bench import load_policy
from bench.config import RunConfig
from bench.errors import UserError
from bench.export import zipped
from bench.export.request import export_policy
from bench.export.zipped import unpacked
from tests.export.conftest import ONE


def made(path, files: dict[str, bytes], **of_last):
    """Write a .zip; the attributes of its last member are changed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            for key, value in of_last.items() if name == list(files)[-1] else ():
                setattr(member, key, value)
            archive.writestr(member, content)
    return path


def test_it_loads_as_the_folder_does_and_is_the_same_again(exported, tmp_path, digits):
    path = tmp_path / "rules" / "msdnet_thresh@0.6.zip"
    told = export_policy(RunConfig(**ONE, output=tmp_path / "runs"), path, with_backbone=False)
    assert told[-1].startswith(f"Policy: {path} (") and told[-1].endswith(" kB)")
    first = path.read_bytes()
    assert {p.name for p in path.parent.iterdir() if not p.name.startswith(".")} == {path.name}
    export_policy(RunConfig(**ONE, output=tmp_path / "runs"), path, with_backbone=False)
    assert path.read_bytes() == first
    packed, folder, images = load_policy(path), load_policy(exported), digits[1](range(40))
    assert all(torch.equal(a, b) for a, b in zip(packed(images), folder(images), strict=True))


def test_only_an_exported_policy_is_replaced(small_bank, tmp_path):
    thesis = tmp_path / "thesis.zip"
    for content in (b"x", made(tmp_path / "other.zip", {"thesis.tex": b"x"}).read_bytes()):
        thesis.write_bytes(content)
        with pytest.raises(UserError, match="is not an exported policy and is not replaced"):
            export_policy(RunConfig(**ONE, output=tmp_path / "runs"), thesis)
        assert thesis.read_bytes() == content


JSON = {"policy.json": b"{}"}
HARM = {
    "no zip": (lambda p: p.write_bytes(b"PK"), "cannot be unpacked"),
    "an absolute path": (lambda p: made(p, {"/etc/policy.json": b"{}"}), "contains '/etc/policy.json'"),
    "a path out": (lambda p: made(p, {**JSON, "../policy.json": b"{}"}), "contains '../policy.json'"),
    "a folder": (lambda p: made(p, {"policy/policy.json": b"{}"}), "contains 'policy/policy.json'"),
    "code": (lambda p: made(p, {**JSON, "method.py": b"print(1)"}), "contains 'method.py'"),
    "a link": (
        lambda p: made(p, {"policy.json": b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16),
        "contains 'policy.json'",
    ),
    "zeros": (lambda p: made(p, {**JSON, "policy.safetensors": bytes(1 << 20)}), "claims 0.0 GB"),
    "nothing": (lambda p: made(p, {}), "has no policy.json"),
    "damage": (
        lambda p: p.write_bytes(made(p, {"policy.json": b"[]"}, compress_type=0).read_bytes().replace(b"[", b"{")),
        "cannot be unpacked",
    ),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_harmful_zip_is_refused_in_a_sentence(tmp_path, monkeypatch, harm):
    monkeypatch.setattr(zipped, "MOST_BYTES", 1 << 16)
    path = tmp_path / "policy.zip"
    do, says = HARM[harm]
    do(path)
    with pytest.raises(UserError, match=says) as error:
        load_policy(path)
    assert str(path) in str(error.value) and list(tmp_path.iterdir()) == [path]


def test_the_temporary_folder_is_removed(tmp_path):
    with unpacked(made(tmp_path / "policy.zip", JSON)) as folder:
        assert (folder / "policy.json").read_bytes() == b"{}"
    assert not folder.exists()
