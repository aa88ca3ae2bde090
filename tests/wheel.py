"""Build the wheel and check it: `bench` alone at the top level, methods inside it, entry points that resolve."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Exit with a sentence where the wheel is not what it should be."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (wheel,) = Path(folder).glob("exitbench-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            points = next(n for n in names if n.endswith("entry_points.txt"))
            text = archive.read(points).decode()
    top = {n.split("/")[0] for n in names if ".dist-info/" not in n}
    if top != {"bench"}:
        sys.exit(f"the wheel puts {sorted(top)} at the top level, not `bench` alone")
    sources = {str(p.relative_to(ROOT)) for p in (ROOT / "bench").rglob("*.py")}
    sources |= {f"bench/{p.relative_to(ROOT)}" for p in (ROOT / "methods").rglob("*.py")}
    sources |= {"bench/methods/digests.txt", "bench/py.typed", "bench/suites/suites.yaml"}
    site = ROOT / "bench" / "report" / "site"
    sources |= {str(p.relative_to(ROOT)) for kind in ("templates", "assets") for p in (site / kind).iterdir()}
    missing = sources - set(names)
    if missing:
        sys.exit(f"the wheel lacks {sorted(missing)}")
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read_string(text)
    for group in parser.sections():
        for name, target in parser[group].items():
            module = target.partition(":")[0].replace(".", "/")
            if not {f"{module}.py", f"{module}/__init__.py"} & set(names):
                sys.exit(f"{group}: '{name}' points to {target}, which the wheel does not hold")
    print(f"{wheel.name}: {len(names)} files, {sum(len(parser[g]) for g in parser.sections())} entry points")


if __name__ == "__main__":
    main()
