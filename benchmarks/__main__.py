"""`make bench`, `make bench ONLY=name`: run the benchmarks; the last line is one JSON object with every figure."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
import time
import traceback

import django

import benchmarks


def names(only: str = "") -> list[str]:
    """Modules of this package that measure something."""
    found = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg)
    return [name for name in found if not name.startswith("_") and (not only or only in name)]


def main(only: str = "") -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "singlewindow.settings")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    django.setup()
    figures: dict[str, float] = {}
    failed = []
    for name in names(only):
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "run"):
            continue
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        try:
            found = module.run()
        except Exception:  # one benchmark that breaks must not hide the others
            traceback.print_exc()
            failed.append(name)
            continue
        figures |= found
        for key, value in found.items():
            print(f"   {key} = {value:.4g}")
        print(f"   ({time.perf_counter() - started:.0f} s)", flush=True)
    print(json.dumps({key: round(value, 4) for key, value in figures.items()} | ({"failed": failed} if failed else {})))
    return 1 if failed or not figures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
