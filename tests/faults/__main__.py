"""The long form: ``make soak`` (fourteen provinces, ten minutes). The last line is the tally as JSON."""

from __future__ import annotations

import argparse
import json
import random
import sys

from tests.faults.agreement import wrong
from tests.faults.corridor import CODES, corridor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=len(CODES))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--rate", type=float, default=2, help="facts a second in the whole corridor")
    parser.add_argument("--every", type=float, default=10, help="seconds between troubles")
    parser.add_argument("--patience", type=float, default=120, help="seconds without any change after which it failed")
    given = parser.parse_args()
    print(f"soak: {given.instances} instances, {given.seconds:.0f} s, seed {given.seed}", flush=True)
    with corridor(given.instances, given.seed) as provinces:
        facts = int(given.seconds * given.rate)
        provinces.run(facts, rate=given.rate, troubles=max(4, int(given.seconds / given.every)))
        tally = provinces.result(provinces.wait_for_agreement(idle=given.patience))
    print(json.dumps(tally))
    return 1 if wrong(tally) else 0


if __name__ == "__main__":
    sys.exit(main())
