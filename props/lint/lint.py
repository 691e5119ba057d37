#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one lint rule over the tree and prints what it finds. ctest runs each rule as lint_<rule>.

Exit code: 0 nothing found, 1 something found, 2 bad usage.
"""

import argparse
import pathlib
import sys

import text_rules
import tool_rules
from tree import LAYERS, Tree

HERE = pathlib.Path(__file__).resolve().parent


def archives(build):
    found = {}
    for name in ("transport", "transport_planted", "sim", "real"):
        path = pathlib.Path(build) / f"libtwinwire_{name}.a"
        if path.exists():
            found[name] = str(path)
    return found


def binaries(build):
    return [str(path) for path in (pathlib.Path(build) / "twinwire",) if path.exists()]


RULES = {
    "folders": lambda tree, options: text_rules.folders(tree),
    "layers": lambda tree, options: text_rules.layers(tree),
    "leftovers": lambda tree, options: text_rules.leftovers(tree),
    "source": lambda tree, options: text_rules.source(tree),
    "format": lambda tree, options: tool_rules.format_(tree),
    "headers": lambda tree, options: tool_rules.headers(tree, options.compiler, options.layers),
    "tidy": lambda tree, options: tool_rules.tidy(tree, options.cache),
    "symbols": lambda tree, options: tool_rules.symbols(tree, archives(options.build), binaries(options.build)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rule", choices=sorted(RULES))
    parser.add_argument("--root", default=HERE.parent.parent, help="the tree to look at")
    parser.add_argument("--build", default=".", help="symbols: the build folder with the archives")
    parser.add_argument("--compiler", default="g++", help="headers: the compiler")
    parser.add_argument("--layers", nargs="+", default=LAYERS, choices=LAYERS, help="headers: of these layers")
    parser.add_argument("--cache", help="tidy: a folder for remembering which files were clean")
    options = parser.parse_args()

    allow = HERE / "allow.txt"
    tree = Tree(options.root, allow)
    findings = tree.filter(options.rule, RULES[options.rule](tree, options))
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} finding(s). Where one is right as it is: an entry with the reason in {allow.name}.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
