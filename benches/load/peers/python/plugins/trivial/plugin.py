import pluggy

impl = pluggy.HookimplMarker("panotti")


class Plugin:
    def __init__(self):
        self.started = 0

    @impl
    async def before_recording_start(self, recording_id):
        self.started += 1
