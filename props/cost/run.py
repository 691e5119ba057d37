#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions a message, by callgrind: the transport over a stream that is memory, and what the byte seam costs.

  cmake --build build/release-unity --target transport_cost && props/cost/run.py build/release-unity

Each figure is the difference of two lengths of the same work (props/cost/transport_cost.cc), divided by the messages
between them: what a process needs to begin and to end is in both.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

SIZE = 256


def count(program, what, batch, rounds, inside=None):
    with tempfile.TemporaryDirectory() as folder:
        only = [f"--toggle-collect={inside}"] if inside else []
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", *only, program, what,
             str(batch), str(SIZE), str(rounds)],
            capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    blocks = re.search(r"(\d+) blocks", run.stdout)
    if run.returncode != 0 or collected is None or blocks is None:
        sys.exit(f"{what} {batch}: valgrind said\n{run.stderr}")
    return int(collected.group(1)), int(blocks.group(1))


def a_message(program, what, batch, inside=None):
    """Instructions, those in calls of `inside` alone where it is given, and blocks of the pool."""
    few, many = (100, 300) if batch > 16 else (2000, 6000)
    first, last = count(program, what, batch, few, inside), count(program, what, batch, many, inside)
    messages = (many - few) * batch
    return (last[0] - first[0]) / messages, (last[1] - first[1]) / messages


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = pathlib.Path(sys.argv[1]) / "props" / "transport_cost"
    if not program.exists():
        sys.exit(f"there is no {program}: build the target transport_cost")
    print(f"instructions a message of {SIZE} bytes, over a stream that is memory\n")
    print(f"{'batch':>24} {'256':>10} {'1':>10}")
    figures = {}
    for what in ("fill", "send", "read_batch", "read_message", "seam_inlined", "seam_direct",
                 "seam_virtual"):
        for batch in (256, 1):
            figures[what, batch] = a_message(program, what, batch)
    for what, words in (("fill", "fill, clear a batch"), ("send", "the same and send it"),
                        ("read_batch", "read_batch"), ("read_message", "read_message")):
        print(f"{words:>24} {figures[what, 256][0]:10.2f} {figures[what, 1][0]:10.2f}")
    blocks = max(taken for _, taken in figures.values())
    print(f"{'blocks of the pool':>24} {blocks:10.2f}\n")
    print("the way of a batch to the stream, by a stream that is\n")
    for what in ("seam_inlined", "seam_direct", "seam_virtual"):
        print(f"{what[5:]:>24} {figures[what, 256][0]:10.2f} {figures[what, 1][0]:10.2f}")
    for base in ("seam_direct", "seam_inlined"):
        extra = [figures["seam_virtual", batch][0] - figures[base, batch][0] for batch in (256, 1)]
        share = [100 * e / figures["send", batch][0] for e, batch in zip(extra, (256, 1))]
        print(f"{'virtual over ' + base[5:]:>24} {extra[0]:10.2f} {extra[1]:10.2f}")
        print(f"{'of what sending takes':>24} {share[0]:8.2f} % {share[1]:8.2f} %")


    print("\na call over the bus, in the caller's time; so many between two turns of the writer\n")
    for what, call, words in (("bus_client", "client", "send_to_client"),
                              ("bus_replica", "replica", "send_to_replica"),
                              ("bus_refused", "client", "send_to_client, full")):
        calls = [a_message(program, what, batch, f"*Bus::send_to_{call}*") for batch in (256, 1)]
        print(f"{words:>24} {calls[0][0]:10.2f} {calls[1][0]:10.2f}")


if __name__ == "__main__":
    main()
