#!/usr/bin/env bash
# Every link of the documentation resolves: files, and #anchors as GitHub makes them from headings. Every picture under
# docs/images is shown by a page, and docs/images/README.md says what made it.
#
#   check_links.sh SOURCE
set -u -o pipefail
cd "$1" || exit 1
pages=$(find . -maxdepth 1 -name '*.md'; find docs -name '*.md')
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT

# Text of a page without fenced blocks and inline code.
prose() { awk '/^ *```/ {inside = !inside; next} !inside' "$1" | sed -E 's/`[^`]*`//g'; }

# Anchors of a page: headings in lower case, punctuation left out, blanks as hyphens; the second one of a name gets -1.
anchors() {
  awk '/^ *```/ {inside = !inside; next} !inside && /^#+ /' "$1" | sed -E 's/^#+ +//; s/\[([^]]*)\]\([^)]*\)/\1/g' |
    tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g' | awk '{n = seen[$0]++; print n ? $0 "-" n : $0}'
}

# Targets of links and pictures.
targets() {
  prose "$1" | grep -oE '\]\([^) ]+\)' | sed -E 's/^\]\(//; s/\)$//'
  prose "$1" | grep -oE '(src|srcset|href)="[^"]+"' | sed -E 's/^[a-z]+="//; s/"$//'
}

links=0
for page in $pages; do
  while IFS= read -r target; do
    case "$target" in http://* | https://* | mailto:*) continue ;; esac
    links=$((links + 1))
    file=${target%%#*}
    where=$page
    [ -z "$file" ] || where=$(dirname "$page")/$file
    if [ ! -e "$where" ]; then
      echo "$page: there is no $target" >>"$complaints"
    elif [[ $target == *"#"* ]] && ! anchors "$where" | grep -qxF -- "${target#*#}"; then
      echo "$page: $target: no heading of that name" >>"$complaints"
    fi
  done < <(targets "$page")
done

for picture in docs/images/*.svg docs/images/*.png; do
  [ -e "$picture" ] || continue
  name=${picture##*/}
  grep -qF "images/$name" $pages || echo "$picture: no page shows it" >>"$complaints"
  grep -qF "$name" docs/images/README.md || echo "$picture: docs/images/README.md does not say what makes it" >>"$complaints"
done

# Every page can be reached from the index.
for page in $(find docs -name '*.md' ! -path docs/README.md ! -path docs/images/README.md ! -path 'docs/reference/*'); do
  grep -qF "(${page#docs/}" docs/README.md || echo "$page: docs/README.md does not link it" >>"$complaints"
done

cat "$complaints"
[ ! -s "$complaints" ] && echo "$links links in $(wc -w <<<"$pages") pages resolve"
