# SPDX-License-Identifier: Apache-2.0
"""The source tree as the lint rules see it: which files there are, what is allowed, what is code and what comment."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess

LAYERS = ("transport", "sim", "real", "props", "cli")
# A layer compiles against these include roots and no others.
SEES = {
    "transport": ("transport",),
    "sim": ("transport", "sim"),
    "real": ("transport", "real"),
    "props": LAYERS,
    "cli": LAYERS,
    "docs": LAYERS,
}
# What .gitignore names, for a machine without git.
SKIPPED_FOLDERS = {".git", ".cache", "build", "__pycache__"}
SKIPPED_SUFFIXES = (".capsule",)


@dataclasses.dataclass(frozen=True)
class Finding:
    file: str
    line: int  # 0: the file as a whole
    word: str  # what an entry of allow.txt names
    message: str

    def __str__(self):
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message} [{self.word}]"


class Tree:
    def __init__(self, root, allow_file=None):
        self.root = pathlib.Path(root).resolve()
        self.allowed = read_allow_file(allow_file) if allow_file else {}

    def files(self):
        """Every file that is, or could be, committed: relative paths, sorted."""
        if (self.root / ".git").exists() and shutil.which("git"):
            git = subprocess.run(
                ["git", "-C", self.root, "-c", f"safe.directory={self.root}",
                 "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                capture_output=True, text=True)
            if git.returncode == 0:
                found = sorted(set(git.stdout.split("\0")) - {""})
                return [name for name in found if (self.root / name).is_file()]
        found = []
        for folder, subfolders, names in os.walk(self.root):
            subfolders[:] = [name for name in subfolders if name not in SKIPPED_FOLDERS]
            found += [os.path.relpath(os.path.join(folder, name), self.root) for name in names
                      if not name.endswith(SKIPPED_SUFFIXES)]
        return sorted(found)

    def sources(self, *folders):
        """The C++ files in these top-level folders (all layers and the examples, if none is named)."""
        wanted = folders or LAYERS + ("docs",)
        return [f for f in self.files() if f.endswith((".h", ".cc")) and f.split("/")[0] in wanted]

    def text(self, name):
        """The file's text, or None if it is not text."""
        data = (self.root / name).read_bytes()
        if b"\0" in data:
            return None
        return data.decode("utf-8", errors="replace")

    def filter(self, rule, findings):
        """Takes out what allow.txt lets pass; adds a finding for each of the rule's entries that let nothing pass."""
        kept, used = [], set()
        for finding in findings:
            key = (rule, finding.file, finding.word)
            if key in self.allowed:
                used.add(key)
            else:
                kept.append(finding)
        for key, line in self.allowed.items():
            if key[0] == rule and key not in used:
                kept.append(Finding("props/lint/allow.txt", line, key[2],
                                    f"this entry for {key[1]} lets nothing pass any more: remove it"))
        return kept


def read_allow_file(path):
    """{(rule, file, word): line number}"""
    entries = {}
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(None, 3)
        if len(fields) < 4:
            raise SystemExit(f"{path}:{number}: an entry is: rule, file, word, reason")
        entries[tuple(fields[:3])] = number
    return entries


_TOKEN = re.compile(
    r"""
    (?P<comment> //(?:[^\n\\]|\\.|\\\n)* | /\*.*?\*/ )
  | (?P<raw> (?:u8|[uUL])?R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)" )
  | (?P<string> (?:u8|[uUL])?"(?:[^"\\\n]|\\.)*" )
  | (?P<char> (?<![0-9a-zA-Z_])(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+' )
    """,
    re.VERBOSE | re.DOTALL)


def code_only(text):
    """C++ text with comments and the contents of literals blanked out; line numbers stay. Include lines stay whole."""

    def blank(match):
        piece = match.group(0)
        if match.lastgroup == "string" or match.group("string"):
            line_start = text.rfind("\n", 0, match.start()) + 1
            if re.match(r"\s*#\s*include\b", text[line_start:match.start()]):
                return piece
            return '""'
        return re.sub(r"[^\n]", " ", piece)

    return _TOKEN.sub(blank, text)
