#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each lint rule can fail: gives it a small tree with a planted offence and expects the report, and a clean
one and expects silence."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import text_rules
import tool_rules
from tree import Finding, Tree, code_only

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"
HEADER = LICENCE + "#pragma once\n"


class LintTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="twinwire-lint-"))
        self.addCleanup(shutil.rmtree, self.root)
        for name in (".clang-format", ".clang-tidy"):
            shutil.copy(ROOT / name, self.root)
        for layer in ("transport", "sim", "real", "props", "cli"):
            (self.root / layer).mkdir()

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def words(self, rule, *arguments):
        return [finding.word for finding in rule(Tree(self.root), *arguments)]

    def report(self, rule, name, text):
        """What `rule` says about a tree that holds this file alone."""
        self.put(name, text)
        words = self.words(rule)
        (self.root / name).unlink()
        return words


class Layers(LintTest):
    def offends(self, name, text):
        self.assertTrue(self.report(text_rules.layers, name, LICENCE + text + "\n"), f"{name} passed: {text}")

    def passes(self, name, text):
        self.assertEqual(self.report(text_rules.layers, name, LICENCE + text + "\n"), [], f"{name}: {text}")

    def test_an_include_of_a_foreign_layer_is_reported(self):
        for name, include in (
            ("transport/a.cc", "sim/world.h"), ("transport/a.cc", "real/ring.h"), ("transport/a.h", "props/laws/a.h"),
            ("sim/a.cc", "real/ring.h"), ("sim/a.cc", "cli/tool.h"), ("real/a.cc", "sim/world.h"),
            ("sim/a.cc", "../real/ring.h"), ("transport/a/b.cc", "../base/check.h"), ("sim/a.cc", "world.h"),
        ):
            self.offends(name, f'#include "{include}"')
        self.offends("transport/a.cc", "#include <sim/world.h>")
        self.offends("transport/a.cc", '  #  include "sim/world.h"')
        for name, include in (
            ("transport/a.cc", "transport/b.h"), ("sim/a.cc", "transport/b.h"), ("real/a.cc", "transport/b.h"),
            ("props/a.cc", "sim/world.h"), ("cli/a.cc", "real/ring.h"),
        ):
            self.passes(name, f'#include "{include}"')

    def test_clocks_threads_entropy_sockets_and_unordered_iteration_are_reported(self):
        for text in (
            "std::random_device d;", "#include <random>", "int x = rand();", "std::srand(1);", "auto x = ::random();",
            "std::uniform_int_distribution<int> d;", "getrandom(b, 4, 0);", "std::chrono::steady_clock::now();",
            "using std::chrono::system_clock;", "std::chrono::high_resolution_clock c;", "clock_gettime(0, &t);",
            "gettimeofday(&t, nullptr);", "auto t = time(nullptr);", "auto t = std::time(0);", "#include <ctime>",
            "#include <thread>", "std::thread t;", "std::this_thread::yield();", "pthread_create();",
            "thread_local int x;", "std::mutex m;", "std::atomic<int> a;", "std::atomic_flag f;", "std::jthread t;",
            "std::lock_guard g(m);", "std::hash<int> h;", "std::unordered_map<int, int> m;",
            "#include <unordered_set>", "std::map<Fiber*, int> m;", "std::set<const Fiber *> s;",
            "::socket(1, 2, 3);", "return ::connect(a, b, c);", "#include <sys/socket.h>", "recvmsg(a, b, c);",
            "#include <liburing.h>", "io_uring_enter();", "getenv(name);", "const char* t = __TIME__;",
        ):
            self.offends("transport/a.cc", text)
            self.offends("sim/a.cc", text)
            self.passes("real/a.cc", text)
            self.passes("props/a.cc", text)

    def test_names_that_only_look_like_offences_pass(self):
        for text in (
            "// std::thread, rand(), the steady_clock", "/* #include <random>\n std::mutex */ int x;",
            'const char* s = "std::thread rand()";', 'auto s = R"(std::mutex)";', "Random& random() noexcept;",
            "network.random().next();", "Clock& clock();", "TimePoint time() const;", "stream.connect(address);",
            "int operand(int x);", "std::map<std::string, int> m;", "self->listen(8);", "dialer.connect();",
            "int big = 1'000'000; std::size_t n = 0;",
        ):
            self.passes("transport/a.cc", text)

    def test_floating_point_is_reported_in_sim_alone(self):
        for text in ("double x;", "float y = 0;", "auto x = 0.5;", "auto x = std::log2(n);"):
            self.offends("sim/a.cc", text)
            self.passes("transport/a.cc", text)
        self.passes("sim/a.cc", "int x = a.b; f(1, 2); // 0.5 double")

    def test_a_plant_in_a_header_is_reported(self):
        self.offends("transport/a.h", "inline bool f() { return PLANT(a); }")
        self.passes("transport/a.cc", "bool f() { return PLANT(a); }")


class Source(LintTest):
    def test_offences_are_reported(self):
        for name, text, word in (
            ("sim/a.cc", "int x;\n", "spdx"),
            (".ci/a", "#!/bin/sh\ntrue\n", "spdx"),
            ("props/a.py", "x = 1\n", "spdx"),
            ("sim/a.h", LICENCE, "once"),
            ("sim/a.cc", LICENCE + "int x;\n" * 600, "length"),
            ("sim/a.cc", LICENCE + "// " + "x" * 118 + "\n", "columns"),
            ("sim/a.cc", LICENCE + "int x; \n", "blank"),
        ):
            self.assertEqual(self.report(text_rules.source, name, text), [word], name)

    def test_a_proper_file_passes(self):
        self.assertEqual(self.report(text_rules.source, "sim/a.h", HEADER), [])
        self.assertEqual(self.report(text_rules.source, ".ci/a", "#!/bin/sh\n# " + LICENCE[3:]), [])


class Leftovers(LintTest):
    def test_unfinished_work_is_reported_in_code(self):
        for word in ("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK", "st" + "ub", "not yet " + "implemented"):
            self.assertTrue(self.report(text_rules.leftovers, "sim/a.cc", f"// {word}: later\n"), word)

    def test_traces_of_a_machine_are_reported_everywhere(self):
        for text in ("/" + "work/main/build", "see /" + "home/ann/x.cc", '"/' + 'root/.cache"',
                     "https://py" + "pi.org/simple", "cra" + "tes.io", "http://deb." + "debian.org/debian"):
            self.assertTrue(self.report(text_rules.leftovers, "docs/a.md", text + "\n"), text)

    def test_ordinary_text_passes(self):
        text = "/usr/include /proc/self/maps build/release/twinwire docs/work/a ~/home/x stubborn $root/root/a\n"
        self.assertEqual(self.report(text_rules.leftovers, "sim/a.cc", text), [])


class Folders(LintTest):
    def test_a_new_top_level_folder_is_reported(self):
        self.assertEqual(self.report(text_rules.folders, "util/a.cc", LICENCE), ["util"])
        self.assertEqual(self.report(text_rules.folders, ".ci/a", ""), [])
        self.assertEqual(self.report(text_rules.folders, "docs/a.md", ""), [])


class Tools(LintTest):
    def test_an_unformatted_file_is_reported(self):
        self.assertEqual(self.report(tool_rules.format_, "sim/a.cc", LICENCE + "int   x ;\n"), ["format"])
        self.assertEqual(self.report(tool_rules.format_, "sim/a.cc", LICENCE + "int x;\n"), [])

    def test_a_header_that_needs_another_include_first_is_reported(self):
        self.put("transport/string.h", HEADER + "#include <string>\n")
        self.assertEqual(self.words(tool_rules.headers), [])
        self.assertEqual(self.report(tool_rules.headers, "sim/a.h", HEADER + "std::string f();\n"), ["alone"])
        self.assertEqual(self.report(tool_rules.headers, "sim/a.h", LICENCE + "struct A {};\n"), ["alone"])
        foreign = HEADER + '#include "sim/b.h"\n'
        self.put("sim/b.h", HEADER)
        self.assertEqual(self.report(tool_rules.headers, "transport/a.h", foreign), ["alone"])
        self.assertEqual(self.report(tool_rules.headers, "props/a.h", foreign), [])

    def test_a_header_that_others_include_is_compiled_alone_all_the_same(self):
        self.put("sim/a.h", HEADER + "inline std::string f() { return {}; }\n")
        self.put("sim/b.h", HEADER + '#include <string>\n#include "sim/a.h"\n')
        self.put("props/c.h", HEADER + '#include "sim/b.h"\nint g();\n#include "props/d.h"\n')
        self.put("props/d.h", HEADER + "inline int h() { return g(); }\n")
        self.put("transport/a.h", HEADER + '#include "sim/e.h"\n')  # its layer does not see it
        self.put("sim/e.h", HEADER)
        self.put("sim/f.h", HEADER + '#include "transport/a.h"\n')
        found = sorted(f.file for f in tool_rules.headers(Tree(self.root)))
        self.assertEqual(found, ["props/d.h", "sim/a.h", "transport/a.h"])
        found = sorted(f.file for f in tool_rules.headers(Tree(self.root), layers=("transport", "sim")))
        self.assertEqual(found, ["sim/a.h", "transport/a.h"])

    def test_headers_go_into_as_few_rows_as_can_be_each_reached_by_the_next(self):
        reached = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a"}, "e": set()}
        rows = tool_rules._rows(reached)
        self.assertEqual(sorted(name for row in rows for name in row), sorted(reached))
        self.assertEqual(len(rows), 3)
        for row in rows:
            for first, second in zip(row, row[1:]):
                self.assertIn(first, reached[second])

    def test_clang_tidy_reports_a_use_after_move(self):
        offence = (LICENCE + "#include <string>\n#include <utility>\nstd::string f(std::string a) {\n"
                   "  std::string b = std::move(a);\n  return b + a;\n}\n")
        self.assertEqual(self.report(tool_rules.tidy, "sim/a.cc", offence), ["bugprone-use-after-move"])
        self.assertEqual(self.report(tool_rules.tidy, "sim/a.cc", LICENCE + "int f() { return 1; }\n"), [])
        self.assertTrue(self.report(tool_rules.tidy, "sim/a.cc", LICENCE + "int f( {\n"))

    def test_clang_tidy_names_the_file_of_a_group_and_its_line(self):
        self.put("sim/a.cc", LICENCE + "int f() { return 1; }\n")
        self.put("sim/b.cc", LICENCE + "int* g() { return 0; }\n")
        found = {(f.file, f.line, f.word) for f in tool_rules.tidy(Tree(self.root))}
        self.assertEqual(found, {("sim/b.cc", LICENCE.count("\n") + 1, "modernize-use-nullptr")})

    def test_clang_tidy_reports_in_headers_and_remembers_only_clean_files(self):
        cache = self.root / "cache"
        self.put("sim/a.cc", LICENCE + '#include "sim/a.h"\n')
        self.put("sim/a.h", HEADER + "inline int* f() { return 0; }\n")
        for _ in range(2):
            self.assertEqual(self.words(tool_rules.tidy, cache), ["modernize-use-nullptr"])
        self.put("sim/a.h", HEADER + "inline int* f() { return nullptr; }\n")
        self.assertEqual(self.words(tool_rules.tidy, cache), [])
        self.assertEqual(len(list(cache.iterdir())), 1)


class Symbols(LintTest):
    def archive(self, name, text, *flags):
        self.put(f"transport/{name}.cc", text)
        source, built = self.root / "transport" / f"{name}.cc", self.root / f"{name}.o"
        subprocess.run(["g++", "-std=c++23", "-g", f"-ffile-prefix-map={self.root}/=", *flags, "-c", source,
                        "-o", built], check=True, cwd=self.root)
        subprocess.run(["ar", "rcs", self.root / f"lib{name}.a", built], check=True)
        return str(self.root / f"lib{name}.a")

    def test_a_clock_a_thread_entropy_and_a_socket_are_reported(self):
        offence = self.archive("bad", """
#include <chrono>
#include <random>
#include <thread>
#include <unordered_map>
#include <cmath>
#include <sys/socket.h>
int f(double x) {
  std::random_device device;
  std::thread([] {}).detach();
  std::unordered_map<int, int> map{{1, 2}};
  std::this_thread::sleep_until(std::chrono::steady_clock::now());
  return socket(1, 2, 3) + static_cast<int>(std::log(x) + device());
}
""")
        words = self.words(tool_rules.symbols, {"sim": offence})
        for expected in ("std::chrono::_V2::steady_clock::now", "socket", "log", "std::random_device::_M_getval",
                         "std::thread::_M_start_thread", "std::__detail::_Prime_rehash_policy::_M_need_rehash"):
            self.assertIn(expected, words)
        innocent = self.archive("good", "#include <string>\nstd::string f(int x) { return std::to_string(x); }\n")
        self.assertEqual(self.words(tool_rules.symbols, {"sim": innocent, "transport": innocent}), [])

    def test_a_plant_in_the_shipped_archive_and_none_in_the_planted_one_are_reported(self):
        text = """
#ifdef LIVE
namespace plant { extern int active; }
const char* const names[] = {"lose_a_byte"};
#define PLANT(name) (plant::active == 1)
#else
#define PLANT(name) false
#endif
int f(int x) {
#ifdef LIVE
  if (names[x][0] == 'x') return 0;
#endif
  return PLANT(lose_a_byte) ? x + 1 : x;
}
"""
        planted = self.archive("planted", text, "-DLIVE")
        shipped = self.archive("shipped", text)
        right = {"transport": shipped, "transport_planted": planted}
        self.assertEqual(self.words(tool_rules.symbols, right), [])
        exchanged = {"transport": planted, "transport_planted": shipped}
        words = self.words(tool_rules.symbols, exchanged)
        self.assertEqual(words.count("lose_a_byte"), 2)
        self.assertIn("plant", words)

    def test_the_worlds_entropy_in_production_is_reported(self):
        hook = self.archive("hook", 'extern "C" int gnutls_rnd(int, void*, unsigned long) { return 0; }\n')
        for layer in ("transport", "real"):
            self.assertEqual(self.words(tool_rules.symbols, {layer: hook}), ["gnutls_rnd"])
        self.assertEqual(self.words(tool_rules.symbols, {"sim": hook}), [])

    def test_an_absolute_source_path_in_an_archive_is_reported(self):
        leaky = self.archive("leaky", "const char* f() { return __FILE__; }\n", "-ffile-prefix-map=/none=")
        self.put("transport/leaky.cc", "")
        subprocess.run(["g++", "-c", "-x", "c++", "-", "-o", self.root / "leaky.o"], check=True, text=True,
                       input=f'const char* path = "{self.root}/transport/leaky.cc";\n')
        subprocess.run(["ar", "rcs", leaky, self.root / "leaky.o"], check=True)
        self.assertEqual(self.words(tool_rules.symbols, {"transport": leaky}), ["transport"])


class Allowing(LintTest):
    def test_an_entry_lets_its_finding_pass_and_an_idle_entry_is_itself_reported(self):
        self.put("allow.txt", "# comment\nlayers sim/a.cc double for a reason\n")
        tree = Tree(self.root, self.root / "allow.txt")
        finding = Finding("sim/a.cc", 3, "double", "no")
        self.assertEqual(tree.filter("layers", [finding]), [])
        self.assertEqual([f.word for f in tree.filter("layers", [])], ["double"])
        self.assertEqual(tree.filter("source", [finding]), [finding])

    def test_an_entry_without_a_reason_is_refused(self):
        self.put("allow.txt", "layers sim/a.cc double\n")
        with self.assertRaises(SystemExit):
            Tree(self.root, self.root / "allow.txt")

    def test_the_command_says_what_it_found_and_exits_with_1(self):
        self.put("sim/a.cc", "int x;\n")
        command = [sys.executable, "-B", HERE / "lint.py", "source", "--root", self.root]
        result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("sim/a.cc:1: the file must begin with", result.stdout)


class Reading(unittest.TestCase):
    def test_comments_and_literals_are_blanked_and_lines_kept(self):
        text = 'int a; // x\n/* y\n z */ auto s = "q\\"w"; auto r = R"d(u\n)")d"; char c = \'"\'; int n = 1\'000;\n'
        code = code_only(text)
        self.assertEqual(code.count("\n"), text.count("\n"))
        for gone in ("x\n", "y", "z", "q", "w", "u\n)"):
            self.assertNotIn(gone, code)
        for kept in ("int a;", "auto s =", "auto r =", "char c =", "int n = 1'000;"):
            self.assertIn(kept, code)


if __name__ == "__main__":
    unittest.main()
