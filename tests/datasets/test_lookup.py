"""Names, parameters and places: what loads, and the sentence where nothing does."""

import pytest

from bench import datasets
from bench.datasets import cifar, fashion_mnist, svhn
from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.spec import Spec
from bench.system.public_data import named


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cifar11", "no dataset 'cifar11'. Did you mean 'cifar10'"),
        ("digits:x", "'digits' takes no argument after a colon. Write digits"),
        ("digits[a=1]", "no parameter 'a'. digits takes no parameters"),
        ("cifar100lt[imbalanc=5]", "no parameter 'imbalanc'. Did you mean 'imbalance'"),
        ("cifar100lt[imbalance=0]", "greater than or equal to 1"),
        ("cifar100lt[imbalance=many]", "'many' is not a valid value for parameter 'imbalance'"),
        ("folder", "Write folder:PATH"),
        ("folder:/no/such/folder", "image folder /no/such/folder does not exist"),
        ("hf", "Write hf:OWNER/NAME"),
        ("hf:./nothing", "nothing does not exist. Write hf:PATH"),
    ],
)
def test_mistakes_are_sentences(text, sentence):
    with pytest.raises(UserError) as error:
        datasets.load(text)
    assert sentence in str(error.value)


def test_every_dataset_has_a_summary_for_the_list():
    for plugin in registry.plugins("datasets").values():
        if plugin.target.startswith("bench.datasets."):
            summary, problem = plugin.describe()
            assert problem is None and 20 < len(summary) < 130, plugin.name


def test_spec_objects_are_accepted():
    assert datasets.load(Spec("digits")).name == "digits"


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "cifar100lt", "svhn", "fashion_mnist"])
def test_missing_data_says_where_it_was_looked_for(name, tmp_path, monkeypatch, own_cache):
    def offline(*_):
        raise OSError("no route to host")

    module = {"svhn": svhn, "fashion_mnist": fashion_mnist}.get(name, cifar)
    monkeypatch.setattr(module, "_download", offline)
    monkeypatch.setattr(fashion_mnist, "SYSTEM", tmp_path / "system")
    for folder in ("data", "more"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "more"))
    with pytest.raises(UserError) as error:
        datasets.load(name, data_dir=tmp_path / "data")
    text = str(error.value)
    places = [str(tmp_path / "data"), str(tmp_path / "more"), str(own_cache / "downloads")]
    assert [text.index(place) for place in places] == sorted(text.index(place) for place in places)
    assert "no route to host" in text and "--data-dir" in text and "$BENCH_DATA" in text


def test_folders_that_do_not_exist_are_named(tmp_path, monkeypatch):
    (tmp_path / "cifar-10-python.tar.gz").touch()
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz is an archive\. Extract it .*--data-dir the folder"):
        datasets.load("cifar10", data_dir=tmp_path / "cifar-10-python.tar.gz")
    with pytest.raises(UserError, match=r"data folder .*gone does not exist"):
        datasets.load("cifar10", data_dir=tmp_path / "gone")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"\$BENCH_DATA is .*gone"):
        datasets.load("cifar10")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("uoft-cs/cifar10", "cifar10"),
        ("uoft-cs/cifar100", "cifar100"),
        ("/data/CIFAR-100/", "cifar100"),
        ("ylecun/mnist", "mnist"),
        ("zalando-datasets/fashion_mnist", "fashion_mnist"),
        ("ILSVRC/imagenet-1k", "imagenet"),
        ("timm/imagenet-1k-wds", "imagenet"),
        ("benjamin-paine/imagenet-1k-256x256", "imagenet"),
        ("zh-plus/tiny-imagenet", "imagenet"),
        ("frgfm/imagenette", "imagenet"),
        ("clane9/imagenet-100", "imagenet"),
        ("timm/imagenet-22k-wds", "imagenet"),
        ("imagenet_sketch", None),
        ("vaishaal/ImageNetV2", None),
        ("barkermrl/imagenet-a", None),
        ("user/cifar10-my-notes", "cifar10"),
        ("nateraw/beans", None),
    ],
)
def test_public_images_are_known_by_name(name, source):
    assert named(*name.split("/")) == source
