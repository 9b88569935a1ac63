"""Hostile requests: schemathesis over the whole document with the key of one scope."""

import re
import subprocess
import time

from server import Server

CONFIG = """
request-timeout = 30
continue-on-failure = true

[generation]
database = "none"

[reports]
directory = "{reports}"
"""


def scopes(binary, folder):
    """Every scope, the one that opens everything first."""
    with Server(binary, folder / "fuzz-server") as server:
        found = server.scopes()
    return sorted(found, key=lambda scope: (scope != "admin", scope))


def run(server, folder, scope, examples, seed):
    """Its line of the summary, and whether nothing was found."""
    # A spare key: whatever the run does to the first one, the server stays reachable.
    key = server.make_key(scope)
    name = scope.replace(":", "-")
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(reports=folder / f"report-{name}"))
    command = [
        folder / "fuzz-venv/bin/schemathesis", "--no-color", "--config-file", config, "run",
        f"{server.url}/api/openapi.json", "--header", f"X-API-Key: {key}", "--seed", str(seed),
        "--max-examples", str(examples if scope == "admin" else max(examples // 3, 1)),
        "--suppress-health-check", "all", "--workers", "1",
        # An answer without an end.
        "--exclude-path", "/api/v1/events/stream",
        # These would take the key away that the run lives on.
        "--exclude-operation-id", "rotateToken", "--exclude-operation-id", "revokeToken",
    ]
    begun = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    report = folder / f"fuzz-{name}.log"
    report.write_text(done.stdout)
    counted = re.search(r"(\d[\d ,]*) generated", done.stdout)
    cases = counted.group(1) if counted else "?"
    failures = re.search(r"(\d+) found (\d+) unique failures", done.stdout)
    found = failures.group(2) if failures else ("0" if done.returncode == 0 else "?")
    well = done.returncode == 0 and server.is_alive()
    if not server.is_alive():
        found = "the server is gone"
    took = time.monotonic() - begun
    return f"fuzz {scope}: {cases} requests, failures: {found}, {took:.0f} s ({report})", well
