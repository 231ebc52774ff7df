#!/usr/bin/env bash
# Asks bash's completion as a terminal would, and has zsh, man and groff read what is written for them where they are installed.
# completion_test.sh PROGRAM
set -euo pipefail
program=$1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
wrong() { echo "completion_test: $*" >&2; failed=1; }

"$program" completion bash >"$work/instantnet.bash"
"$program" completion zsh >"$work/_instantnet"
"$program" pages man >"$work/instantnet.1"

# What bash offers for the words; the last one is being typed. Bash hands them over taken apart at : and =.
offers() {
  (cd "$work/folder" && bash --norc --noprofile -c '
    source ../instantnet.bash
    complete -p instantnet >/dev/null
    for word in "$@"; do
      while [[ $word == *[:=]* && $word != [:=] ]]; do
        before=${word%%[:=]*}
        [[ $before ]] && COMP_WORDS+=("$before")
        word=${word#"$before"}
        COMP_WORDS+=("${word:0:1}")
        word=${word:1}
        [[ $word ]] || break
      done
      [[ $word ]] && COMP_WORDS+=("$word") || [[ $* == *[:=] ]] || COMP_WORDS+=("")
    done
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _instantnet
    printf "%s\n" "${COMPREPLY[@]}"' bash instantnet "$@" | sort | tr '\n' ' ')
}
# expect "WORDS OFFERED" WORD...
expect() {
  local wanted=$1 got
  shift
  got=$(offers "$@")
  [ "${got% }" = "$wanted" ] || wrong "instantnet $*: offers '${got% }', not '$wanted'"
}

mkdir -p "$work/folder/runs" "$work/folder/two words"
touch "$work/folder/"{a.yaml,b.spnet,c.txt,'my model.spnet'}

expect "accelerators" ac
expect "zoo" z
expect "check" data ""
expect "--json" zoo --js
expect "--format" data check --form
expect "b.spnet my model.spnet runs two words" inspect ""
expect "a.yaml runs two words" bundle b.spnet ""
expect "a.yaml" cost --mapping a
expect "a.yaml" cost -m a
expect "a.yaml" cost --mapping=a
expect "runs two words" infer b.spnet --data ""
expect "resnet8 resnet8-s2" map --network zoo:resnet8
expect "resnet8 resnet8-s2" map --network=zoo:resnet8
expect "eyeriss eyeriss-chip eyeriss-isca16" map -n zoo:resnet8 -a eye
expect "energy" map --objective en
expect "portable" bench b.spnet --kernels po
expect "test" infer --part te
expect "bash zsh" completion ""
expect "" zoo --classes 1
expect "" zoo -- --ja
[[ " $(offers "") " == *" completion cost data "* ]] || wrong "the list of verbs is '$(offers "")'"
[[ " $(offers "") " != *" pages "* ]] || wrong "a verb for builds is offered"

# Every verb and every option of --help is offered.
for verb in $("$program" --help | sed -n '/^Verbs:/,$s/^  \([a-z]\+\) .*/\1/p'); do
  [[ " $(offers "") " == *" $verb "* ]] || wrong "$verb is not offered"
  offered=" $(offers "$verb" -) "
  for option in $("$program" "$verb" --help 2>/dev/null | grep -o '^  --\?[a-z][-a-z,]*' | tr ',' ' '); do
    [[ $offered == *" $option "* ]] || wrong "$verb $option is not offered"
  done
done

if command -v zsh >/dev/null; then
  zsh -n "$work/_instantnet" || wrong "zsh cannot read its completion"
  zsh -f -c "fpath=('$work' \$fpath); autoload -Uz compinit; compinit -D -u; [[ \$_comps[instantnet] == _instantnet ]]" ||
    wrong "zsh does not find its completion"
else
  echo "completion_test: no zsh here, its completion is not tried"
fi
said=
command -v groff >/dev/null && said+=$(groff -man -ww -Tutf8 "$work/instantnet.1" 2>&1 >"$work/page")
command -v man >/dev/null && said+=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$work/instantnet.1" 2>&1 >"$work/page")
[ -z "$said" ] || wrong "the manual page: $said"
if [ -s "$work/page" ]; then
  for verb in zoo map bench train; do
    grep -q "instantnet $verb" "$work/page" || wrong "the manual page lacks $verb"
  done
fi

[ $failed = 0 ] || exit 1
echo "completion_test: fine"
