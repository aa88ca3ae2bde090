"""Operators of torch that torch's exporter has no ONNX form of, for `torch.onnx.export(custom_translation_table=…)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18 as op

INT64 = 7  # the type's number in ONNX


def prod(inputs: Any, dims: Sequence[int]) -> Any:
    """Return the product over some axes."""
    return op.ReduceProd(inputs, op.Constant(value_ints=list(dims)), keepdims=0)


def searchsorted(sorted_sequence: Any, self: Any, *, right: bool = False, **options: Any) -> Any:
    """Return how many of the sorted values [n] are less than each value [N], or with `right` at most it."""
    values = op.Unsqueeze(self, op.Constant(value_ints=[-1]))
    before = op.LessOrEqual(sorted_sequence, values) if right else op.Less(sorted_sequence, values)
    return op.ReduceSum(op.Cast(before, to=INT64), op.Constant(value_ints=[-1]), keepdims=0)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.prims.prod.default: prod,
    torch.ops.aten.searchsorted.Tensor: searchsorted,
}
