"""`module:factory` and entry points of others: found, called with what they take, labelled, identified, explained."""

import json

import pytest
import torch

from bench import backbones
from bench.backbones.builder import only_registered
from bench.backbones.code import code_digest
from bench.bank.source import Request, Source
from bench.check.network import examination
from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.registry import Plugin
from tests.helpers.networks import HEAD, SMALL


def test_a_network_in_the_current_folder_is_found_and_labelled(write):
    write("nets_of_mine", HEAD + SMALL)
    b = backbones.load("nets_of_mine:small[width=12,exits=every=2]", num_classes=10)
    assert (b.name, b.exit_names, b.final_dim) == ("nets_of_mine:small[width=12]", ("block 1", "head"), 12)
    assert backbones.default_image_size("nets_of_mine:small", 32) is None and b.image_size == 16
    assert not any(m.training for m in b.modules())


def test_a_head_of_another_size_is_replaced_as_for_every_backbone(write):
    write("nets_of_mine", HEAD + SMALL.replace("exits=exits)", "exits=exits, seen=('svhn',), head_for='svhn')"))
    own, other = backbones.load("nets_of_mine:small"), backbones.load("nets_of_mine:small", num_classes=3)
    assert (own.num_classes, own.head_for, own.seen) == (10, "svhn", {"svhn"})
    assert (other.num_classes, other.head_for, other.seen) == (3, None, {"svhn"})
    assert not other.head.weight.requires_grad


def test_what_is_drawn_at_random_is_the_same_every_time(write):
    write("nets_of_mine", HEAD + SMALL)
    torch.manual_seed(1)
    first = backbones.load("nets_of_mine:small")
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    assert backbones.load("nets_of_mine:small").weights_digest == first.weights_digest


def test_a_factory_may_be_called_as_ours_are(write):
    text = SMALL.replace("def small(*, width: int = 16, exits: str | None = None)", "def small(**options)")
    text = text.replace("width)", "16)").replace("width,", "16,").replace("exits=exits", "exits=options.get('exits')")
    write("nets_of_mine", HEAD + text)
    assert backbones.load("nets_of_mine:small", exits="0", num_classes=10).exit_names == ("block 0", "head")


CODE = {
    "the network": ("nets_of_mine", "nn.ReLU()", "nn.GELU()"),
    "what it imports": ("parts_of_mine", "x * 2", "x * 3"),
}


@pytest.mark.parametrize("change", CODE)
def test_other_code_with_the_same_weights_is_another_network(write, change):
    own = "from parts_of_mine import doubled\n" + HEAD + SMALL.replace("exits=exits)", "exits=exits, pool=doubled)")
    texts = {"nets_of_mine": own, "parts_of_mine": "def doubled(x):\n    return (x * 2).mean((2, 3))\n"}

    def digest():
        for name, text in texts.items():
            write(name, text)
        return backbones.load("nets_of_mine:small").weights_digest

    before = digest()
    texts["nets_of_mine"] = "# a remark\n" + texts["nets_of_mine"]
    assert digest() == before
    name, old, new = CODE[change]
    texts[name] = texts[name].replace(old, new)
    assert digest() != before


def test_it_may_be_a_member_of_a_cascade(write):
    names = "cascade:'nets_of_mine:small+nets_of_mine:small[width=32]'"
    write("nets_of_mine", HEAD + SMALL)
    b = backbones.load(names, num_classes=10)
    assert (b.num_exits, b.feature_dims, b.final_dim) == (2, (16,), 32)
    assert {r.name: r.message for r in examination(names).results() if not r.passed} == {}
    with only_registered(), pytest.raises(UserError, match="There is no backbone 'nets_of_mine'"):
        backbones.load(names, num_classes=10)
    write("nets_of_mine", HEAD.replace("ReLU", "GELU") + SMALL)
    assert backbones.load(names, num_classes=10).weights_digest != b.weights_digest


def test_an_edit_after_the_import_does_not_relabel_the_code_in_memory(write):
    write("nets_of_mine", HEAD + SMALL)
    before = backbones.load("nets_of_mine:small").weights_digest
    write("nets_of_mine", HEAD + SMALL + "X = 1\n", loaded=True)
    assert backbones.load("nets_of_mine:small").weights_digest == before


def test_installed_packages_are_no_part_of_the_digest():
    from bench.backbones.timm_cnn import resnet18

    assert code_digest(resnet18, torch.nn.Linear(1, 1)) == code_digest(print, torch.nn.ReLU())


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("", "tim:resnet18", "no backbone 'tim', and no Python module 'tim' in the current folder"),
        ("", "tim:resnet18", "Did you mean 'timm'?"),
        ("", "nets_of_mine:smal", "nets_of_mine.py) has no 'smal'. Did you mean 'small'?"),
        ("", "nets_of_mine:nn", "'nets_of_mine:nn' is module, not a function that returns a backbone"),
        ("", "nets_of_mine:small[widht=3]", "'nets_of_mine:small' has no parameter 'widht'. Did you mean 'width'?"),
        ("", "nets_of_mine:small[width=big]", "'big' is not a valid value for parameter 'width'"),
        ("", "nets_of_mine:small[weights=x.pt]", "has no parameter 'weights', but weights=x.pt was given"),
        ("", "nets_of_mine:small[image_size=32]", "is built for images of 16 pixels, not 32"),
        ("import no_such_thing", "nets_of_mine:small", "No module named 'no_such_thing' (nets_of_mine.py, line 23)"),
        ("def", "nets_of_mine:small", "SyntaxError: invalid syntax (nets_of_mine.py, line 23)"),
        ("def f():\n    return nn.Linear(1, 1)", "nets_of_mine:f", "returns Linear, not a StagedBackbone"),
        (
            "def f():\n    return 1 / 0",
            "nets_of_mine:f",
            "ZeroDivisionError: division by zero (nets_of_mine.py, line 24)",
        ),
        ("def f():\n    return 1 / 0", "nets_of_mine:f", "run `bench check-backbone nets_of_mine:f`"),
        ("def f(width):\n    pass", "nets_of_mine:f", "missing 1 required positional argument: 'width'"),
        ("def f():\n    return listed([block(3, 16)], seen=None)", "nets_of_mine:f", "seen=() for weights that"),
        (
            "def f(act: nn.Module = None):\n    pass",
            "nets_of_mine:f[act=relu]",
            "'act' of 'nets_of_mine:f' cannot be given",
        ),
        ("def f(x: 'Unknown' = 3):\n    pass", "nets_of_mine:f[x=y]", "'y' is not a valid value for parameter 'x'"),
        ("f = dict", "nets_of_mine:f", "returns dict, not a StagedBackbone"),
        ("def f():\n    raise SystemExit(3)", "nets_of_mine:f", "SystemExit: 3"),
    ],
)
def test_mistakes_are_sentences(write, text, name, says):
    write("nets_of_mine", HEAD + SMALL + text + "\n")
    with pytest.raises(UserError) as error:
        backbones.load(name)
    assert says in str(error.value)


def test_a_registered_name_wins_over_a_module(write):
    write("timm_of_mine", "")
    with pytest.raises(UserError, match="timm has no model 'small'"):
        backbones.load("timm:small")


def test_a_package_gives_its_network_a_name(write, monkeypatch):
    write("nets_of_mine", HEAD + SMALL)
    monkeypatch.syspath_prepend(".")
    plugin = Plugin("backbones", "mine", "nets_of_mine:small", "a-package")
    monkeypatch.setitem(registry._files["backbones"], "mine", plugin)
    b = backbones.load("mine[width=8]", num_classes=10)
    assert (b.name, b.final_dim, b.image_size) == ("mine[width=8]", 8, 16)
    with pytest.raises(UserError, match="'mine' takes no argument after a colon"):
        backbones.load("mine:x")


@pytest.mark.slow
def test_a_bank_is_built_once_and_again_after_any_change_of_code_or_weights(write, tmp_path):
    reads = SMALL.replace("    head =", "    stages[0].load_state_dict(torch.load('first.pt'))\n    head =")
    write("nets_of_mine", HEAD + reads)
    request = Request("digits", "nets_of_mine:small", limit=40, bank_dir=tmp_path / "banks")

    def save(seed):
        torch.manual_seed(seed)
        layers = [torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.BatchNorm2d(4)]
        torch.save(torch.nn.Sequential(*layers).state_dict(), "first.pt")

    save(0)
    bank = Source(request).ensure("cpu")
    assert (bank.manifest.backbone, bank.manifest.image_size, bank.num_exits) == ("nets_of_mine:small", 16, 3)
    assert Source(request).status().state == "built"
    save(1)
    assert Source(request).status().state == "to build"
    save(0)
    assert Source(request).status().state == "built"
    write("nets_of_mine", HEAD + reads.replace("block(8, width)", "block(8, width, nn.Tanh())"))
    assert Source(request).status().state == "to build"


def test_a_run_takes_the_name_and_says_what_is_wrong(write, bench):
    write("nets_of_mine", HEAD + SMALL)
    shown = bench("plan", "--json", "--dataset", "digits", "--backbone", "nets_of_mine:small", "--methods", "beem")
    (row,) = json.loads(shown.stdout)["banks"]
    assert (row["backbone"], row["image_size"], row["state"]) == ("nets_of_mine:small", 16, "to build")
    done = bench("run", "--dataset", "digits", "--backbone", "nets_of_mine:tiny", "--methods", "beem")
    assert done.returncode == 2 and "has no 'tiny'" in " ".join(done.stderr.split())
