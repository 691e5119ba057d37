# SPDX-License-Identifier: Apache-2.0
"""Rules that read text: layers, banned words, licence lines, lengths, leftovers. Each yields Findings."""

import os
import re

from tree import LAYERS, SEES, Finding, code_only

# ---- layers: who includes whom, and what transport/ and sim/ may not name ----------------------------------------

INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]+)[>\"]", re.MULTILINE)

BANNED_HEADERS = {
    "entropy": ("random", "sys/random.h"),
    "a clock": ("ctime", "time.h", "sys/time.h", "sys/timerfd.h"),
    "threads": ("thread", "mutex", "shared_mutex", "atomic", "condition_variable", "future", "stop_token",
                "semaphore", "latch", "barrier", "pthread.h", "threads.h", "sched.h", "stdatomic.h"),
    "unordered iteration": ("unordered_map", "unordered_set"),
    "sockets": ("sys/socket.h", "netinet/in.h", "netinet/tcp.h", "netinet/udp.h", "arpa/inet.h", "netdb.h", "poll.h",
                "sys/epoll.h", "sys/select.h", "sys/eventfd.h", "liburing.h", "sys/un.h"),
}
HEADER_KIND = {header: kind for kind, headers in BANNED_HEADERS.items() for header in headers}

GLOBAL = r"(?<![\w>\])])::\s*"  # a call that is qualified with the global namespace

BANNED_WORDS = [(kind, re.compile(pattern)) for kind, pattern in (
    ("entropy", r"\bstd::(?:random_device|mt19937\w*|minstd_\w+|default_random_engine|uniform_\w+|\w+_distribution"
                r"|random_shuffle|shuffle|sample)\b"),
    ("entropy", r"(?<![\w.>])(?:(?:std::|::)?(?:s?rand|[dlm]rand48)|::s?random)\s*(?=\()"),
    ("entropy", r"\b(?:getrandom|getentropy|arc4random\w*|rand_r|_?_?builtin_ia32_rd\w+|_rd(?:rand|seed)\w+)\b"),
    ("a clock", r"\b(?:steady_clock|system_clock|high_resolution_clock|utc_clock|file_clock|clock_gettime|gettimeofday"
                r"|timespec_get|ftime|localtime\w*|gmtime\w*|_?_?rdtscp?|__builtin_ia32_rdtscp?)\b"),
    ("a clock", r"(?<![\w.>])(?:std::|::)?time\s*(?=\(\s*(?:nullptr|NULL|0|&))|\bstd::clock\b|" + GLOBAL +
                r"clock\s*(?=\()"),
    ("a clock", r"\b(?:nanosleep|usleep|clock_nanosleep|timerfd_\w+|__DATE__|__TIME__|__TIMESTAMP__)\b"),
    ("threads", r"\bstd::(?:j?thread|this_thread|(?:\w+_)?mutex|atomic\w*|condition_variable\w*|async|future"
                r"|shared_future|promise|packaged_task|call_once|once_flag|latch|barrier|\w+_semaphore|lock_guard"
                r"|scoped_lock|unique_lock|shared_lock)\b"),
    ("threads", r"\bpthread_\w+|\bthread_local\b|\b__thread\b|\b__(?:atomic|sync)_\w+"),
    ("unordered iteration", r"\bstd::hash\b|\bunordered_(?:multi)?(?:map|set)\b"),
    ("order by address", r"\bstd::(?:multi)?(?:map|set)<\s*(?:const\s+)?[\w:]+(?:\s+const)?\s*\*"),
    ("sockets", r"\b(?:epoll_\w+|io_uring_\w+|recvm?msg|sendm?msg|recvfrom|sendto|getaddrinfo|getsockopt|setsockopt"
                r"|socketpair|accept4)\b"),
    ("sockets", GLOBAL + r"(?:socket|connect|accept|bind|listen|send|recv|poll|select|shutdown)\s*(?=\()"),
    ("the environment", r"\b(?:secure_)?getenv\b|\benviron\b|\bgetpid\b|\bgettid\b|\buname\b|\bgethostname\b"),
)]
FLOATING = re.compile(r"\b(?:float|double)\b|(?<![\w.])\d[\d']*\.\d|\bstd::(?:log\w*|exp\w*|pow|sqrt|lgamma|sin|cos)\b")


def layers(tree):
    for name in tree.sources():
        layer = name.split("/")[0]
        code = code_only(tree.text(name))
        yield from _includes(name, layer, code)
        if layer in ("transport", "sim"):
            for kind, pattern in BANNED_WORDS:
                yield from _matches(name, code, pattern, f"{layer}/ must not know of {kind}")
        if layer == "sim":
            yield from _matches(name, code, FLOATING, "sim/ computes with integers only: floating point varies by CPU")
        if name.endswith(".h") and name != "transport/base/plant.h":
            yield from _matches(name, code, re.compile(r"\bPLANT\b(?=\s*\()"),
                                "a plant may stand only in a .cc file: the archives would disagree on an inline one")


def _includes(name, layer, code):
    for match in INCLUDE.finditer(code):
        quote, path = match.groups()
        line = _line(code, match.start())
        first = path.split("/")[0]
        if ".." in path.split("/"):
            yield Finding(name, line, path, "an include with .. in it bypasses the layers")
        elif first in LAYERS and "/" in path:
            if quote == "<":
                yield Finding(name, line, path, 'the project\'s own headers are included with "..."')
            if first not in SEES[layer]:
                yield Finding(name, line, path, f"{layer}/ must not include {first}/")
        elif quote == '"' and layer != "docs":
            yield Finding(name, line, path, "an include names its layer first, as in \"transport/base/check.h\"")
        elif layer in ("transport", "sim") and path in HEADER_KIND:
            yield Finding(name, line, path, f"{layer}/ must not know of {HEADER_KIND[path]}")


# ---- source: what every source file looks like -------------------------------------------------------------------

SPDX = "SPDX-License-Identifier: Apache-2.0"
LINES_MAX = 600
COLUMNS_MAX = 120  # for comments and tables; the formatter holds code to 100


def source(tree):
    for name in _scripts_and_sources(tree):
        lines = tree.text(name).splitlines()
        if not any(SPDX in line for line in lines[:2]):
            yield Finding(name, 1, "spdx", f"the file must begin with {SPDX}")
        if len(lines) > LINES_MAX:
            yield Finding(name, 0, "length", f"{len(lines)} lines; split what is over {LINES_MAX}")
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield Finding(name, number, "columns", f"{len(line)} columns; the limit is {COLUMNS_MAX}")
            if line != line.rstrip():
                yield Finding(name, number, "blank", "blanks at the end of the line")
        if name.endswith(".h") and "#pragma once" not in lines:
            yield Finding(name, 0, "once", "a header has #pragma once")


# ---- leftovers: unfinished work, and traces of the machine on which it was made ----------------------------------

# The odd brackets keep these patterns from finding themselves.
UNFINISHED = re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b|\b[Ss]t[u]bs?\b|\b[Nn]ot\s+yet\s+implemented\b")
MACHINE_PATH = re.compile(r"(?<![\w.~:/$}*-])/(?:home|root|work|workspace|mnt|srv|opt|Users)/[\w.-]*")
REGISTRY = re.compile(
    r"\b(?:p[y]pi\.(?:org|python\.org)|files\.p[y]thonhosted\.org|c[r]ates\.io|registry\.n[p]mjs\.org|n[p]mjs\.com"
    r"|proxy\.g[o]lang\.org|r[u]bygems\.org|(?:deb|security|snapshot)\.d[e]bian\.org|d[o]cker\.io|hub\.d[o]cker\.com"
    r"|g[h]cr\.io|q[u]ay\.io)\b")


def leftovers(tree):
    code = set(_scripts_and_sources(tree))
    for name in tree.files():
        text = tree.text(name)
        if text is None:
            continue
        if name in code:
            yield from _matches(name, text, UNFINISHED, "finish it or take it out")
        yield from _matches(name, text, MACHINE_PATH, "a path of one machine")
        yield from _matches(name, text, REGISTRY, "a registry's host name: packages are named, not their servers")


# ---- folders: the top level is fixed -----------------------------------------------------------------------------


def folders(tree):
    seen = set()
    for name in tree.files():
        top = name.split("/")[0]
        if "/" in name and top not in seen and not top.startswith(".") and top not in LAYERS + ("docs",):
            seen.add(top)
            yield Finding(name, 0, top, "the top-level folders are " + " ".join(LAYERS) + " docs, and no other")


def _scripts_and_sources(tree):
    for name in tree.files():
        base = os.path.basename(name)
        if base.endswith((".h", ".cc", ".py", ".cmake", ".sh")) or base == "CMakeLists.txt":
            yield name
        elif "." not in base.lstrip(".") and (tree.root / name).read_bytes().startswith(b"#!"):
            yield name


def _matches(name, text, pattern, message):
    for match in pattern.finditer(text):
        word = "".join(match.group(0).split())
        yield Finding(name, _line(text, match.start()), word, message)


def _line(text, offset):
    return text.count("\n", 0, offset) + 1
