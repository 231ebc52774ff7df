#!/usr/bin/env bash
# Installs what InstantNet needs, through the system's package manager, and only what is missing.
set -euo pipefail

packages=(
  g++ cmake ninja-build make pkg-config
  libtorch-dev libdnnl-dev                                          # tensors, convolutions
  libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libfmt-dev         # files, command line, text
  libssl-dev zlib1g-dev libopencv-imgcodecs-dev                      # digests, gzip, images
  libonnx-dev libprotobuf-dev protobuf-compiler                      # ONNX
  libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev       # tests, benchmarks
  dpkg-dev                                                           # packages
  dataset-fashion-mnist                                              # images for the demo
)
light_packages=(
  g++ cmake ninja-build make pkg-config libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libfmt-dev libssl-dev zlib1g-dev
  libonnx-dev libprotobuf-dev protobuf-compiler
  libopencv-imgcodecs-dev
  libgtest-dev libgmock-dev librapidcheck-dev dpkg-dev
)
[ "${1:-}" = "light" ] && packages=("${light_packages[@]}")

run=()
[ "$(id -u)" -eq 0 ] || run=(sudo)
export DEBIAN_FRONTEND=noninteractive

# install PACKAGE...: those that are missing; says what it does.
install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ ${#run[@]} -gt 0 ] && ! command -v sudo >/dev/null; then
    echo "setup: run as root, or install: ${missing[*]}" >&2
    return 2
  fi
  echo "setup: installing ${missing[*]}"
  "${run[@]}" apt-get update -qq && "${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || return 2
  installed=yes
}

# The report's charts (npm package echarts) and what drives a browser in its test, into build/report-tools.
# Everything else works without, so what fails here is only said.
install_report_tools() {
  local from=$root/tools/report to=$root/build/report-tools
  cmp -s "$from/package-lock.json" "$to/package-lock.json" && [ -f "$to/node_modules/echarts/dist/echarts.min.js" ] && return 0
  command -v npm >/dev/null || install nodejs npm || return 1
  echo "setup: installing the npm packages of tools/report into build/report-tools"
  mkdir -p "$to"
  rm -f "$to/package-lock.json"
  cp "$from/package.json" "$to/"
  cp "$from/package-lock.json" "$to/package-lock.json.new"
  local try
  for try in 1 2; do
    cp "$to/package-lock.json.new" "$to/package-lock.json"
    if (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --silent --fetch-retries=1 --fetch-timeout=60000 >npm.log 2>&1 </dev/null); then
      rm -f "$to/package-lock.json.new"
      installed=yes
      return 0
    fi
    rm -f "$to/package-lock.json"
    [ "$try" = 2 ] || sleep 5
  done
  return 1
}

root=$(cd "$(dirname "$0")/.." && pwd)
installed=
install "${packages[@]}" || exit 2
install_report_tools ||
  echo "setup: the chart library is missing, so 'instantnet report' will write no pages (see build/report-tools/npm.log)" >&2
command -v chromium >/dev/null || install chromium fonts-dejavu-core ||
  echo "setup: there is no Chromium, so the report's page is not tested in a browser" >&2
if [ -n "$installed" ]; then
  echo "setup: done"
else
  echo "setup: everything is installed already"
fi
