"""Runs scikit-mobility's attacks for `attacks.py`, in an interpreter that has it.

    PYTHON benchmarks/attacks_peer.py TRACKS.json

Prints for each attack the seconds and the sorted risks. Nothing of Passersby is imported.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Run all attacks that there are."""
    warnings.simplefilter("ignore")
    skmob, pd = import_module("skmob"), import_module("pandas")
    attacks = import_module("skmob.privacy.attacks")
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = [
        (uid, place / 10, place / 10, pd.Timestamp(hour * 3600, unit="s"))
        for uid, track in enumerate(given["tracks"])
        for place, hour in track
    ]
    frame = skmob.TrajDataFrame(pd.DataFrame(rows, columns=["uid", "lat", "lng", "datetime"]))
    k = given["points"]
    found = {}
    for kind, attack in {
        "location": attacks.LocationAttack(k),
        "sequence": attacks.LocationSequenceAttack(k),
        "time": attacks.LocationTimeAttack(k, time_precision="Hour"),
        "unique": attacks.UniqueLocationAttack(k),
        "frequency": attacks.LocationFrequencyAttack(k, tolerance=0.0),
        "probability": attacks.LocationProbabilityAttack(k, tolerance=0.0),
        "proportion": attacks.LocationProportionAttack(k, tolerance=0.0),
        "home-work": attacks.HomeWorkAttack(),
    }.items():
        begun = time.perf_counter()
        risks = attack.assess_risk(frame)["risk"]
        found[kind] = (time.perf_counter() - begun, sorted(map(float, risks)))
        print(f"{kind} done", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
