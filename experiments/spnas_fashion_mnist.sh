#!/usr/bin/env bash
# The search experiment of docs/experiments.md: networks found by SP-NAS, FP-NAS and LP-NAS, and eight random ones of the same cost
# window, trained alike on 8,000 images of Fashion-MNIST.
#   experiments/spnas_fashion_mnist.sh [FOLDER] [SEEDS] [JOBS]        runs/spnas "1 2 3" 2
#   experiments/spnas_fashion_mnist.sh table [FOLDER]                 prints what is there
# What is there already is not repeated; killed and started again it goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${PROGRAM:-build/release/bin/instantnet}

table() {
  python3 - "$1" <<'PY'
import glob, json, math, re, statistics as st, sys
runs = {}
for path in glob.glob(sys.argv[1] + "/*-train.json"):
    arm, seed = re.fullmatch(r".*/(.+)-seed(\d+)-train\.json", path).groups()
    runs[arm, int(seed)] = json.load(open(path))["accuracy"]
seeds = sorted({seed for _, seed in runs})
bits = sorted(next(iter(runs.values())), key=int)
def value(arm, seed, width):
    if arm != "random": return runs[arm, seed][width] if (arm, seed) in runs else None
    all = [runs[a, s][width] for a, s in runs if a.startswith("random") and s == seed]
    return st.median(all) if len(all) == 8 else None
def row(name, values):
    cells = []
    for of_width in values:
        v = [100 * x for x in of_width if x is not None]
        cells.append(f"{st.mean(v):+.2f}" if name.startswith("spnas -") else f"{st.mean(v):.2f}" if v else "")
        if len(v) > 1: cells[-1] += f" ({st.stdev(v):.2f})" if not name.startswith("spnas -") else f" ± {[0, 0, 12.71, 4.30][len(v)] * st.stdev(v) / math.sqrt(len(v)):.2f}"
    print("| " + " | ".join([name, str(max(len([x for x in v if x is not None]) for v in values))] + cells) + " |")
print("| network | seeds | " + " | ".join(b + " bits" for b in bits) + " |\n|" + "---|" * (len(bits) + 2))
for arm in ["spnas", "fpnas", "lpnas", "random"]:
    values = [[value(arm, s, b) for s in seeds] for b in bits]
    if any(x is not None for v in values for x in v): row("median of 8 random" if arm == "random" else arm, values)
for arm in ["random", "fpnas", "lpnas"]:
    values = [[value("spnas", s, b) - value(arm, s, b) for s in seeds if value("spnas", s, b) is not None and value(arm, s, b) is not None] for b in bits]
    if any(values): row("spnas - " + arm, values)
PY
}

if [ "${1:-}" = table ]; then table "${2:-runs/spnas}"; exit; fi
out=${1:-runs/spnas} seeds=${2:-1 2 3} jobs=${3:-2}
mkdir -p "$out"

# One search (or a draw) and one training. A random network is drawn with a seed of its own and trained with each seed.
one() {
  local arm=$1 seed=$2 method=${1%%[0-9]*} draw=$2 name="$1-seed$2"
  [ "$method" = random ] && draw=${arm#random} && name="$arm"
  if [ ! -e "$out/$name.json" ]; then
    "$program" search -c configs/search.yaml -o "$out/$name" --resume --json --set method="$method" --set seed="$draw" --set threads=1 \
      >"$out/$name.json.$seed.tmp" 2>"$out/$name.$seed.log"
    mv "$out/$name.json.$seed.tmp" "$out/$name.json"
  fi
  local train="$out/$arm-seed$seed-train"
  [ -e "$train.json" ] && return
  "$program" train -c configs/demo.yaml --network "$out/$name/network.yaml" -o "$train" --resume --json --set seed="$seed" \
    --set threads=1 --set float_epochs=4 --set epochs=3 --set independent_too=false --set evaluate_every=1000 \
    >"$train.json.tmp" 2>"$train.log"
  mv "$train.json.tmp" "$train.json"
}
export -f one
export out program

for seed in $seeds; do
  for arm in spnas fpnas lpnas random1 random2 random3 random4 random5 random6 random7 random8; do printf '%s\0%s\0' "$arm" "$seed"; done
done | xargs -0 -n 2 -P "$jobs" bash -c 'one "$@"' _
