from __future__ import annotations

import torch

from bench.execution.timing import WARM_UP, measure


def test_subjects_take_turns_after_a_warm_up():
    calls = []
    batches = [torch.zeros(2), torch.zeros(3)]
    subjects = {name: lambda batch, name=name: calls.append((name, len(batch))) for name in "ab"}
    ticks = iter(range(1000))
    done = []
    found = measure(subjects, batches, 4, lambda: done.append(1), clock=lambda: next(ticks))
    warm, rest = calls[: 2 * 2 * WARM_UP], calls[2 * 2 * WARM_UP :]
    assert {name for name, _ in warm} == {"a", "b"}
    assert [name for name, size in rest if size == 2] == list("abbaabba")
    assert [size for _, size in rest] == [2, 3] * 8
    assert found == {"a": [500.0] * 4, "b": [500.0] * 4} and len(done) == 4  # a tick is a second, a pass two batches
