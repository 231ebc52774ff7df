#!/bin/sh
# onnxruntime_test.sh MAKE_EXPORTS SCRIPT FOLDER: exports, then runs them in ONNX Runtime.
set -e
if ! command -v node >/dev/null; then
  echo "skipped: there is no node."
  exit 77
fi
mkdir -p "$3"
if ! node -e "require('module').createRequire('$3/x.js')('onnxruntime-node')" 2>/dev/null; then
  echo "skipped: the npm package onnxruntime-node is not installed."
  exit 77
fi
"$1" "$3"
exec node "$2" "$3"
