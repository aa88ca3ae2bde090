"""Text encoders of `transformers`, from a folder or from the Hugging Face hub: `hf_text:NAME_OR_PATH`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from torch import Tensor

from bench.backbones.hub import download
from bench.backbones.staged import Origin
from bench.backbones.text import StagedText, TextModel, TextOptions, build_encoder, stage_text, tokenizer_file
from bench.backbones.weights import RANDOM, locate, origin_of, read_checkpoint
from bench.errors import UserError
from bench.inputs.tokens import Tokens, check_installed
from bench.system.files import read_regular
from bench.system.network import ToDownload, downloads_allowed
from bench.system.paths import user_path
from bench.system.recall import watch

CONFIG = "config.json"
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
MOST_JSON = 1 << 24
# Fields of config.json that do not affect what the encoder computes.
_NO_IDENTITY = (
    *("_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version", "use_cache"),
    *("id2label", "label2id", "problem_type", "finetuning_task"),
)


def hf_text(*, argument: str | None = None, **options: Unpack[TextOptions]) -> StagedText:
    """Any BERT, RoBERTa, DistilBERT, ALBERT, MPNet or ModernBERT, `hf_text:NAME_OR_PATH`.

    NAME_OR_PATH is a folder, or a name on the Hugging Face hub, with config.json, safetensors and a tokenizer. There is
    an exit before the first block and after every block. A classifier's own head is the last exit if `head_for` names
    the dataset; `seen` lists what the classifier was trained on, unless its name shows it. `max_tokens` (128) truncates
    longer texts. `pooling` selects what heads see: the `mean` of the tokens, the first one (`cls`) or `both`.
    """
    check_installed("hf_text")
    if not argument:
        raise UserError("Give a folder or a name on the hub: hf_text:NAME_OR_PATH, as in hf_text:bert-base-uncased.")
    folder, place = _folder(argument)
    settings = _settings(folder)
    weights, code = options.get("weights"), _identity(settings)
    classifier = "ForSequenceClassification" in str(settings.get("architectures"))
    vocabulary = tokenizer_file(folder)
    if vocabulary is None:
        raise UserError(
            f"'{argument}' has no tokenizer.json. Write one: AutoTokenizer.from_pretrained('{argument}')"
            ".save_pretrained(FOLDER)."
        )
    watch(*(folder / name for name in TOKENIZERS))
    state = None
    if weights != RANDOM:
        path = locate(weights, [], None) if weights else None
        state = read_checkpoint(path) if path else _weights(folder, argument, hub=place != folder)
        place = path or place
    encoder, head = build_encoder(settings, state, source=argument, classifier=classifier)
    origin = Origin()
    if state is not None:
        classes = None if head is None else head.out_features
        origin = origin_of(place, classes=classes, options=options, family=Origin())
    lowercase = _lowercase(folder)
    model = TextModel(encoder, head, lambda limit: Tokens.read(vocabulary, limit, lowercase=lowercase))
    found = stage_text(f"hf_text:{argument}", model, origin, options, code=code)
    found.files = tuple(path for name in (CONFIG, *TOKENIZERS) if (path := folder / name).is_file())
    return found


hf_text.default_image_size = lambda native, argument: None  # type: ignore[attr-defined]  # `max_tokens` decides
hf_text.argument_names_weights = True  # type: ignore[attr-defined]  # so `seen` describes it


def _folder(argument: str) -> tuple[Path, Path]:
    """Return the folder of a model, and the path or name from which the datasets it has seen are read."""
    folder = user_path(argument)
    watch(folder / CONFIG)
    if folder.is_dir():
        return folder, folder
    if not HUB_NAME.fullmatch(argument):
        raise UserError(f"There is no folder '{folder}'. Give a folder with a config.json, or a name on the hub.")
    patterns = (CONFIG, *TOKENIZERS, "*.safetensors", "*.safetensors.index.json")
    return download(argument, patterns), Path("/", argument)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        found = json.loads(read_regular(path, MOST_JSON))
    except Exception as error:  # damaged JSON may raise several kinds
        reason = str(error) or type(error).__name__
        raise UserError(f"'{path}' cannot be read ({reason}). Give the folder of a model of `transformers`.") from None
    if not isinstance(found, dict):
        raise UserError(f"'{path}' does not describe a model. Give the folder of a model of `transformers`.")
    return found


def _identity(settings: Mapping[str, Any]) -> str:
    """Return a digest of what decides how the encoder computes, besides its weights."""
    kept = {key: value for key, value in settings.items() if key not in _NO_IDENTITY}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _weights(folder: Path, argument: str, *, hub: bool) -> dict[str, Tensor]:
    """Read the safetensors file or files of a model; pickles are not read."""
    files = sorted(folder.glob("model*.safetensors"))
    watch(*files)
    if not files:
        if hub and not downloads_allowed():
            raise ToDownload(f"The weights of {argument}")
        raise UserError(
            f"'{argument}' has no model.safetensors, and pickled weights are not read. Convert them once: "
            f"AutoModel.from_pretrained('{argument}').save_pretrained(FOLDER), then use hf_text:FOLDER."
        )
    return {name: value for path in files for name, value in read_checkpoint(path).items()}


def _lowercase(folder: Path) -> bool:
    """Return whether the words of a vocab.txt are lower case."""
    path = folder / "tokenizer_config.json"
    try:
        return bool(json.loads(read_regular(path, MOST_JSON)).get("do_lower_case", True)) if path.is_file() else True
    except (ValueError, AttributeError, OSError) as error:
        raise UserError(f"'{path}' cannot be read ({error}). Download or save it again.") from None
