"""What somebody who writes Python does with the generated client, and what must come of it."""

import asyncio
import io

from panotti_client import AuthenticatedClient
from panotti_client.api.audit import list_audit
from panotti_client.api.clips import (create_clip, delete_clip, download_clip, get_clip, get_clip_stats, list_clips,
                                      update_clip)
from panotti_client.api.events import list_events, publish_event
from panotti_client.api.health import get_health
from panotti_client.api.hooks import get_hook
from panotti_client.api.plugins import (create_plugin_config, delete_plugin_config, disable_plugin, enable_plugin,
                                        get_plugin, get_plugin_status, list_plugin_config, list_plugins)
from panotti_client.api.recordings import (append_track, delete_recording, end_recording, get_recording,
                                           start_recording, update_recording, upload_track)
from panotti_client.api.tokens import create_token, list_tokens, revoke_token, rotate_token
from panotti_client.models import (ClipChange, ClipCut, ConfigCreate, EventCreate, Problem, RecordingChange,
                                   RecordingEnd, RecordingStart, TokenCreate, TokenCreateScopesItem)
from panotti_client.types import File

from server import wav

steps = 0


def done(answer, status):
    """What was answered, when it is what must be."""
    global steps
    steps += 1
    assert answer.status_code == status, f"step {steps}: {answer.status_code}: {answer.content[:600]!r}"
    return answer.parsed


def refused(answer, status, code):
    """A problem, told by its code."""
    problem = done(answer, status)
    assert isinstance(problem, Problem) and problem.code == code, problem
    assert problem.status == status and problem.hint and problem.request_id, problem
    return problem


def client_of(server, key):
    """The client, as its documentation says."""
    return AuthenticatedClient(base_url=server.url, token=key, prefix="", auth_header_name="X-API-Key",
                               raise_on_unexpected_status=True)


def tell(server):
    """How many steps went well; raises at the first that does not."""
    with client_of(server, server.key) as client:
        recordings(client)
        clips(client)
        plugins(client)
        keys(client, server)
        asyncio.run(at_once(client))
    return steps


def recordings(client):
    assert done(get_health.sync_detailed(client=client), 200).status == "ok"
    made = done(start_recording.sync_detailed(client=client, body=RecordingStart(id="py", title="from Python")), 201)
    assert (made.id, made.status) == ("py", "active")
    again = done(start_recording.sync_detailed(client=client, body=RecordingStart(id="py", title="from Python")), 200)
    assert again.duplicate is True
    refused(start_recording.sync_detailed(client=client, body=RecordingStart(id="py", title="other")), 409,
            "contradicting_content")
    sound = File(payload=io.BytesIO(wav(2.0)), file_name="system.wav", mime_type="audio/wav")
    track = done(upload_track.sync_detailed("py", "system", client=client, body=sound), 201)
    assert (track.name, track.sample_rate) == ("system", 16_000) and abs(track.duration - 2.0) < 0.01
    live = File(payload=io.BytesIO(wav(0.5)))
    done(append_track.sync_detailed("py", "mic", client=client, body=live, upload_offset=0), 200)
    problem = refused(append_track.sync_detailed("py", "mic", client=client, body=File(payload=io.BytesIO(b"x")),
                                                 upload_offset=7), 409, "offset_mismatch")
    assert problem["expected_offset"] > 1000
    change = RecordingChange(title="renamed")
    assert done(update_recording.sync_detailed("py", client=client, body=change), 200).title == "renamed"


def clips(client):
    cut = ClipCut(recording_id="py", track="system", last=1.0, title="the end")
    clip = done(create_clip.sync_detailed(client=client, body=cut, idempotency_key="once"), 201)
    assert abs(clip.duration - 1.0) < 0.01 and "seen" in clip.tags
    assert done(create_clip.sync_detailed(client=client, body=cut, idempotency_key="once"), 201).id == clip.id
    out = ClipCut(recording_id="py", track="system", start=100.0, end=101.0)
    refused(create_clip.sync_detailed(client=client, body=out), 422, "out_of_range")
    page = done(list_clips.sync_detailed(client=client, recording_id="py", page_size=10), 200)
    assert (page.total, page.items[0].id) == (1, clip.id)
    changed = done(update_clip.sync_detailed(clip.id, client=client, body=ClipChange(tags=["a", "b"])), 200)
    assert (changed.tags, changed.title) == (["a", "b"], "the end")
    refused(update_clip.sync_detailed(clip.id, client=client, body=ClipChange(title="x"), if_match='"v0"'), 412,
            "precondition_failed")
    media = done(download_clip.sync_detailed(clip.id, client=client), 200)
    assert media.payload.read(4) == b"RIFF"
    assert done(get_clip_stats.sync_detailed(client=client), 200).total_clips >= 1
    done(delete_clip.sync_detailed(clip.id, client=client), 204)
    refused(get_clip.sync_detailed(clip.id, client=client), 404, "clip_not_found")
    done(end_recording.sync_detailed("py", client=client, body=RecordingEnd()), 200)
    assert done(get_recording.sync_detailed("py", client=client), 200).status == "completed"
    told = done(list_events.sync_detailed(client=client, type_=["clip.*"], after=0, limit=100), 200)
    assert {"clip.created", "clip.updated", "clip.deleted"} <= {event.type_ for event in told.items}
    event = done(publish_event.sync_detailed(client=client, body=EventCreate(type_="py.said", data={"n": 1})), 201)
    assert event.source.startswith("http/")
    refused(publish_event.sync_detailed(client=client, body=EventCreate(type_="clip.created")), 422, "invalid")
    done(delete_recording.sync_detailed("py", client=client, files=True), 204)


def plugins(client):
    page = done(list_plugins.sync_detailed(client=client), 200)
    assert "routes" in [plugin.name for plugin in page.items]
    assert done(disable_plugin.sync_detailed("routes", client=client), 200).state == "disabled"
    assert done(enable_plugin.sync_detailed("routes", client=client), 200).state == "running"
    assert done(get_plugin_status.sync_detailed("routes", client=client), 200).generation >= 1
    chain = done(get_hook.sync_detailed("on_clip_captured", client=client), 200)
    assert chain.name == "on_clip_captured"
    rows = done(list_plugin_config.sync_detailed("routes", client=client), 200)
    level = next(row for row in rows.items if row.key == "level")
    refused(create_plugin_config.sync_detailed("routes", client=client, body=ConfigCreate(key="level", value=9)), 409,
            "key_exists")
    done(delete_plugin_config.sync_detailed("routes", level.id, client=client), 204)
    refused(create_plugin_config.sync_detailed("routes", client=client, body=ConfigCreate(key="level", value=-1)), 422,
            "invalid")
    refused(get_plugin.sync_detailed("nobody", client=client), 404, "plugin_not_found")


def keys(client, server):
    scopes = [TokenCreateScopesItem("clips:read")]
    made = done(create_token.sync_detailed(client=client, body=TokenCreate(name="py", scopes=scopes)), 201)
    with client_of(server, made.token) as reader:
        done(list_clips.sync_detailed(client=reader), 200)
        problem = refused(list_plugins.sync_detailed(client=reader), 403, "scope_missing")
        assert problem["scope"] == "plugins:read"
    turned = done(rotate_token.sync_detailed(made.id, client=client), 200)
    with client_of(server, made.token) as former, client_of(server, turned.token) as now:
        refused(list_clips.sync_detailed(client=former), 401, "key_invalid")
        done(list_clips.sync_detailed(client=now), 200)
    done(revoke_token.sync_detailed(made.id, client=client), 204)
    assert made.id in [key.id for key in done(list_tokens.sync_detailed(client=client), 200).items]
    acts = done(list_audit.sync_detailed(client=client, subject=f"token/{made.id}"), 200)
    assert [act.action for act in acts.items] == ["token.revoke", "token.rotate", "token.create"]
    assert all(act.actor_name == "admin" and act.outcome == "ok" and act.request_id for act in acts.items)


async def at_once(client):
    """The same, for those who wait for several answers at once."""
    answers = await asyncio.gather(*[get_recording.asyncio_detailed("r1", client=client) for _ in range(5)])
    for answer in answers:
        assert done(answer, 200).id == "r1"
