"""Check a backbone: every requirement on a network that is cut into stages, on a few random images within seconds."""

from __future__ import annotations

from bench.check.examine import Examination
from bench.check.network import frozen, stages, stopping
from bench.check.network.subject import Network
from bench.check.result import Check


def checks() -> tuple[Check, ...]:
    """Return all checks of a network in the order in which they are shown."""
    return (
        Check("builds", "The factory must return a StagedBackbone.", frozen.builds, ()),
        Check("stated", "The network must say how images were prepared and what it has seen.", frozen.stated, _BUILT),
        Check("rebuilds", "Building twice must give the same network.", frozen.rebuilds, _BUILT),
        Check("frozen", "Nothing may be trainable or in training mode.", frozen.frozen, _BUILT),
        Check("shapes", "Features and logits must be as wide as declared.", stages.shapes, _BUILT),
        Check("finite", "Features and logits must be finite.", stages.finite, _RUNS),
        Check("deterministic", "The same images must give the same features.", frozen.deterministic, _RUNS),
        Check("unchanged", "A forward pass must change no weight and no statistic.", frozen.unchanged, _RUNS),
        Check("batch", "Features of an image must not depend on other images.", stages.batch, _RUNS),
        Check("state", "A stage must not alter the state that it is given.", stages.state, _RUNS),
        Check("whole", "The stages must add up to the network's own forward pass.", stages.whole, _RUNS),
        Check("costs", "Each stage must cost something.", stages.costs, _RUNS),
        Check("stopping", "Dropping samples midway must not change the others.", stopping.stopping, _RUNS),
    )


_BUILT, _RUNS = ("builds",), ("shapes",)


def examination(name: str, *, num_classes: int | None = None, image_size: int | None = None) -> Examination:
    """Return the examination of a backbone by name; raise UserError if the name is unknown."""
    return Examination(Network(name, num_classes, image_size), checks())
