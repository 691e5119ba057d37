#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One hunt on many machines, with GNU parallel over ssh; see docs/hunting.md.
#
#   HOSTS=amsel,drossel SHARDS=8 SEEDS=1000000 docs/recipes/hunt.parallel.sh --scenario traffic --transport tcp
#
# The executable is copied to each host, so that all shards are of one build. A host needs its shared libraries, ssh
# without a password and rsync. `:` among the hosts is this machine.
set -eu

: "${TWINWIRE:=build/release/twinwire}"
: "${HOSTS:=:}"     # separated by commas; "4/amsel" runs four shards at a time there, otherwise it is one
: "${SHARDS:=8}"
: "${SEEDS:=1000000}"
: "${FIRST_SEED:=1}"
: "${OUT:=hunted}"  # a folder

mkdir -p "$OUT"
cp "$TWINWIRE" "$OUT/twinwire"
cd "$OUT"

# A folder for each shard, with its result and its capsules, comes back from where it ran. A shard that finds something
# ends with a code above 0 and is no failure of parallel's: the merge tells.
seq "$SHARDS" | parallel --will-cite --jobs 1 --sshlogin "$HOSTS" --basefile twinwire --workdir . \
  --return {} --cleanup \
  mkdir -p "{}" "&&" ./twinwire hunt --seeds "$SEEDS" --first-seed "$FIRST_SEED" --shard "{}/$SHARDS" \
  --results "{}/result.hunt" --capsules "{}/capsules" "$@" || echo "$? of the shards found something, or failed" >&2

./twinwire merge */result.hunt --results whole.hunt
