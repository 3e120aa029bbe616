#!/usr/bin/env bash
# Makes the boards of release 1.0, and what is published of them beside this file:
#
#     results/1.0/make.sh WORK [replay|live|programs|schedule]...
#
# WORK: where boards are made, gigabytes; a board that is there is gone on with. What they took: README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$1
shift

cheap=(default random sobol grid tpe regularised-evolution successive-halving hyperband asha pasha dehb carbon-aware)
others=(random-common cma-es catcma nsga2 bohb)
dear=(gp ngopt two-points-de)  # seconds of search a run; the last two need carbon-suite[nevergrad]
five=(random tpe regularised-evolution hyperband carbon-aware)
programs=(implicit-cg implicit-neumann unrolled online-hypergradient t1-t2 random tpe regularised-evolution)

run() { # BOARD SEEDS OPTION... -- STRATEGY...: its tasks and their options come first
  local board=$1 seeds=$2 options=()
  shift 2
  while [ "$1" != -- ]; do options+=("$1") && shift; done
  shift
  carbon-suite run --out "$work/$board" --seeds "$seeds" "${options[@]}" $(printf -- '--strategy %s ' "$@")
}

publish() { # BOARD: its tables, its runs and its pictures
  local from=$work/$1 to=$here/$1
  mkdir -p "$to"
  carbon-suite rank "$from" --format csv > "$to/table.csv"
  carbon-suite rank "$from" --format md --details > "$to/table.md"
  carbon-suite rank "$from" --format latex > "$to/table.tex"
  carbon-suite export "$from" "$to/runs.csv" --to runs
  carbon-suite report "$from" --out "$work/$1-site"
  cp "$work/$1-site"/*/figures/{overview,paradigms}.png "$to"
  python -c 'import json, suite.runs.machine as m; print(json.dumps(m.machine_facts(), indent=1))' > "$to/machine.json"
}

pack() { # BOARD: its logs, the same bytes for the same logs
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --exclude=lock --exclude=worker.log -C "$work" -c "$1" |
    xz -9e -T1 > "$here/$1/logs.tar.xz"
}

replay() {
  run replay 0-19 --replay --jobs 2 --task '*' -- "${cheap[@]}"
  run replay 0-19 --replay --jobs 2 --task '*' -- "${others[@]}"
  run replay 0-19 --replay --jobs 2 --task '*' -- "${dear[@]}"
  publish replay
  mv "$here/replay/runs.csv" "$here/../../suite/published.csv"  # which ships
}

live() {
  local ten=(few_shot/sinusoid reinforcement/ppo-cartpole semi_supervised/fixmatch-mnist1d supervised/glyph-faces)
  local same=(--budget 10 --idle-watts 1)
  run live 0-9 "${same[@]}" $(printf -- '--task %s ' "${ten[@]}") -- "${five[@]}"
  run live 0-4 "${same[@]}" --task physics_informed/helmholtz --task federated/glyph-fonts -- "${five[@]}"
  publish live
  pack live
  run replayed 0-9 --replay --budget 10 --jobs 2 $(printf -- '--task %s ' "${ten[@]}") -- "${five[@]}"
  carbon-suite agree "$work/live" "$work/replayed" > "$here/live/agreement.txt"
}

programs() {
  local tasks=(few_shot/sinusoid physics_informed/helmholtz semi_supervised/mean-teacher-digits
    supervised/cells-mnist1d supervised/mnist1d)
  run programs 0-4 --program --budget 5 --idle-watts 1 $(printf -- '--task %s ' "${tasks[@]}") -- "${programs[@]}"
  publish programs
  pack programs
}

schedule() {
  carbon-suite schedule "$work/replay" --trace "$here/trace.csv" > "$here/schedule.txt"
}

[ $# -gt 0 ] || set -- replay live programs schedule
for board; do "$board"; done
