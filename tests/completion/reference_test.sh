#!/usr/bin/env bash
# The pages in docs/reference are what the program prints: reference_test.sh PROGRAM FOLDER
set -euo pipefail
program=$1 folder=$2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if "$program" --version | grep 'without torch' >/dev/null; then
  "$program" pages reference -o "$work/pages"
  diff "$folder/zoo.md" "$work/pages/zoo.md"
  echo "reference_test: skipped but for one page, because this program was built without torch"
  exit 77
fi
"$program" pages reference -o "$work/pages"
diff -r "$folder" "$work/pages" || { echo "reference_test: run 'make reference' and commit the pages" >&2; exit 1; }
