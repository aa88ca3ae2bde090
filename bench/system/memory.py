"""Keep freed memory for the next layer and batch, instead of returning it to the system."""

from __future__ import annotations

import ctypes
from functools import cache

TRIM, MMAP = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
LARGEST_INT, LARGEST = 2**31 - 1, 2**30  # bytes


@cache
def reuse_freed_memory() -> bool:
    """Make the C library keep memory that tensors free; return whether it does (only glibc has the options).

    Otherwise every activation of a batch is mapped again and cleared page by page, which takes half the time of a
    forward pass on a CPU: benchmarks/bank.py measures it.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(TRIM, LARGEST_INT) and mallopt(MMAP, LARGEST))
