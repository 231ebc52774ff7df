#!/usr/bin/env bash
# The experiment of docs/experiments.md: arms x seeds on 8,000 images of Fashion-MNIST at equal compute.
#   experiments/fashion_mnist.sh [FOLDER] [SEEDS] [JOBS]        runs/fashion_mnist "1 2 3" 2
# A run that is there already is not repeated. experiments/table.sh FOLDER prints the table.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/fashion_mnist} seeds=${2:-1 2 3} jobs=${3:-2}
program=${PROGRAM:-build/release/bin/instantnet}
mkdir -p "$out"

# Six epochs of 8,000 images at four bit-widths are 192,000 passes; six float epochs count for 1.5 of them.
scratch="float_epochs=0 epochs=6 optimizer.lr=0.1 schedule.update=accumulate model.quant.kind=sbm"
declare -A arm=(
  [default]="independent_too=true"
  [default-lr.025]="optimizer.lr=0.025"
  [recipe-no-cascade]="loss.kind=joint"
  [cdt-published]="$scratch loss.kind=cdt loss.weight=1 loss.per_teacher=false"
  [sp]="$scratch loss.kind=sp loss.weight=0.1"
  [joint]="$scratch loss.kind=joint"
)

one() {
  local name=$1 seed=$2 sets=() folder="$out/$1-$2"
  [ -e "$folder.json" ] && return
  for pair in $3; do sets+=(--set "$pair"); done
  "$program" train -c configs/demo.yaml -o "$folder" --force --json --set seed="$seed" --set threads=1 --set evaluate_every=1000 \
    --set independent_too=false "${sets[@]}" >"$folder.json.tmp" 2>"$folder.log"
  mv "$folder.json.tmp" "$folder.json"
}
export -f one
export out program

for seed in $seeds; do
  for name in "${!arm[@]}"; do printf '%s\0%s\0%s\0' "$name" "$seed" "${arm[$name]}"; done
done | xargs -0 -n 3 -P "$jobs" bash -c 'one "$@"' _
