#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One hunt as a Slurm array of 16 tasks; see docs/hunting.md.
#
#   sbatch --wait --export=ALL,SEEDS=10000000 docs/recipes/hunt.slurm.sh --scenario traffic --transport tcp
#   twinwire merge hunted/*.hunt
#
# The array must begin at 1, as shards do. The hunt uses the processors that the task was given: it asks its affinity.
#SBATCH --job-name=twinwire-hunt
#SBATCH --array=1-16
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --output=hunt-%a.log
set -eu

: "${TWINWIRE:=build/release/twinwire}"  # on a file system that all nodes see: one build for all
: "${SEEDS:=1000000}"
: "${FIRST_SEED:=1}"
: "${OUT:=hunted}"

mkdir -p "$OUT"
"$TWINWIRE" hunt --seeds "$SEEDS" --first-seed "$FIRST_SEED" \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  --results "$OUT/$SLURM_ARRAY_TASK_ID.hunt" --capsules "$OUT/capsules" "$@"
