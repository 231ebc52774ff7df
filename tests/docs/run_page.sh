#!/usr/bin/env bash
# Runs the commands of one page of the documentation, as its reader would type them.
#
#   run_page.sh SOURCE BUILD SCRATCH PAGE        for example: run_page.sh . build/release build/release/docs docs/mapping.md
#
# Blocks fenced as ```sh are run in order, each in a shell of its own that ends at the first error, in SCRATCH/PAGE: a folder
# that looks like the root of the repository, with the programs of BUILD on the PATH. Where a block has lines with a prompt
# ("$ "), only those are run. Blocks in other languages are not run. What a page cannot say to its reader stands in HTML
# comments above a block (blank lines may stand between):
#
#   <!-- file: NAME -->             write the block below to the file NAME
#   <!-- prints -->                 each line of the block below was printed by the commands before it ("..." stands for any)
#   <!-- run: no (REASON) -->       do not run the block below
#   <!-- run: needs WHAT -->        skip the block below without: torch, node, onnxruntime, echarts, fashion-mnist, or a program's name
#   <!-- run: also-set KEY=VALUE -->  shorter: add --set KEY=VALUE to its commands that train, search or run a pipeline
#   <!-- run: instead: COMMANDS --> run these, not the block below
#   <!-- run: fails -->             each command of the block below ends with exit code 2
#   <!-- run: hidden: COMMANDS -->  run these here
#   <!-- run: hidden fails: COMMAND -->  the same, and it ends with exit code 2
#   <!-- run: page needs WHAT -->   leave out the rest of the page without it
#
# Exit code 0: what can be run here ran; 77: nothing was run; 1: a command failed, or printed something else. What was not run is said.
set -u -o pipefail
source_root=$(cd "$1" && pwd)
build=$(cd "$2" && pwd)
page=$4
text="$source_root/$page"
[ -f "$text" ] || { echo "$page: there is no such page"; exit 1; }
mkdir -p "$3"
scratch="$(cd "$3" && pwd)/${page//\//_}.d"
output="$scratch.output"
commands_run=0
skipped=

make_scratch() {
  rm -rf "$scratch"
  mkdir -p "$scratch/build"
  local entry
  for entry in "$source_root"/*; do
    case "${entry##*/}" in
      build | runs) ;;
      # A user writes into the root and its folders are links; nothing here writes below them.
      *) ln -s "$entry" "$scratch/" ;;
    esac
  done
  ln -s "$build" "$scratch/build/release"
  ln -s "$build" "$scratch/build/light"
  : >"$output"
}

# Is it there?
has() {
  case "$1" in
    torch) [ -n "$has_torch" ] ;;
    fashion-mnist) [ -d /usr/share/datasets/fashion-mnist ] ;;
    onnxruntime) node -e 'require("onnxruntime-node")' 2>/dev/null ;;
    echarts) grep -q "^INSTANTNET_ECHARTS:FILEPATH=/" "$build/CMakeCache.txt" ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

fail() {
  echo "$page:$1: $2"
  echo "--- what was printed:"
  tail -n 40 "$output"
  exit 1
}

# run LINE COMMANDS STATUS: the commands in one shell; what they print becomes $output.
run() {
  local status=0
  commands_run=$((commands_run + 1)) skipped=
  echo "== $page:$1"
  printf '%s\n' "$2" | sed 's/^/   /'
  (cd "$scratch" && PATH="$build/bin:$PATH" bash -e -o pipefail -c "$2") >"$output" 2>&1 </dev/null || status=$?
  [ "$status" -eq "$3" ] || fail "$1" "ended with exit code $status, not $3"
}

# Commands of a block: behind prompts if there are any, else all lines; and what also-set adds.
commands_of() {
  local body=$1 settings=$2
  if grep -q '^\$ ' <<<"$body"; then
    # Lines that a backslash continues belong to their prompt.
    body=$(awk '/^\$ / {on = 1; sub(/^\$ /, "")} on {print; on = /\\$/}' <<<"$body")
  fi
  if [ -n "$settings" ]; then
    body=$(sed -E "/^instantnet (train|search|pipeline) /{s/ +# .*//;s|\$|$settings|}" <<<"$body")
  fi
  printf '%s\n' "$body" | sed -E '/^[[:space:]]*$/d; s/^ //'
}

# Was each line printed by the commands before?
check_printed() {
  local line=$1 wanted
  while IFS= read -r wanted; do
    wanted=$(sed -E 's/[[:space:]]+/ /g; s/^ //; s/ $//' <<<"$wanted")
    if [ -z "$wanted" ] || [ "$wanted" = "..." ]; then continue; fi
    sed -E 's/[[:space:]]+/ /g' "$output" | grep -qF -- "$wanted" || fail "$line" "was not printed: $wanted"
  done <<<"$2"
}

# block LINE LANGUAGE BODY, with the directives that stand above it
block() {
  local line=$1 language=$2 body=$3 settings="" status=0 instead="" why="" directive
  [ -n "$language" ] || fail "$line" "a fenced block without a language; say sh, yaml, text, c, ..."
  for directive in "${above[@]}"; do
    case "$directive" in
      "file: "*)
        mkdir -p "$(dirname "$scratch/${directive#file: }")"
        printf '%s\n' "$body" >"$scratch/${directive#file: }" ;;
      "prints") [ -n "$skipped" ] || check_printed "$line" "$body" ;;
      "run: no ("*) why=${directive#run: no } ;;
      "run: needs "*) has "${directive#run: needs }" || why="(there is no ${directive#run: needs } here)" ;;
      "run: also-set "*) settings+=" --set ${directive#run: also-set }" ;;
      "run: instead:"*) instead=${directive#run: instead:} ;;
      "run: fails") status=2 ;;
      *) fail "$line" "no directive of this runner: $directive" ;;
    esac
  done
  [ "$language" = sh ] || return 0
  skipped=$why
  if [ -n "$why" ]; then
    echo "-- $page:$line is not run $why"
  elif [ "$status" -eq 2 ]; then
    while IFS= read -r directive; do run "$line" "$directive" 2; done < <(commands_of "$body" "$settings")
  else
    run "$line" "$(commands_of "${instead:-$body}" "$settings")" 0
  fi
}

# A comment that acts by itself, or waits for its block.
comment() {
  local line=$1 body=$2
  case "$body" in
    "run: page needs "*)
      if ! has "${body#run: page needs }"; then
        echo "-- $page:$line: the rest of the page is not run (there is no ${body#run: page needs } here)"
        finish
      fi ;;
    "run: hidden:"*) run "$line" "${body#run: hidden:}" 0 ;;
    "run: hidden fails:"*) run "$line" "${body#run: hidden fails:}" 2 ;;
    "run: "* | "file: "* | "prints") above+=("$body") ;;
  esac
}

read_page() {
  local number=0 start=0 inside="" language="" body="" line before="" list="" indent=""
  above=()
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    if [ "$inside" = fence ]; then
      if [[ $line =~ ^\ *\`\`\`\ *$ ]]; then
        block "$start" "$language" "${body%$'\n'}"
        above=() inside="" body=""
      else
        body+="${line#"$indent"}"$'\n'
      fi
    elif [ "$inside" = comment ]; then
      body+=$'\n'"$line"
      if [[ $line == *"-->"* ]]; then
        body=${body%%-->*}
        comment "$start" "$(sed -E 's/^[ ]*//; s/[ ]*$//' <<<"$body" | sed '/^$/d')"
        inside="" body=""
      fi
    elif [[ $line =~ ^(\ *)\`\`\`(.*)$ ]]; then
      inside=fence start=$number indent=${BASH_REMATCH[1]} language=${BASH_REMATCH[2]} body=""
    elif [[ $line =~ ^\ *\<!--\ *(.*)\ --\>\ *$ ]]; then
      comment "$number" "${BASH_REMATCH[1]}"
    elif [[ $line =~ ^\ *\<!--\ *(.*)$ ]]; then
      inside=comment start=$number body=${BASH_REMATCH[1]}
    elif [[ $line =~ [^[:space:]] ]]; then
      [ ${#above[@]} -eq 0 ] || fail "$number" "a directive with no block below it: ${above[0]}"
      # Four blanks behind an empty line make a code block, but for what belongs to a list.
      [[ ! $line =~ ^"    " || -n $before || -n $list ]] || fail "$number" "an indented block; fence it and give its language"
      [[ $line =~ ^"  " ]] || list=$([[ $line =~ ^([-*]|[0-9]+\.)" " ]] && echo yes)
    fi
    before=$line
  done <"$text"
  [ -z "$inside" ] || fail "$start" "is not closed"
}

finish() {
  if [ "$commands_run" -eq 0 ]; then
    echo "-- $page: nothing was run"
    exit 77
  fi
  rm -rf "$scratch" "$output"
  exit 0
}

make_scratch
has_torch=$("$build/bin/instantnet" train --dry-run >/dev/null 2>&1 && echo yes)
read_page
[ "$commands_run" -gt 0 ] && echo "== $page: all ran"
finish
