#!/usr/bin/env bash
# Packs the logs behind the recorded tables: results/recordings/pack.sh RECORDINGS, where `carbon-suite record --out
# RECORDINGS` wrote them. The same logs give the same bytes. To go on with one, unpack it into the folder that
# `record --out` is given.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
for task in */*/; do
  task=${task%/}
  [ -d "$task/default" ] || continue
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --exclude=lock --exclude=worker.log -c "$task" |
    xz -9e -T1 > "$here/${task//\//-}.tar.xz"
done
