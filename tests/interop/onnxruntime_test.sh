#!/bin/sh
# onnxruntime_test.sh MAKE_EXPORTS SCRIPT FOLDER: exports, then runs them in ONNX Runtime.
set -e
if ! command -v node >/dev/null; then
  echo "skipped: there is no node."
  exit 77
fi
mkdir -p "$3"
"$1" "$3"
exec node "$2" "$3"
