#!/usr/bin/env python3
"""Plants faults in the library, one at a time, and reports which of them the tests miss.

    mutate.py [--only REGEX] [--jobs N] [--build FOLDER]
    mutate.py --check

The files in faults/ list them, one file for each room of the library: a piece of code that stands once in its header (or once `within`
a longer piece that does), and what stands there instead. All are compiled in at once, each as (planted(n) ? fault : code), so that the
tests are built a single time; the environment variable NORMNET_FAULT then chooses the one that is planted. This is the method of mutant
schemata (Untch, Offutt and Harrold, "Mutation analysis using mutant schemata", 1993).

Exit code 0: the tests pass without a fault and fail with each; 1: some faults survive; 2: nothing could be said. With --check,
nothing is built: it only sees that every fault still has its place in the library.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parents[2]
copied = ["CMakeLists.txt", "cmake", "include", "examples", "tests"]
# Those of the rooms, in this order but the fault's own room first, until one fails.
programs = ["nn", "optim", "parity", "core", "train", "data", "io", "viz", "testing", "errors", "examples"]
planted = """// Which fault is planted, counted from 1; 0 for none.
#pragma once
#include <cstdlib>
inline const int planted_fault = [] {
  const char* const number = std::getenv("NORMNET_FAULT");
  return number == nullptr ? 0 : std::atoi(number);
}();
constexpr bool planted(int number) { return !__builtin_is_constant_evaluated() && planted_fault == number; }
"""


def die(message):
    print(f"mutate.py: {message}", file=sys.stderr)
    sys.exit(2)


def read_faults():
    """All faults, numbered from 1 by their place in this list."""
    files = sorted((pathlib.Path(__file__).parent / "faults").glob("*.json"))
    return [fault for file in files for fault in json.loads(file.read_text())]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def place(source, fault):
    """Where the fault's code begins in the source. Raises LookupError where it has no place of its own."""
    within = fault.get("within", fault["code"])
    for text, piece in ((source, within), (within, fault["code"])):
        if text.count(piece) != 1:
            raise LookupError(f'{fault["file"]}, {fault["name"]}: expected "{piece}" once, got it {text.count(piece)} times')
    return source.index(within) + within.index(fault["code"])


def plant_all(faults, include):
    """Writes all faults into the headers. Two that replace overlapping code are nested: the inner one stands in the outer's code."""
    by_file = {}
    for number, fault in enumerate(faults, 1):
        by_file.setdefault(fault["file"], []).append((number, fault))
    for file, of_file in by_file.items():
        path = include / "normnet" / file
        source = path.read_text()
        edits = []
        for number, fault in of_file:
            begin = place(source, fault)
            end = begin + len(fault["code"])
            edits.append((begin, 1, -end, f'(::planted({number}) ? ({fault["fault"]}) : ('))
            edits.append((end, 0, -begin, "))"))
        # From the end, so that places stay. Where several stand at one place, inner ones close first and outer ones open first.
        for at, _, _, text in sorted(edits, reverse=True):
            source = source[:at] + text + source[at:]
        path.write_text(source)


def build(folder, faults, jobs):
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    for name in copied:
        if (root / name).is_dir():
            shutil.copytree(root / name, source / name)
        else:
            source.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, source / name)
    plant_all(faults, source / "include")
    (source / "planted.hpp").write_text(planted)
    configure = ["cmake", "-S", source, "-B", folder / "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DNORMNET_EXAMPLES=OFF",
                 f"-DCMAKE_CXX_FLAGS=-w -include {source}/planted.hpp"]
    targets = [f"{program}_tests" for program in programs]
    for command in (configure, ["cmake", "--build", folder / "build", "--parallel", str(jobs), "--target", *targets]):
        result = run(command)
        if result.returncode != 0:
            die(f"the tests do not build:\n{result.stdout[-6000:]}")
    return {program: folder / "build" / "tests" / f"{program}_tests" for program in programs}


def first_failure(tests, number, room, scratch):
    """Which test program fails first with this fault of a room, and with what; None when all pass."""
    scratch = scratch / str(number)
    scratch.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, NORMNET_FAULT=str(number), OMP_NUM_THREADS="2", OMP_WAIT_POLICY="passive")
    for test in sorted(tests, key=lambda program: program != room):
        try:
            result = run([tests[test], "--abort"], env=environment, timeout=300, cwd=scratch)
        except subprocess.TimeoutExpired:
            return f"{test}: ran longer than 300 s"
        if result.returncode != 0:
            named = re.findall(r"^(.*)\n-{79}\n.*_test\.cpp:\d+", result.stdout, re.MULTILINE)  # the last one ended it
            return f'{test}: {named[-1].strip() if named else f"exit code {result.returncode}"}'
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="REGEX", default="", help="only faults whose file or name it matches")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once (default: the cores)")
    parser.add_argument("--build", type=pathlib.Path, default=root / "build" / "mutation", help="default: build/mutation")
    parser.add_argument("--check", action="store_true", help="only see that every fault has its place")
    arguments = parser.parse_args()

    faults = read_faults()
    homeless = []
    for fault in faults:
        try:
            place((root / "include" / "normnet" / fault["file"]).read_text(), fault)
        except (LookupError, OSError) as error:
            homeless.append(str(error))
    if homeless:
        die("\n".join(homeless))
    if arguments.check:
        print(f"{len(faults)} faults have their places")
        return
    chosen = [n for n, fault in enumerate(faults, 1) if re.search(arguments.only, f'{fault["file"]}: {fault["name"]}')]
    if not chosen:
        die(f"no fault matches {arguments.only}")

    start = time.monotonic()
    tests = build(arguments.build.resolve(), faults, arguments.jobs)
    scratch = arguments.build.resolve() / "scratch"
    failure = first_failure(tests, 0, None, scratch)
    if failure is not None:
        die(f"the tests fail without a fault: {failure}")

    survivors = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        room_of = [fault["file"].split("/")[0] for fault in faults]
        failures = pool.map(lambda number: first_failure(tests, number, room_of[number - 1], scratch), chosen)
        for number, failure in zip(chosen, failures):
            fault = faults[number - 1]
            if failure is None:
                survivors.append(fault)
            print(f'{"SURVIVES" if failure is None else "caught  "} {fault["file"]}: {fault["name"]}'
                  f'{"" if failure is None else f" [{failure}]"}', flush=True)
    print(f"\n{len(chosen)} faults, {len(chosen) - len(survivors)} caught, {len(survivors)} survive; "
          f"{time.monotonic() - start:.0f} s")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
