# SPDX-License-Identifier: Apache-2.0
"""Rules that ask a tool: the formatter, clang-tidy, the compiler, nm. Each yields Findings."""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from tree import LAYERS, SEES, Finding, code_only

DIAGNOSTIC = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):\d+: (?:fatal )?(?:warning|error): (?P<text>.*)$",
                        re.MULTILINE)


def _run(command, **options):
    tool = command[0]
    if shutil.which(tool) is None:
        raise SystemExit(f"{tool} is not installed; `.ci/setup check` installs it")
    return subprocess.run(command, capture_output=True, text=True, **options)


def _in_parallel(work, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for findings in pool.map(work, items):
            yield from findings


class IncludeRoots:
    """Include roots that hold one layer each, as the build makes them."""

    def __init__(self, root):
        self._root = root

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="twinwire-lint-")
        for layer in LAYERS:
            (pathlib.Path(self._folder) / layer).mkdir()
            os.symlink(self._root / layer, pathlib.Path(self._folder) / layer / layer)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._folder)

    def unit(self, names):
        """A file that includes these source files."""
        path = pathlib.Path(self._folder) / (names[0].replace("/", ".") + ".unit.cc")
        path.write_text("".join(f'#include "{name}"\n' for name in names))
        return str(path)

    def flags(self, layer):
        return ["-std=c++23", *(f"-I{self._folder}/{seen}" for seen in SEES[layer])]

    def local(self, path):
        """The path of a file of the tree, given as a tool printed it, relative to the tree's root; else None."""
        for layer in LAYERS:
            prefix = f"{self._folder}/{layer}/"
            if path.startswith(prefix):
                return path[len(prefix):]
        return None


def _diagnostics(tree, roots, output, default):
    for match in DIAGNOSTIC.finditer(output):
        path = match["file"]
        name = roots.local(path) or os.path.relpath(os.path.join(tree.root, path), tree.root)
        if name.startswith(".."):
            name = default
        check = re.search(r"\[([\w.,-]+)\]\s*$", match["text"])
        word = check[1].split(",")[0] if check else "compile"
        text = match["text"][:check.start()].rstrip() if check else match["text"]
        yield Finding(name, int(match["line"]), word, text)


# ---- format -------------------------------------------------------------------------------------------------------


def format_(tree):
    names = tree.sources()
    if not names:
        return
    result = _run(["clang-format-19", "--dry-run", "-Werror", f"--style=file:{tree.root}/.clang-format", *names],
                  cwd=tree.root)
    reported = set()
    for match in DIAGNOSTIC.finditer(result.stderr):
        if match["file"] not in reported:
            reported.add(match["file"])
            yield Finding(match["file"], int(match["line"]), "format", "not formatted; `.ci/format` does it")
    if result.returncode != 0 and not reported:
        yield Finding(".clang-format", 0, "format", result.stderr.strip()[:500])


# ---- headers: each compiles alone ---------------------------------------------------------------------------------

INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^">]+)[">]')


def _first_includes(code):
    """What a file includes before anything else stands in it, a condition for instance."""
    found = set()
    for line in code.splitlines():
        match = INCLUDE.match(line)
        if match:
            found.add(match[1])
        elif line.strip() and not line.startswith("#pragma"):
            break
    return found


def _rows(reached):
    """The fewest rows that hold each header once, in which each is reached by an #include of the next, and so of all
    after it. `reached`: {header: all that it reaches}.

    Before such a row's nth header the compiler has read nothing but what the nth includes by itself: that the row
    compiles shows of every header in it that it compiles alone.
    """
    before, after = {}, {}

    def find(header, tried):
        for other in reached[header]:
            if other not in tried:
                tried.add(other)
                if other not in after or find(after[other], tried):
                    before[header], after[other] = other, header
                    return True
        return False

    for header in sorted(reached, key=lambda h: (len(reached[h]), h)):
        find(header, set())
    rows = []
    for last in sorted(set(reached) - set(after)):
        row = [last]
        while row[-1] in before:
            row.append(before[row[-1]])
        rows.append(row[::-1])
    return rows


def headers(tree, compiler="g++", layers=LAYERS):
    names = {n for n in tree.sources(*layers) if n.endswith(".h")}
    direct = {name: _first_includes(code_only(tree.text(name))) & names for name in names}
    reached = {}
    for name in names:
        todo, reached[name] = [name], set()
        while todo:
            new = direct[todo.pop()] - reached[name]
            reached[name] |= new
            todo += new
    # One that includes itself by a detour, or what its layer does not see, is in no row with others.
    single = {name for name in names if name in reached[name] or
              {n.split("/")[0] for n in reached[name]} - set(SEES[name.split("/")[0]])}
    rows = _rows({name: set() if name in single else reached[name] - single for name in names})

    def compile_row(row):
        # Each twice, so that a missing include guard shows.
        program = "".join(f'#include "{name}"\n' * 2 for name in row)
        result = _run([compiler, *roots.flags(row[-1].split("/")[0]), "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                       "-Wno-missing-field-initializers", "-x", "c++", "-"], input=program, cwd=tree.root)
        if result.returncode == 0:
            return []
        if len(row) > 1:
            return [finding for name in row for finding in compile_row([name])]
        found = list(_diagnostics(tree, roots, result.stderr, row[0]))
        first = found[0] if found else Finding(row[0], 0, "compile", result.stderr.strip()[:500])
        return [Finding(row[0], 0, "alone", f"does not compile alone: {first}")]

    with IncludeRoots(tree.root) as roots:
        yield from _in_parallel(compile_row, rows)


# ---- tidy ---------------------------------------------------------------------------------------------------------


TIDY_GROUP = 36
# Beside the layers' own: folders that are linked with each other, and so have no two names alike.
TIDY_TOGETHER = {"props/exhaustive": "props/laws", "props/fake_kernel": "props/laws"}


def _tidy_groups(names):
    """Lists of files that can be one translation unit: of a layer, in props/ of a folder, where each file of props/
    itself is an executable; of nearly equal length."""
    together = {}
    for name in names:
        folder = os.path.dirname(name)
        key = folder.split("/")[0]
        if key == "props":
            key = TIDY_TOGETHER.get(folder, folder) if folder != "props" else name
        together.setdefault(key, []).append(name)
    groups = []
    for inside in together.values():
        parts = -(-len(inside) // TIDY_GROUP)
        groups += [inside[len(inside) * i // parts:len(inside) * (i + 1) // parts] for i in range(parts)]
    return sorted(groups, key=len, reverse=True)  # the longest first, so that no processor waits for it at the end


def tidy(tree, cache=None):
    """clang-tidy over all that ships (tests are left to the compilers).

    Many files are checked as one translation unit: most of the time goes to what they include.
    Those that were clean are remembered in the folder `cache` until they, any header or the configuration change.
    """
    shared = hashlib.sha256()
    for name in [".clang-tidy"] + [n for n in tree.sources(*LAYERS) if n.endswith(".h")]:
        if (tree.root / name).is_file():
            shared.update(name.encode() + b"\0" + (tree.root / name).read_bytes())
    if cache:
        pathlib.Path(cache).mkdir(parents=True, exist_ok=True)

    def check(group):
        key = shared.copy()
        for name in group:
            key.update(name.encode() + b"\0" + (tree.root / name).read_bytes())
        stamp = pathlib.Path(cache) / key.hexdigest() if cache else None
        if stamp and stamp.exists():
            return []
        unit = roots.unit(group)
        result = _run(["clang-tidy-19", "--quiet", f"--config-file={tree.root}/.clang-tidy", "--warnings-as-errors=*",
                       "--header-filter=.*/(transport|sim|real|props|cli)/.*", unit, "--",
                       *roots.flags(group[0].split("/")[0])], cwd=tree.root)
        found = list(_diagnostics(tree, roots, result.stdout + result.stderr, group[0]))
        if result.returncode != 0 and not found:
            found = [Finding(group[0], 0, "tidy", (result.stdout + result.stderr).strip()[:500])]
        if stamp and not found:
            stamp.touch()
        return found

    tests = re.compile(r"_(test|prop|fuzz)\.cc$")
    names = [n for n in tree.sources(*LAYERS) if n.endswith(".cc") and not tests.search(n)]
    with IncludeRoots(tree.root) as roots:
        yield from dict.fromkeys(_in_parallel(check, _tidy_groups(names)))  # a header's finding appears once


# ---- symbols: what the archives need and hold ------------------------------------------------------------------

BANNED_SYMBOLS = [(kind, re.compile(pattern)) for kind, pattern in (
    ("a clock", r"^(clock|time|ftime|times|gettimeofday|clock_\w+|timespec_get|localtime\w*|gmtime\w*|timerfd_\w+"
                r"|timer_\w+|setitimer|alarm|sleep|usleep|nanosleep)$|^std::chrono::_V2::|^std::filesystem::"),
    ("entropy", r"^(s?rand(om)?(_r)?|[delmnj]+rand48\w*|getrandom|getentropy|arc4random\w*)$|^std::random_device"),
    ("threads", r"^(pthread_\w+|thrd_\w+|mtx_\w+|sem_\w+|sched_\w+|clone|fork|vfork|posix_spawn\w*)$"
                r"|^std::(thread|jthread|this_thread|condition_variable|__future_base|mutex|shared_mutex|__atomic)"),
    ("sockets", r"^(socket(pair)?|connect|bind|listen|accept4?|shutdown|[gs]etsockopt|getaddrinfo"
                r"|getpeername|getsockname|send(to|m?msg|file)?|recv(from|m?msg)?|p?poll|p?select|epoll_\w+"
                r"|eventfd|io_uring_\w+)$"),
    ("files", r"^(open(at)?(64)?|p?readv?(64)?|p?writev?(64)?|dup[23]?|pipe2?|fopen(64)?|syscall)$"),
    ("unordered iteration", r"^std::_Hash_bytes|^std::__detail::_Prime_rehash_policy|^std::_Fnv_hash_bytes"),
    ("the environment", r"^((secure_)?getenv|getpid|gettid|uname|gethostname)$"),
)]
# What the World puts in front of GnuTLS (sim/entropy.cc). In production nobody may stand there.
HOOKS = {"gnutls_rnd", "clock_gettime", "time"}
FLOATING_SYMBOLS = re.compile(r"^(log\w*|exp\w*|pow\w?|sqrt\w?|[lt]gamma\w?|sin\w?|cos\w?|fmod\w?|round\w?)$")


def symbols(tree, archives, binaries=()):
    """`archives`: {"transport": path, "transport_planted": path, "sim": path}; those not built are absent."""
    for layer in ("transport", "sim"):
        if layer not in archives:
            continue
        name = os.path.basename(archives[layer])
        output = _run(["nm", "-C", "--undefined-only", archives[layer]], check=True).stdout
        needed = {line.split(" U ", 1)[1].strip().split("@")[0] for line in output.splitlines() if " U " in line}
        for symbol in sorted(needed):
            for kind, pattern in BANNED_SYMBOLS:
                if pattern.search(symbol):
                    yield Finding(name, 0, symbol.split("(")[0], f"{layer}/ must not know of {kind}")
            if layer == "sim" and FLOATING_SYMBOLS.search(symbol):
                yield Finding(name, 0, symbol, "sim/ computes with integers only")

    for layer in ("transport", "real"):
        if layer in archives:
            output = _run(["nm", "--defined-only", archives[layer]], check=True).stdout
            for symbol in sorted(HOOKS & {line.split()[-1] for line in output.splitlines() if line.strip()}):
                yield Finding(os.path.basename(archives[layer]), 0, symbol,
                              "the World's entropy must not get into production")

    plants = _plant_names(tree)
    if "transport" in archives:
        name = os.path.basename(archives["transport"])
        held = _words_of(archives["transport"])
        for word in sorted(w for w in held if "plant" in w.lower() or w in plants):
            yield Finding(name, 0, word, "the shipped archive holds a trace of a plant")
    if "transport_planted" in archives:
        name = os.path.basename(archives["transport_planted"])
        held = _words_of(archives["transport_planted"])
        if not any("plant" in word.lower() for word in held):
            yield Finding(name, 0, "plant", "the planted archive holds no plant")
        for word in sorted(plants - held):
            yield Finding(name, 0, word, "the planted archive does not know this plant by name")

    for path in [*archives.values(), *binaries]:
        data = pathlib.Path(path).read_bytes()
        for layer in LAYERS:
            if f"{tree.root}/{layer}/".encode() in data:
                yield Finding(os.path.basename(path), 0, layer, "holds absolute paths of source files")


def _plant_names(tree):
    names = set()
    for file in tree.sources("transport"):
        if file.endswith(".cc"):
            names |= set(re.findall(r"(?<!define )\bPLANT\(\s*(\w+)\s*\)", code_only(tree.text(file))))
    return names


def _words_of(archive):
    """The identifiers in an archive's symbols and data, debug information left out."""
    with tempfile.TemporaryDirectory(prefix="twinwire-lint-") as folder:
        stripped = os.path.join(folder, "stripped.a")
        _run(["objcopy", "--strip-debug", archive, stripped], check=True)
        return set(re.findall(r"[A-Za-z_]\w{3,}", _run(["strings", "-a", stripped], check=True).stdout))
