#!/bin/sh
# browser_test.sh PROGRAM MAKE_FOLDER SCRIPT TOOLS FOLDER: reports of a small pipeline and of parts
# of it, opened in headless Chromium. TOOLS: where tools/setup.sh put the npm packages.
set -e
program=$1 make_folder=$2 script=$3 tools=$4 folder=$5
skip() {
  echo "skipped: $1 (tools/setup.sh installs it)."
  exit 77
}
command -v node >/dev/null || skip "there is no node"
[ -d "$tools/node_modules/playwright-core" ] || skip "the npm package playwright-core is not in $tools"
[ -x /usr/bin/chromium ] || [ -x /usr/bin/chromium-browser ] || [ -x /usr/bin/google-chrome ] || skip "there is no Chromium"
rm -rf "$folder"
mkdir -p "$folder"
"$make_folder" "$folder/pipeline"
"$program" report "$folder/pipeline" -o "$folder/pipeline.html" 2>"$folder/said" || {
  grep -q 'without the chart library' "$folder/said" && skip "this program was built without the chart library"
  cat "$folder/said"
  exit 1
}
for part in train search bundles/eyeriss; do
  "$program" report "$folder/pipeline/$part" -o "$folder/$(basename $part).html"
done
"$program" report "$folder/pipeline" "$folder/pipeline/train" -o "$folder/two.html" --title "Two <b>runs</b> & more"
exec node "$script" "$tools" "$folder/pipeline.html" "$folder/train.html" "$folder/search.html" "$folder/eyeriss.html" \
  "$folder/two.html"
