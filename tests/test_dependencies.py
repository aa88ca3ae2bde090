from __future__ import annotations

import re
import tomllib

from tests.helpers.paths import ROOT


def bounds() -> dict[str, str]:
    """Every direct dependency with its lower bound, those of the tests included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    kinds = ("run", "ray", "tune", "onnx", "text", "test", "docs")
    listed = [*project["dependencies"], *(line for kind in kinds for line in extras[kind])]
    lines = [line for line in listed if not line.startswith("exitbench[")]
    assert all(
        line in extras["test"] for line in extras["text"] if line in lines and "minilm" not in line
    )  # whose weights are 84 MB
    return dict(re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)", line).groups() for line in lines)


def pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    return {k.lower().replace("_", "-"): v for k, v in (line.split("==") for line in lines)}


def release(version: str) -> list[int]:
    numbers = [int(n) for n in re.findall(r"\d+", version)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def test_the_lowest_environment_pins_exactly_the_lower_bounds():
    lowest = pins("constraints-lowest.txt")
    assert {k: release(v) for k, v in bounds().items()} == {k: release(v) for k, v in lowest.items()}


def test_every_direct_dependency_is_pinned_at_or_above_its_bound():
    exact = pins("constraints.txt")
    for name, bound in bounds().items():
        assert release(exact[name.lower()]) >= release(bound), name
