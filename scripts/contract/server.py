"""A server of its own on an empty folder, with some plugins and something in it."""

import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# None that is asked before requests: strangers may then ask so much and no more, and are told 429 instead of 401.
PLUGINS = ["highlight_detector", "hybrid_example"]
ROUTES = """
panotti.route("GET", "/hello", function() return { hello = "world" } end)
panotti.route("POST", "/hello/{who}", function(request) return { hello = request.params.who } end)
panotti.schedule.every(3600, "hourly", function() end)
panotti.on.on_clip_captured(function(clip)
  panotti.assets.save("last.txt", clip.title)
  return { tags = { "seen" } }
end)
"""
MANIFEST = """
permissions: { routes: true, schedule: true, assets: true, http: [api.example] }
config_schema:
  properties:
    level: { type: integer, minimum: 0, default: 3 }
    secret: { type: string, writeOnly: true }
"""


def wav(seconds, rate=16_000):
    """A tone, as the bytes of a WAV file."""
    frames = [int(12_000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(seconds * rate))]
    data = struct.pack(f"<{len(frames)}h", *frames)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate,
                       rate * 2, 2, 16, b"data", len(data))
    return head + data


class Server:
    """Runs until it is left."""

    def __init__(self, binary, folder):
        self.binary, self.folder = pathlib.Path(binary), pathlib.Path(folder)

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        plugins = self.folder / "plugins"
        for name in PLUGINS:
            shutil.copytree(ROOT / "user_plugins" / name, plugins / name)
        (plugins / "routes").mkdir()
        (plugins / "routes" / "init.lua").write_text(ROUTES)
        (plugins / "routes" / "plugin.yaml").write_text(MANIFEST)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PANOTTI_")}
        self.log = open(self.folder / "server.log", "w")
        self.process = subprocess.Popen(
            [self.binary], cwd=self.folder, stderr=self.log, stdout=subprocess.DEVNULL,
            env=kept | {
                "PANOTTI_PORT": "0", "PANOTTI_DATA_DIR": str(self.folder / "data"),
                "PANOTTI_PLUGIN_DIRS": str(plugins), "PANOTTI_WATCH": "off", "PANOTTI_LOG": "warn",
                # What never comes must not hold the run up.
                "PANOTTI_BODY_TIMEOUT_S": "3",
            })
        told = self.folder / "data" / "server.json"
        for _ in range(600):
            if told.exists():
                break
            if self.process.poll() is not None:
                raise SystemExit((self.folder / "server.log").read_text())
            time.sleep(0.1)
        self.url = json.loads(told.read_text())["url"]
        self.key = (self.folder / "data" / "admin.token").read_text().strip()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def is_alive(self):
        """Whether it still runs."""
        return self.process.poll() is None

    def ask(self, method, path, body=None, kind="application/json"):
        """One request of an admin; the answer's JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"X-API-Key": self.key, "Content-Type": kind},
                                         method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def furnish(self):
        """Something to be found: recordings, clips, events, a webhook, config."""
        for name in ("r1", "r2"):
            self.ask("POST", "/api/v1/recordings", {"id": name, "title": name})
            self.ask("PUT", f"/api/v1/recordings/{name}/tracks/system", wav(1.0), "audio/wav")
        self.ask("POST", "/api/v1/recordings/r2/end", {})
        self.ask("POST", "/api/v1/clips", {"recording_id": "r1", "last": 0.5})
        self.ask("POST", "/api/v1/clips", {"title": "a file", "file_path": "/somewhere/a.wav"})
        self.ask("POST", "/api/v1/events", {"type": "door.opened", "subject": "front", "data": {"n": 1}})
        hook = {"name": "nobody", "url": "https://hooks.example/in", "events": ["nothing.at.all"], "enabled": False}
        self.ask("POST", "/api/v1/webhooks", hook)
        self.ask("POST", "/api/v1/plugins/routes/config", {"key": "level", "value": 5})

    def make_key(self, scope):
        """A key with one scope."""
        return self.ask("POST", "/api/v1/tokens", {"name": scope, "scopes": [scope]})["token"]

    def scopes(self):
        """All scopes, as the document names them."""
        return self.ask("GET", "/api/openapi.json")["components"]["schemas"]["Scope"]["enum"]
