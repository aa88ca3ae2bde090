"""Whatever a file contains, its reader returns or raises a UserError: no traceback, no hang, no crash.

`pytest tests/fuzz --hypothesis-profile=deep` tries 20,000 damaged files per reader.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import resource
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from bench import datasets
from bench.bank import logits, manifest, store
from bench.datasets import cifar, digests, fashion_mnist, parquet, svhn
from bench.datasets.decode import decode, is_image, lossy
from bench.report import state
from bench.stats.load import from_records
from bench.system import recall
from bench.trials import rescore, verified
from bench.trials import store as trials
from bench.trials.sheet import Sheet, write_sheet
from bench.trials.table import frame_of
from bench.tune import history
from tests.helpers import damage
from tests.helpers import records as make
from tests.helpers.damage import sentence
from tests.helpers.idx import idx_bytes
from tests.helpers.images import encode
from tests.helpers.logits import logits as made_up_logits

MEMORY = 6 << 30  # bytes of address space that a reader may take on top of what the process has
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(3600)]
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


@pytest.fixture(scope="module", autouse=True)
def bounded() -> Iterator[None]:
    """Let an allocation that follows a lie fail instead of taking the machine's memory."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def file_of(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


# Readers of bytes


@dataclass(frozen=True)
class Reader:
    """A reader, valid contents that are damaged for it, and a share of the profile's examples if it is slow."""

    read: Callable[[Path, bytes], object]
    valid: Callable[[], list[bytes]]
    share: float = 1.0


def at(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """Return a reader of a file of this name."""

    def reader(folder: Path, content: bytes) -> object:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return reader


def images() -> list[bytes]:
    exif = Image.Exif()
    exif[0x112] = 6
    grey = np.arange(120, dtype=np.uint16).reshape(12, 10) * 500
    found = [encode(PIXELS, encoding=form) for form in ("PNG", "GIF", "BMP", "TIFF", "PPM", "TGA", "PCX", "SGI", "ICO")]
    found += [encode(PIXELS, encoding="JPEG", exif=exif), encode(grey), encode(grey, encoding="TIFF")]
    found += [encode(PIXELS, encoding="TIFF", compression=how) for how in ("tiff_lzw", "tiff_deflate", "packbits")]
    found += [encode(PIXELS, encoding=form) for form in ("WEBP", "JPEG2000", "AVIF", "QOI") if form in Image.SAVE]
    palette = file_of(lambda file: Image.fromarray(PIXELS).convert("P").save(file, "PNG", transparency=3))
    return [*found, palette]


def matlab() -> list[bytes]:
    arrays = {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [10]], np.uint8)}
    return [file_of(lambda f, p=packed: savemat(f, arrays, do_compression=p)) for packed in (True, False)]


def idx() -> list[bytes]:
    found = [idx_bytes(array) for array in (np.zeros((2, 28, 28)), np.arange(2))]
    return [*found, *map(gzip.compress, found)]


def pickles() -> list[bytes]:
    content = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1], "filenames": ["a", "b"]}
    old = pickle.dumps(content, protocol=2).replace(b"numpy._core", b"numpy.core")
    return [pickle.dumps(content, protocol=4), old, pickle.dumps({"label_names": list("abcdefghij")}, protocol=2)]


def flags() -> list[bytes]:
    return [json.dumps({"a": {"scores": "b"}}).encode()]


def read_pickle(path: Path) -> object:
    found = cifar._load(path)
    try:
        return found["data"].array()
    except Exception:  # the caller makes a sentence of anything
        return None


def entries() -> list[bytes]:
    keys = np.array([b"0" * 32] * 3, "S32")
    checked = np.append(keys, np.array([digests._check(Path("x.npy"), keys)], "S32"))
    return [file_of(lambda file: np.save(file, checked))]


def tables() -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [{"bytes": encode(PIXELS), "path": None}] * 4
    info = {"info": {"features": {"img": {"_type": "Image"}, "label": {"names": list("ab"), "_type": "ClassLabel"}}}}
    table = pa.table({"img": cells, "label": [0, 1, 0, 1]}).replace_schema_metadata({"huggingface": json.dumps(info)})
    return [file_of(lambda file: pq.write_table(table, file))]


def texts() -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["one two", "three", "four", "five"], "label": ["x", "y", "x", "y"]})
    return [file_of(lambda file: pq.write_table(table, file))]


def read_texts(folder: Path, content: bytes) -> object:
    (folder / "train.parquet").write_bytes(content)
    data = datasets.load(f"hf:{folder / 'train.parquet'}")
    return data.read(range(len(data)))


def sheets_of_texts() -> list[bytes]:
    rows = 'text,label,split\r\n"one, ""two""\nlines",x,train\r\nthree é,y,test\r\nfour,x,train\r\nfive,y,train\r\n'
    return [rows.encode(code) for code in ("utf-8", "utf-8-sig", "utf-16")] + [b"sep=;\ntext;label\na;x\nb;y\nc;x\n"]


def read_csv(path: Path) -> object:
    data = datasets.load(f'csv:"{path}"')
    return data.keys, data.read(range(len(data)))


def read_table(folder: Path, content: bytes) -> object:
    for part in ("train", "test"):
        (folder / f"{part}-0.parquet").write_bytes(content)
    return parquet.open_parquet("cifar10", folder)


def saved() -> list[bytes]:
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    cells = [{"bytes": encode(PIXELS), "path": f"{i}.png"} for i in range(8)]
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["a", "b"])})
    with tempfile.TemporaryDirectory() as place:
        Dataset.from_dict({"image": cells, "label": [0, 1] * 4}, features).save_to_disk(f"{place}/set")
        return [(Path(place) / "set/data-00000-of-00001.arrow").read_bytes()]


def read_saved(folder: Path, content: bytes) -> object:
    from datasets import Dataset

    if not (folder / "set").exists():
        Dataset.from_dict({"image": [b""], "label": [0]}).save_to_disk(folder / "set")
    (folder / "set/data-00000-of-00001.arrow").write_bytes(content)
    data = datasets.load(f"hf:{folder / 'set'}")
    return data.read(range(len(data)))


@cache
def grid() -> list[Any]:
    return make.records(methods=("jeidnn",), seeds=(0,), budgets=(0.3, 0.5), samples=8)


def jsons() -> list[bytes]:
    return [record.model_dump_json(indent=1).encode() for record in grid()[:3]]


@cache
def sheet() -> tuple[bytes, bytes]:
    return write_sheet(grid()[0].cell, grid())


def read_sheet(scores: bytes, outcomes: bytes) -> None:
    for record in Sheet(scores, outcomes, "x").records():
        record.model_dump()


def outcomes() -> list[bytes]:
    from bench.metrics.stored import to_arrays
    from tests.helpers.outcomes import outcomes as draw
    from tests.helpers.outcomes import point

    arrays: dict[str, Any] = to_arrays(point(draw(8, 5, 6, 0), draw(8, 5, 6, 1)))
    return [file_of(lambda file: np.savez(file, **arrays)), file_of(lambda file: np.savez_compressed(file, **arrays))]


def read_outcomes(folder: Path, content: bytes) -> None:
    record = next(record for record in grid() if record.outcomes)
    trials.write_record(folder / "0.json", record)
    (folder / "0.npz").write_bytes(content)
    rescore.rescore_file(folder / "0.json", again=True, write=False)


def checkpoints() -> list[bytes]:
    import torch
    from safetensors.torch import save

    weights = {"a.weight": torch.zeros(3, 2), "b": torch.ones(4)}
    return [save(weights), file_of(lambda file: torch.save(weights, file))]


def read_checkpoint(folder: Path, content: bytes) -> object:
    from bench.backbones.weights import read_checkpoint

    path = folder / ("w.pth" if content[:2] == b"PK" else "w.safetensors")
    path.write_bytes(content)
    return read_checkpoint(path)


BYTES: dict[str, Reader] = {
    "image": Reader(lambda _, content: decode(content, "x.png"), images),
    "encoding of an image": Reader(lambda _, content: lossy([content]), images),
    "file without suffix": Reader(at("file", is_image), images),
    "SVHN images": Reader(at("a.mat", lambda path: svhn._images(path, 2)), matlab),
    "SVHN labels": Reader(at("a.mat", svhn._labels), matlab),
    "IDX images": Reader(at("a", lambda path: fashion_mnist._images(path, 2)), idx),
    "IDX labels": Reader(at("a", fashion_mnist._labels), idx),
    "CIFAR archive": Reader(at("batch", read_pickle), pickles),
    "digest cache": Reader(at("x.npy", lambda path: digests._open(path, 3)), entries),
    "parquet": Reader(read_table, tables, share=0.5),
    "parquet of texts": Reader(read_texts, texts, share=0.5),
    "CSV": Reader(at("a.csv", read_csv), sheets_of_texts),
    "manifest": Reader(
        at(manifest.FILE, lambda path: manifest.read_manifest(path.parent)), lambda: [MANIFEST.encode()]
    ),
    "record": Reader(at("r.json", lambda path: frame_of([trials.read(path)])), jsons),
    "published scores": Reader(lambda _, content: read_sheet(content, sheet()[1]), lambda: [sheet()[0]], share=0.2),
    "published outcomes": Reader(lambda _, content: read_sheet(sheet()[0], content), lambda: [sheet()[1]], share=0.2),
    "outcomes": Reader(read_outcomes, outcomes, share=0.2),
    "checkpoint": Reader(read_checkpoint, checkpoints),
    "logits": Reader(at("a.npz", logits.load_logits), lambda: [made_up_logits().dumps()], share=0.5),
    "flags of verified records": Reader(at(verified.FILE, lambda path: verified.read(path.parent)), flags),
    "report's list": Reader(at(state.LIST, lambda path: state.listed(path.parent)), lambda: [b'["a.md", "b/c.png"]']),
    "search": Reader(at("s.yaml", history.read), lambda: [b"schema_version: 1\nmethod: x\ntrials:\n- {a: 1}\n"]),
}


@pytest.mark.parametrize("name", BYTES)
def test_damaged_files_end_in_a_sentence(name, folder):
    reader = BYTES[name]
    valid = reader.valid()

    @settings(
        max_examples=max(5, int(reader.share * settings.default.max_examples)), suppress_health_check=list(HealthCheck)
    )
    @given(content=damage.damaged(valid))
    def check(content: bytes) -> None:
        sentence(lambda: reader.read(folder, content))

    for content in valid:
        sentence(lambda content=content: reader.read(folder, content))
    check()


# Readers of JSON that is well formed, but says what cannot be


@cache
def body() -> dict[str, Any]:
    known: dict[str, Any] = dict.fromkeys(("digest", "dataset", "dataset_digest", "source", "protocol"), "x")
    known |= {"backbone": "x", "weights_digest": "x", "dataset_variant": None, "limit": None, "seen": False}
    known |= {"class_names": ["a", "b"], "num_classes": 2, "sizes": {"train": 2}, "train_class_counts": [1, 1]}
    known |= {"image_size": 8, "exit_names": ["0", "1"], "feature_dims": [2], "final_dim": 2, "macs": [1, 2]}
    known |= {"head": "probe", "l2": [0.1], "transform": {"size": 8}, "dtype": "float16", "views": 0}
    known |= {"libraries": {}, "files": {"train.final.npy": {"bytes": 1, "xxh3_128": "x"}}}
    return json.loads(manifest.Manifest(**known).dumps())


MANIFEST = json.dumps(body())


def read_body(folder: Path, value: Any) -> None:
    value = {k: v for k, v in value.items() if k != "checksum"}
    (folder / "bank").mkdir(exist_ok=True)
    (folder / "bank" / manifest.FILE).write_text(json.dumps(value | {"checksum": manifest.digest_of(value)}))
    assert all(isinstance(problem, str) for problem in store.verify(folder / "bank"))


def read_record(folder: Path, value: Any) -> None:
    record = trials.parse(folder / "r.json", json.dumps(value).encode())
    frame_of([record])
    from_records([record])


def read_names(_: Path, value: Any) -> None:
    import pyarrow as pa

    schema = pa.schema({"label": pa.int64()}, {"huggingface": json.dumps(value).encode("utf-8", "surrogatepass")})
    names = parquet.class_names(schema, "label")
    assert names is None or all(isinstance(name, str) for name in names)


def read_state(folder: Path, value: Any) -> None:
    (folder / state.FOLDER).mkdir(exist_ok=True)
    for name in (state.LIST, f"{state.FOLDER}/index.json"):
        (folder / name).write_text(json.dumps(value))
    (folder / state.FOLDER / "a").mkdir(exist_ok=True)
    (folder / state.state_path("a/b")).write_text(json.dumps(value) + "\n{}\n")
    assert all(isinstance(path, str) for path in state.listed(folder))


def read_recalled(_: Path, value: Any) -> None:
    recall._file("x", 1).write_text(json.dumps(value))
    recall.recall("x", 1)


FEATURES = {"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}
KEPT = {"key": "k", "formats": ["md"], "files": {"a.md": "0"}, "state": "s", "readme": None}
JSON: dict[str, tuple[Callable[[Path, Any], object], Callable[[], list[Any]]]] = {
    "record": (read_record, lambda: [json.loads(text) for text in jsons()]),
    "manifest": (read_body, lambda: [body()]),
    "class names of parquet": (read_names, lambda: [FEATURES]),
    "state of a report": (read_state, lambda: [KEPT, ["a.md"]]),
    "what is remembered": (read_recalled, lambda: [{"state": ["a", "b"], "paths": ["/x"], "value": {"path": "/x"}}]),
}


@pytest.mark.parametrize("name", JSON)
def test_lies_end_in_a_sentence(name, folder):
    read, valid = JSON[name]

    @settings(suppress_health_check=list(HealthCheck))
    @given(value=damage.lying(valid()))
    def check(value: Any) -> None:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return  # which no file can hold
        sentence(lambda: read(folder, value))

    check()


# Arrays of outcomes of other shapes, types and ranges


@pytest.mark.slow
@given(data=st.data())
@settings(suppress_health_check=list(HealthCheck))
def test_outcomes_that_lie_end_in_a_sentence(folder, data):
    held = _arrays()
    name = data.draw(st.sampled_from(sorted(held)))
    array = held[name]
    change = data.draw(st.sampled_from(["value", "type", "shape", "remove", "other"]))
    if change == "value":
        extremes = [-1, 0, 2**31 - 1, 10**9] if array.dtype.kind in "iu" else [np.nan, np.inf, -1.0, 1e300]
        kind = np.int64 if array.dtype.kind in "iu" else np.float64
        held[name] = array.astype(kind)
        held[name][(0,) * array.ndim] = data.draw(st.sampled_from(extremes))
    elif change == "type":
        held[name] = array.astype(data.draw(st.sampled_from(["U3", "c8", "S2", "f4", "i8", "M8[s]"])))
    elif change == "shape":
        held[name] = array.reshape(-1)[: data.draw(st.integers(0, array.size))]
    elif change == "remove":
        del held[name]
    else:
        held[name] = held[data.draw(st.sampled_from(sorted(held)))]
    read_outcomes(folder, file_of(lambda file: np.savez(file, **held)))


def _arrays() -> dict[str, Any]:
    with np.load(io.BytesIO(outcomes()[0])) as file:
        return {name: file[name] for name in file.files}
