from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from bench.system.memory import reuse_freed_memory
if {kept}:
    assert reuse_freed_memory()
np.ones(2**21)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**21).sum()  # 16 MB, which malloc gives back as soon as it is free
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an option of glibc")
def test_freed_memory_is_used_again():
    faults = [
        int(subprocess.run([sys.executable, "-c", CODE.format(kept=kept)], capture_output=True, check=True).stdout)
        for kept in (False, True)
    ]
    assert faults[1] < 100 < faults[0]
