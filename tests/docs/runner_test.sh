#!/usr/bin/env bash
# The runner of the documentation fails where it should.
#
#   runner_test.sh BUILD
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# expect STATUS TEXT: the page on the standard input ends so, and TEXT is in what is printed.
expect() {
  local status=0
  sed 's/^|//' >"$work/page.md"
  "$here/run_page.sh" "$work" "$build" "$work/build/docs" page.md >"$work/log" 2>&1 || status=$?
  if [ "$status" -ne "$1" ] || ! grep -qF -- "$2" "$work/log"; then
    echo "a page ended with $status, not $1, or did not say '$2':"
    cat "$work/page.md" "$work/log"
    failures=$((failures + 1))
  fi
}

expect 0 "page.md: all ran" <<'END'
|```sh
|instantnet --version
|```
END
expect 1 "page.md:1: ended with exit code 2, not 0" <<'END'
|```sh
|instantnet map
|```
END
expect 0 "page.md: all ran" <<'END'
|<!-- run: fails -->
|```sh
|instantnet map
|```
END
expect 1 "ended with exit code 0, not 2" <<'END'
|<!-- run: fails -->
|```sh
|instantnet --version
|```
END
# Only what stands behind a prompt is run; what it prints can be held to the page.
expect 0 "page.md: all ran" <<'END'
|```sh
|$ echo one    two \
|    three
|no command
|```
|<!-- prints -->
|```text
|...
|one two three
|```
END
expect 1 "was not printed: four" <<'END'
|```sh
|echo one
|```
|<!-- prints -->
|```text
|four
|```
END
# Files are written as the page shows them; blocks share a folder, not a shell.
expect 0 "page.md: all ran" <<'END'
|<!-- file: sub/a.yaml -->
|```yaml
|key: [1, 2]
|```
|```sh
|cd sub
|```
|```sh
|grep -q 'key: .1, 2.' sub/a.yaml
|```
END
expect 77 "is not run (needs a GPU)" <<'END'
|<!-- run: no (needs a GPU) -->
|```sh
|false
|```
END
expect 77 "(there is no such-a-program here)" <<'END'
|<!-- run: needs such-a-program -->
|```sh
|false
|```
END
expect 0 "page.md: all ran" <<'END'
|<!-- run: instead:
|true
|true -->
|```sh
|false
|```
END
expect 1 "without a language" <<'END'
|```
|instantnet --version
|```
END
expect 1 "an indented block" <<'END'
|Text:
|
|    instantnet --version
END
expect 77 "nothing was run" <<'END'
|* An item
|
|    its second paragraph
END
expect 1 "with no block below it" <<'END'
|<!-- run: fails -->
|Text.
END
expect 1 "is not closed" <<'END'
|```sh
|true
END
[ "$failures" -eq 0 ] && echo "the runner does what it says"
