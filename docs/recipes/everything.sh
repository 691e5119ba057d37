#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every scenario over every transport, each seed with its swarm of faults; see docs/hunting.md.
#
#   SEEDS=1000000 docs/recipes/everything.sh
#
# Each transport has a fifth of the seeds, of which `traffic` has three quarters and every other scenario an equal part
# of the rest. A hunt that breaks a law, or in which a fault or a state that had every chance never came, makes it fail.
set -u

: "${TWINWIRE:=build/release/twinwire}"
: "${SEEDS:=1000000}"
: "${FIRST_SEED:=1}"
: "${PLANT:=}"      # "--plant NAME": to see it fail
: "${OUT:=hunted}"  # a folder: what each hunt printed, its result, its capsules

[ "$SEEDS" -ge 1 ] || { echo "SEEDS is no number of seeds: $SEEDS" >&2; exit 2; }
transports=$("$TWINWIRE" list --names transports) || { echo "TWINWIRE is no twinwire: $TWINWIRE" >&2; exit 2; }
mkdir -p "$OUT"
share=$((SEEDS / 5 > 0 ? SEEDS / 5 : 1))
worst=0
ran=0
begun=$(date +%s)

# hunt <transport> <scenario> <seeds>
hunt() {
  name="$2-$1"
  # A scenario of one connection fills no backlog: of faults the two are held to account that have room for all.
  enough=
  case "$2" in traffic | restarts) enough=--require-bites ;; esac
  [ "$3" -lt 1000 ] || enough="$enough --require-states"
  # shellcheck disable=SC2086  # several options
  "$TWINWIRE" hunt --transport "$1" --scenario "$2" --seeds "$3" --first-seed "$FIRST_SEED" $enough $PLANT \
    --capsules "$OUT/capsules" --results "$OUT/$name.hunt" >"$OUT/$name.txt" 2>&1
  code=$?
  # The gravest counts; 7, "tested less than was required", is graver than 0 alone.
  case "$worst$code" in
    ?0 | [!07]7) ;;
    0? | 7?) worst=$code ;;
    *) [ "$code" -le "$worst" ] || worst=$code ;;
  esac
  seeds=$(sed -nE 's/^(ran|interrupted after) +([0-9,]+) seeds.*/\2/p' "$OUT/$name.txt" | tr -d ,)
  ran=$((ran + ${seeds:-0}))
  printf '%-14s %-5s %7d seeds  %s\n' "$2" "$1" "${seeds:-0}" \
    "$(grep -E '^(no law was broken|the hunt has tested less|[a-z_]+:[a-z_]+ in )' "$OUT/$name.txt" | tr '\n' ';')"
}

for transport in $transports; do
  others=$("$TWINWIRE" list --names scenarios --transport "$transport" | grep -vx traffic)
  number=$(echo "$others" | wc -l)
  each=$((share / 4 / number > 0 ? share / 4 / number : 1))
  rest=$((share - each * number))
  hunt "$transport" traffic $((rest > 0 ? rest : 1))
  for scenario in $others; do
    hunt "$transport" "$scenario" "$each"
  done
done

took=$(($(date +%s) - begun))
[ "$took" -ge 1 ] || took=1
printf '%d seeds in %d s, %d per second; what each hunt printed is in %s\n' "$ran" "$took" $((ran / took)) "$OUT"
exit "$worst"
