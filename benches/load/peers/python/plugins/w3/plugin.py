import pluggy

impl = pluggy.HookimplMarker("panotti")


class Plugin:
    @impl
    async def on_clip_captured(self, clip_data):
        clip_data["tags"].append("highlight")
        clip_data["metadata"]["highlights"] = {
            "processed_by": "bench", "score": 0.93, "count": 3, "first_at": clip_data["duration"] / 3, "kind": "multi-kill"}
