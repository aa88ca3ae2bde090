"""Time a whole report: synthetic records of 15 methods × 8 budgets × 10 seeds × 4 settings, and their references.

    python benchmarks/report.py [--samples 10000] [--keep FOLDER]

Writes the records, then times the commands `bench report` and `bench report --check`, in wall-clock and CPU seconds.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.helpers.records import records, write

METHODS = [f"method_{i:02d}" for i in range(15)]
BUDGETS = [round(0.25 + 0.1 * i, 2) for i in range(8)]
CELLS = [
    {"dataset": dataset, "backbone": backbone, "bank_digest": f"{dataset}{backbone}", "longtail": tail}
    for dataset, tail in (("cifar100", False), ("cifar100lt", True))
    for backbone in ("efficientnet_lite0", "vit_base")
]


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Run a command; return its wall-clock seconds and the CPU seconds of all cores."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000, help="test samples of each setting")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="folder for records and report (default: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = args.keep or Path(temporary)
        count = 0
        for known in CELLS:
            held = records(METHODS, range(args.seeds), BUDGETS, args.samples, **known)
            write(root / "results", held)
            count += len(held)
        print(f"{count} records of {len(CELLS)} settings, {args.samples} test samples each", flush=True)
        command = [sys.executable, "-c", "from bench.cli import main; main()", "report", str(root / "results")]
        command += ["--reports", str(root / "reports")]
        for title, more in (("bench report", []), ("bench report --check", ["--check"])):
            wall, cpu = timed([*command, *more])
            print(f"{title}: {wall:.1f} s ({cpu:.1f} s of processor time)", flush=True)
        files = [p for p in (root / "reports").rglob("*") if p.is_file()]
        print(f"{len(files)} files, {sum(p.stat().st_size for p in files) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
