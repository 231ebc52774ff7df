#!/usr/bin/env bash
# Mean, standard deviation and paired differences of the runs that experiments/fashion_mnist.sh left in FOLDER, as Markdown.
set -euo pipefail
python3 - "$1" <<'PY'
import glob, json, os, statistics as st, sys

folder = sys.argv[1]
runs = {}
for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
    name, seed = os.path.basename(path)[:-5].rsplit("-", 1)
    result = json.load(open(path))
    runs.setdefault(name, {})[seed] = result["accuracy"]
    if result.get("independent"):
        runs.setdefault("independent", {})[seed] = result["independent"]["accuracy"]

def numbers(name, width, seeds):
    return [100 * runs[name][s][width] for s in seeds]

widths = ["2", "4", "8", "32"]
order = [n for n in ("default", "independent", "recipe-no-cascade", "default-lr.025", "cdt-published", "sp", "joint") if n in runs]
print("| arm | seeds | " + " | ".join(widths) + " |")
print("|---|---|" + "---|" * len(widths))
for name in order:
    seeds = sorted(runs[name])
    cells = []
    for w in widths:
        v = numbers(name, w, seeds)
        cells.append(f"{st.mean(v):.2f} ({st.stdev(v) if len(v) > 1 else 0:.2f})")
    print(f"| {name} | {len(seeds)} | " + " | ".join(cells) + " |")
print()
print("| default minus | " + " | ".join(widths) + " |")
print("|---|" + "---|" * len(widths))
for name in order[1:]:
    seeds = sorted(set(runs["default"]) & set(runs[name]))
    cells = []
    for w in widths:
        d = [a - b for a, b in zip(numbers("default", w, seeds), numbers(name, w, seeds))]
        half = 4.303 * st.stdev(d) / len(d) ** 0.5 if len(d) == 3 else float("nan")
        cells.append(f"{st.mean(d):+.2f} ± {half:.2f}")
    print(f"| {name} | " + " | ".join(cells) + " |")
PY
