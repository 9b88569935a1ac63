"""Hostile requests: schemathesis over the whole document with the key of one scope."""

import json
import pathlib
import re
import subprocess
import time

from server import Server

CONFIG = """
request-timeout = 30
continue-on-failure = true
hooks = "{hooks}"

[generation]
database = "none"

[reports]
directory = "{reports}"

# What no schema can say: whether what is named is there, in which state it is, and whether it is the version that is
# meant (404, 409, 412, 416, 428), and what the values of a body come to together (422).
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 304, 401, 403, 404, 409, 412, 416, 422, 428, "5xx"]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 411, 412, 413, 415, 416, 422, 428, "5xx"]

# A time before 1970 is none here, and `format: date-time` knows no such bound.
[[operations]]
include-operation-id = {times}
checks.positive_data_acceptance.expected-statuses = ["2xx", 304, 400, 401, 403, 404, 409, 412, 422]

# Paths of a plugin's files end like sources; a digest is that of the body; the sides of a diff are words and numbers.
[[operations]]
include-operation-id = {words}
checks.positive_data_acceptance.expected-statuses = ["2xx", 304, 400, 401, 403, 404, 409, 412, 422, 428]

# Every method is taken below a plugin's name, whatever routes it has.
[[operations]]
include-path-regex = "/x/"
checks.allow_header_conformance.enabled = false
"""

TIMES = ["listAudit", "listClips", "listRecordings", "listEvents", "listCallTraces", "listDeadDeliveries", "listLogs",
         "listPluginLogs"]
WORDS = ["savePluginFile", "deletePluginFile", "renamePluginFile", "getPluginFile", "savePluginDraftFile",
         "deletePluginDraftFile", "getPluginDraftFile", "getPluginVersionFile", "diffPluginVersions", "uploadPlugin",
         "uploadTrack", "appendTrack", "uploadClip"]


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
    hooks = pathlib.Path(__file__).with_name("hooks.py")
    config.write_text(CONFIG.format(reports=folder / f"report-{name}", hooks=hooks, times=json.dumps(TIMES),
                                    words=json.dumps(WORDS)))
    command = [
        folder / "fuzz-venv/bin/schemathesis", "--no-color", "--config-file", config, "run",
        f"{server.url}/api/openapi.json", "--header", f"X-API-Key: {key}", "--seed", str(seed),
        "--max-examples", str(examples if scope == "admin" else max(examples // 3, 1)),
        # What every boundary of every schema comes to is seen with the key that opens everything.
        "--phases", "examples,coverage,fuzzing,stateful" if scope == "admin" else "examples,fuzzing,stateful",
        "--suppress-health-check", "all", "--workers", "1",
        # Answers without an end.
        "--exclude-path-regex", "/stream$",
        # These would take the key away that the run lives on.
        "--exclude-operation-id", "rotateToken", "--exclude-operation-id", "revokeToken",
        "--exclude-operation-id", "updateToken",
    ]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    report = folder / f"fuzz-{name}.log"
    report.write_text(done.stdout)
    counted = re.search(r"(\d[\d ,]*) generated", done.stdout)
    cases = counted.group(1) if counted else "?"
    failures = re.search(r"(\d+) found (\d+) unique failures?", done.stdout)
    found = failures.group(2) if failures else ("0" if done.returncode == 0 else "?")
    well = done.returncode == 0 and server.is_alive()
    if not server.is_alive():
        found = "the server is gone"
    took = time.monotonic() - begun
    return f"fuzz {scope}: {cases} requests, failures: {found}, {took:.0f} s ({report})", well
