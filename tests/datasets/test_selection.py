"""Which files of a folder are images, and what is said of the others."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from bench import datasets
from bench.datasets.selection import Selection
from bench.errors import UserError
from bench.system import notices
from bench.system.files import check_writable

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.fixture
def pets(tmp_path, write_folder, monkeypatch):
    monkeypatch.setattr(notices, "_told", set())
    return write_folder(tmp_path / "pets", ["cat", "dog"], 2)


def selected(root):
    selection = Selection(root)
    found = {path.name for folder in selection.folders(root) for path in selection.images(folder)}
    selection.tell()
    return found


FORMS = {"jfif": "JPEG", "jpe": "JPEG", "JPG": "JPEG", "jp2": "JPEG2000", "dib": "DIB", "apng": "PNG", "pnm": "PPM"}
FORMS |= {"tga": "TGA", "pcx": "PCX", "sgi": "SGI", "qoi": "QOI", "avif": "AVIF", "mpo": "MPO", "ico": "ICO"}


@pytest.mark.parametrize(("suffix", "form"), FORMS.items())
def test_every_suffix_of_the_formats_that_are_read(pets, suffix, form, capsys):
    if form not in Image.SAVE:
        Image.init()
    if form not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {form}")
    path = pets / "cat" / f"new.{suffix}"
    Image.fromarray(PIXELS).save(path, form)
    data = datasets.load(f"folder:{pets}")
    assert len(data) == 5 and data.read([data.store.paths.index(path)])[0].shape == (8, 8, 3)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("name", ["new", "new.001", "photo.jpg_large", "photo.jpg?size=large", "a.b.c"])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_content_tells_where_the_suffix_does_not(pets, name, form):
    Image.fromarray(PIXELS).save(pets / "cat" / name, form)
    assert name in selected(pets)


def test_others_are_counted_and_said_once(pets, capsys):
    Image.fromarray(PIXELS).save(pets / "dog" / "raw.nef", "TIFF")
    Image.fromarray(PIXELS).save(pets / "dog" / "old.png.bak", "PNG")
    for name in ("a.txt", "b.txt", "list", ".DS_Store"):
        (pets / "cat" / name).write_text("no image")
    (pets / "cat" / "._000.png").write_text("of a Macintosh")
    assert selected(pets) == {"000.png", "001.png"}
    said = capsys.readouterr().err
    assert "4 of 10 files in" in said and "Skipped: 2 .txt; " in said and "3 of other kinds" not in said
    selected(pets)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "place", ["cat/.ipynb_checkpoints", "cat/deep/.thumbnails", "cat/@eaDir", "__MACOSX", ".Trash-0"]
)
def test_hidden_and_tool_folders_are_passed_over(pets, place, capsys):
    shutil.copytree(pets / "dog", pets / place)
    assert Selection(pets).folders(pets) == [pets / "cat", pets / "dog"]
    assert len(datasets.load(f"folder:{pets}")) == 4
    assert f"4 of 4 files in {pets} are used. Skipped: the folder {place}." in capsys.readouterr().err


def test_a_class_may_begin_with_an_underscore(pets):
    shutil.copytree(pets / "dog", pets / "_background_")
    assert datasets.load(f"folder:{pets}").class_names == ("_background_", "cat", "dog")


@pytest.mark.parametrize("name", ["runs", "out", "my reports"])
def test_our_own_output_is_no_class(pets, name, capsys):
    check_writable(pets / name, "store", "--output")
    (pets / name / "figures").mkdir()
    Image.fromarray(PIXELS).save(pets / name / "figures" / "curve.png")
    assert datasets.load(f"folder:{pets}").class_names == ("cat", "dog")
    assert not capsys.readouterr().err


@pytest.mark.parametrize("file", ["site/.state/index.json", "site/digits/lite0/scores.parquet"])
@pytest.mark.parametrize("place", ["", "out", "out/deep"])
def test_reports_and_published_records_are_no_class(pets, file, place):
    path = pets / place / file
    path.parent.mkdir(parents=True)
    path.touch()
    Image.fromarray(PIXELS).save(pets / place / "site" / "curve.png")
    assert datasets.load(f"folder:{pets}").class_names == ("cat", "dog")


def test_unmarked_output_is_said_and_a_class_of_that_name_counts(pets, capsys):
    (pets / "results" / "digits").mkdir(parents=True)
    Image.fromarray(PIXELS).save(pets / "results" / "digits" / "curve.png")
    assert datasets.load(f"folder:{pets}").class_names == ("cat", "dog")
    assert "Skipped: the folder results." in capsys.readouterr().err
    Image.fromarray(PIXELS).save(pets / "results" / "1.png")
    assert datasets.load(f"folder:{pets}").class_names == ("cat", "dog", "results")


@pytest.mark.parametrize("name", ["300.png", "300", "300.JFIF"])
def test_a_broken_link_is_named(pets, name):
    (pets / "cat" / name).symlink_to("../.git/annex/objects/x")
    with pytest.raises(UserError, match=rf"cat.{name} is a link to \.\./\.git/annex/objects/x, which does not exist"):
        datasets.load(f"folder:{pets}")


def test_a_class_that_is_a_broken_link_is_named(pets):
    (pets / "fox").symlink_to("/mnt/archive/fox")
    with pytest.raises(UserError, match=r"fox is a link to /mnt/archive/fox, which does not exist"):
        datasets.load(f"folder:{pets}")


def test_links_to_folders_are_followed_but_not_in_circles(pets, tmp_path):
    shutil.copytree(pets / "dog", tmp_path / "more")
    for i in range(2):
        (tmp_path / "more" / f"00{i}.png").rename(tmp_path / "more" / f"10{i}.png")
    (pets / "cat" / "more").symlink_to(tmp_path / "more")
    (pets / "cat" / "up").symlink_to(pets)
    (tmp_path / "more" / "again").symlink_to("..")
    names = [path.name for path in Selection(pets).images(pets / "cat")]
    assert sorted(names) == ["000.png", "001.png", "100.png", "101.png"]  # of the cat alone


def test_what_is_no_regular_file_is_counted(pets, capsys):
    os.mkfifo(pets / "cat" / "pipe.png")
    assert len(selected(pets)) == 2
    assert "Skipped: 1 not regular files." in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_named(pets):
    (pets / "cat" / "locked").mkdir(mode=0)
    with pytest.raises(UserError, match=r"The folder .*locked cannot be read"):
        datasets.load(f"folder:{pets}")
