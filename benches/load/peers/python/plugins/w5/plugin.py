import time

import pluggy

impl = pluggy.HookimplMarker("panotti")


def burn(n):
    x = 1
    for _ in range(n):
        x = (x * 1664525 + 1013904223) % 4294967296
    return x


def took(n):
    began = time.perf_counter()
    burn(n)
    return time.perf_counter() - began


# So many rounds take a millisecond here.
N = int(0.001 * 20000 / min(took(20000) for _ in range(5)))


class Plugin:
    @impl
    async def on_clip_captured(self, clip_data):
        clip_data["metadata"]["x"] = burn(N)
