"""`bench check-backbone`: every violation is found, named and explained; built-in backbones conform."""

from __future__ import annotations

import json

import pytest

from bench.check.network import checks, examination
from bench.errors import UserError
from tests.helpers.backbones import FAMILIES
from tests.helpers.networks import HEAD, SMALL

BROKEN = (
    HEAD
    + """
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, 1, 1)
        self.count, self.calls = nn.Buffer(torch.zeros(())), 0

    def forward(self, x):
        return self.conv(x)


def mine(*stages, **options):
    return listed(list(stages), 3, **options)


class Noisy(Layer):
    def forward(self, x):
        return torch.dropout(self.conv(x), 0.5, True)


class Counting(Layer):
    def forward(self, x):
        self.calls += 1
        return self.conv(x) + self.calls


class Tracking(Layer):
    def forward(self, x):
        self.count += 1
        return self.conv(x)


class Mixing(Layer):
    def forward(self, x):
        return self.conv(x) - x.mean(0)


class Batch(Layer):
    def forward(self, x):
        return self.conv(x) / len(x)


class Remembering(Layer):
    def forward(self, x):
        if len(x) > 11:
            self.shift = x
        held = getattr(self, "shift", x)[: len(x)]
        return self.conv(x) + held.to(x.device) * (0 if len(x) == len(held) > 11 else 1)


class InPlace(Layer):
    def forward(self, x):
        return self.conv(x.relu_())


class Wide(Layer):
    def forward(self, x):
        return self.conv(x)[:, : 2 + (len(x) == 1)]


class Double(Layer):
    def forward(self, x):
        return self.conv(x.float()).double()


class Infinite(Layer):
    def forward(self, x):
        return self.conv(x) / 0


class Large(Layer):
    def forward(self, x):
        return self.conv(x) * 1e7


class Stubborn(Layer):
    def train(self, mode=True):
        return self


class Heads(Layer):
    def forward(self, x):
        return [self.conv(x)]


def noisy(): return mine(Layer(), Noisy())
def counting(): return mine(Layer(), Counting())
def tracking(): return mine(Tracking(), Layer())
def mixing(): return mine(Mixing(), Layer())
def batched(): return mine(Layer(), Batch())
def remembering(): return mine(Layer(), Remembering())
def in_place(): return mine(Layer(), InPlace())
def pools_in_place(): return mine(Layer(), Layer(), pool=lambda s: s.relu_().mean((2, 3)))
def wide(): return mine(Layer(), Wide())
def double(): return mine(Layer(), Double(), pool=lambda s: s.mean((2, 3)))
def infinite(): return mine(Infinite(), Layer())
def large(): return mine(Large(), Layer())
def stubborn(): return mine(Layer(), Stubborn())
def free(): return mine(Layer(), nn.Hardtanh(), Layer())
def single(): return mine(Layer())
def unknown(): return mine(Layer(), Layer(), seen=("cifra10",))


def random():
    import os
    torch.manual_seed(int.from_bytes(os.urandom(4), "big"))
    return mine(Layer(), Layer())


def skips():
    first, second, third = Layer(), Layer(), Layer()
    head = nn.Linear(3, 10)
    whole = nn.Sequential(first, second, third, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    return mine(first, third, head=head, whole=whole)


def other_classes():
    return mine(Layer(), Layer(), whole=nn.Sequential(nn.Flatten(), nn.Linear(768, 7)))


def many():
    return mine(Layer(), Layer(), whole=Heads())


class Own(StagedBackbone):
    def start(self, images): return images
    def pool(self, state): return state.mean((2, 3))
    def final(self, state): return state.mean((2, 3))


def own(std=(1.0, 1.0, 1.0), interpolation="bilinear"):
    stages = nn.ModuleList([Layer(), Layer()])
    prepared = Preprocessing((0.0, 0.0, 0.0), std, interpolation)
    return Own(name="own", trunk=stages, blocks=list(stages), head=nn.Linear(3, 10), positions=[0], image_size=8,
               preprocessing=prepared, origin=Origin())


def black(): return own(std=(1.0, 1.0, 0.0))
def nearest(): return own(interpolation="nearest")


class Pair(Own):
    def stage(self, k, state):
        return state.mT.flip(0).repeat(2, 1, 1, 1)[: 2 * len(state)] if k == 0 else super().stage(k, state)


class Pairs:
    def __init__(self, a, b): self.a, self.b = a, b
    def __len__(self): return len(self.a)
    def __getitem__(self, rows): return type(self)(self.a[rows], self.b[rows])


class Unequal(Pairs):
    def __getitem__(self, rows): return self


class Packed(Own):
    kind = Pairs
    def stage(self, k, state):
        a = super().stage(k, state if k == 0 else state.a)
        return self.kind(a, a * 2)
    def pool(self, state): return state.b.mean((2, 3))
    def final(self, state): return state.a.mean((2, 3))


class Overwriting(Packed):
    def stage(self, k, state):
        if k == 1:
            state.b.zero_()
        return super().stage(k, state)


def from_class(cls, kind=Pairs):
    stages = nn.ModuleList([Layer(), Layer()])
    cls.kind = kind
    return cls(name="own", trunk=stages, blocks=list(stages), head=nn.Linear(3, 10), positions=[0], image_size=8,
               preprocessing=Preprocessing((0.0,) * 3, (1.0,) * 3, "bilinear"), origin=Origin())


def pair(): return from_class(Pair)
class Learning(Own):
    def requires_grad_(self, asked=True): return self


def trained(): return from_class(Learning)
def packed(): return from_class(Packed)
def tuples(): return from_class(Packed, Unequal)
def overwriting(): return from_class(Overwriting)


def natives():
    b = own()
    b.native = nn.ModuleList([nn.Linear(4, 10).requires_grad_(False).eval()])
    return b
"""
)

VIOLATIONS = [
    ("noisy", "deterministic", "Draw no random numbers in forward"),
    ("counting", "deterministic", "keep nothing from one call to the next"),
    ("tracking", "unchanged", "A forward pass changes trunk.stages.0.count"),
    ("mixing", "batch", "nothing may mix the images of a batch"),
    ("batched", "batch", "when it is run alone"),
    ("in_place", "state", "Stage 1 changes its input in place"),
    ("pools_in_place", "state", "Pooling at exit 0 changes the state in place"),
    ("tuples", "state", "Stage 0 returns Unequal for 6 images, from which leaving images cannot be removed"),
    ("overwriting", "state", "Stage 1 changes its input in place"),
    ("wide", "shapes", "For a batch of 6 the last features are [6, 2], not [6, 3]"),
    ("infinite", "finite", "The features of exit 0 contain NaN or infinity"),
    ("large", "finite", "The features of exit 0 exceed 60,000"),
    ("stubborn", "frozen", "modules are in training mode, for example trunk.stages.1"),
    ("trained", "frozen", "6 parameters require a gradient, for example trunk.0.conv.weight"),
    ("free", "costs", "no more than the 20,736 before it"),
    ("random", "rebuilds", "Building twice gives different weights"),
    ("skips", "whole", "look for a missing, repeated or misplaced stage"),
    ("other_classes", "whole", "The whole network returns [6, 7], but the stages and the head give [6, 10]"),
    ("many", "whole", "The whole network returns list"),
    ("black", "stated", "std above 0"),
    ("nearest", "stated", "use 'bilinear' or 'bicubic'"),
    ("pair", "shapes", "For a batch of 1 the features of exit 0 are [2, 3], not [1, 3]"),
    ("natives", "shapes", "The native heads map 4 to 10"),
    ("double", "shapes", "The last features are torch.float64: return float32"),
]


@pytest.mark.parametrize(("name", "check", "says"), VIOLATIONS, ids=[v[0] for v in VIOLATIONS])
def test_a_violation_is_found_and_explained(write, name, check, says):
    write("broken", BROKEN)
    found = examination(f"broken:{name}").result(check)
    assert found.status == "fail" and says in found.message, found


@pytest.mark.parametrize(
    ("name", "check", "says"),
    [
        ("single", "shapes", "nothing can leave early"),
        ("unknown", "stated", "There is no dataset 'cifra10'"),
        ("unknown", "whole", "Give `from_stages` whole=NETWORK"),
    ],
)
def test_what_deserves_a_look_is_a_warning(write, name, check, says):
    write("broken", BROKEN)
    found = examination(f"broken:{name}").result(check)
    assert found.status == "warn" and says in found.message


def test_a_state_may_hold_several_tensors(write):
    write("broken", BROKEN)
    assert {r.name: r.message for r in examination("broken:packed").results() if not r.passed} == {}


def test_samples_that_leave_must_not_change_others(write):
    write("broken", BROKEN)
    found = examination("broken:remembering").result("stopping")
    assert found.status == "fail" and "the others are computed differently" in found.message, found


def test_what_does_not_build_is_not_examined_further(write):
    write("broken", BROKEN + "def fails():\n    raise OSError('no file')\n")
    first, *others = examination("broken:fails").results()
    assert first.status == "fail" and "OSError: no file (broken.py, line" in first.message
    assert {r.status for r in others} == {"skip"} and len(others) == len(checks()) - 1


def test_a_network_outside_of_the_package_conforms(write):
    write("nets_of_mine", HEAD + SMALL)
    results = examination("nets_of_mine:small").results()
    assert {r.status for r in results} == {"pass"}
    assert next(r.message for r in results if r.name == "whole") == "Equal up to rounding."


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [(name, size) for name, size, _ in FAMILIES])
def test_a_built_in_backbone_conforms(name, size):
    results = examination(f"{name}[weights=random]", num_classes=10, image_size=size).results()
    assert {r.name: r.message for r in results if r.status != "pass"} == {}


def test_the_command_prints_a_table_and_ends_with_1_on_a_violation(write, bench):
    write("nets_of_mine", HEAD + SMALL)
    done = bench("check-backbone", "nets_of_mine:small[width=8]", "--num-classes", 4)
    assert done.returncode == 0 and "nets_of_mine:small[width=8] conforms: 13 of 13" in done.stdout
    write("broken", BROKEN)
    done = bench("check-backbone", "broken:in_place", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["conforms"]) == (1, False)
    assert [c["name"] for c in found["checks"] if c["status"] == "fail"] == ["state"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["resnet81"], "Did you mean 'resnet18'?"),
        (["no_such_module:small"], "no Python module 'no_such_module'"),
        (["resnet18[weights=random]", "--image-size", "0"], "image-size"),
        (["resnet18[weights"], "is not a name"),
    ],
)
def test_a_wrong_command_ends_with_2_and_one_sentence(bench, words, says):
    done = bench("check-backbone", *words)
    assert done.returncode == 2 and says in " ".join(done.stderr.split())


def test_a_wrong_name_is_an_error_before_anything_is_built():
    with pytest.raises(UserError, match="no backbone 'x'"):
        examination("x:y")
