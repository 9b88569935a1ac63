"""Runs what `scripts/contract/run` promises, and prints one line for each part."""

import argparse
import pathlib
import sys

import fuzzing
import using
from server import Server


def main():
    """The exit code: 0 when nothing was found."""
    read = argparse.ArgumentParser(prog="scripts/contract/run")
    read.add_argument("binary", help=argparse.SUPPRESS)
    read.add_argument("folder", type=pathlib.Path, help=argparse.SUPPRESS)
    read.add_argument("part", nargs="?", choices=["fuzz", "client"], help="one part alone")
    read.add_argument("scopes", nargs="*", help="keys to fuzz with; all of them otherwise")
    read.add_argument("--examples", type=int, default=30, help="requests made up for each operation (30)")
    read.add_argument("--seed", type=int, default=1, help="where chance begins (1)")
    asked = read.parse_args()
    lines = []
    if asked.part in (None, "client"):
        with Server(asked.binary, asked.folder / "client-server") as server:
            server.furnish()
            lines.append(using.run(server, asked.folder))
    if asked.part in (None, "fuzz"):
        for scope in asked.scopes or fuzzing.scopes(asked.binary, asked.folder):
            with Server(asked.binary, asked.folder / "fuzz-server") as server:
                server.furnish()
                lines.append(fuzzing.run(server, asked.folder, scope, asked.examples, asked.seed))
    print("\n" + "\n".join(line for line, _ in lines))
    return 0 if all(well for _, well in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
