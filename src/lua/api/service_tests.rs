//! The modules that reach the product: keys, recordings, clips, media.

use serde_json::{Value, json};

use crate::lua::context::{CallKind, CallState, Mark};
use crate::lua::under_way::Amount;
use crate::model::call::{CallContext, Caller, Effects, KvOp, PluginEffects};

use super::tests::{RUNTIME, Vm};

fn commit(vm: &Vm, effects: Effects) {
    let journal = vm.world.services.journal.clone();
    let effects = vec![PluginEffects { plugin: "quiet".into(), effects }];
    let written =
        vm.world.services.store.write(move |tx| journal.commit_effects(tx, &effects, &Caller::server()));
    RUNTIME.block_on(written).unwrap();
}

/// Two seconds of a tone that is loud in the second one.
fn wav() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for frame in 0..16_000 {
        let level = if frame < 8000 { 100.0 } else { 20_000.0 };
        writer.write_sample(((f64::from(frame) * 0.3).sin() * level) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn a_call_sees_its_own_keys_which_commit_when_it_ends() {
    let vm = Vm::new(json!({}));
    let set = |key: &str, value: Value| KvOp::Set { key: key.into(), value, expires_at_us: None };
    commit(
        &vm,
        Effects {
            kv: vec![set("n", json!(40)), set("p/b", json!(1)), set("t", json!("text"))],
            ..Effects::default()
        },
    );
    vm.check(
        "local kv, null = panotti.kv, panotti.json.null
        assert(kv.get('none') == nil and kv.get('n') == 40)
        assert(kv.incr('n') == 41 and kv.incr('n', 1.5) == 42.5 and kv.get('n') == 42.5 and kv.incr('new') == 1)
        kv.set('p/a', {list = panotti.json.array(), none = null}) kv.set('p/c', false, {ttl = 60}) kv.delete('p/b')
        assert(panotti.json.encode(kv.get('p/a')) == '{\"list\":[],\"none\":null}' and kv.get('p/c') == false)
        assert(kv.get('p/b') == nil and table.concat(kv.list('p/'), ' ') == 'p/a p/c')
        assert(table.concat(kv.list('', {limit = 2, after = 'n'}), ' ') == 'new p/a')
        kv.set('large', 1e308)
        local ok, why = pcall(kv.incr, 'large', 1e308)
        assert(not ok and why:find('too large to be kept', 1, true) and kv.get('large') == 1e308, why)
        local value, err = kv.incr('t')
        assert(value == nil and err.code == 'not_a_number')
        kv.set('z', null) assert(kv.get('z') == null)
        for _, f in {function() kv.set('a') end, function() kv.set('', 1) end, function() kv.set(1, 1) end,
            function() kv.get(('k'):rep(513)) end, function() kv.incr('n', 'x') end, function() kv.set('a', print) end,
            function() kv.set('a', 1, {ttl = -1}) end} do assert(not pcall(f)) end",
    );
    let effects = std::mem::take(&mut *vm.call.effects.lock());
    assert_eq!(effects.kv.iter().filter(|it| matches!(it, KvOp::Incr { .. })).count(), 3);
    commit(&vm, effects);
    vm.check("assert(panotti.kv.get('n') == 42.5 and panotti.kv.get('p/b') == nil and panotti.kv.get('p/c') == false)");
}

#[test]
fn compare_and_set_commits_at_once() {
    let vm = Vm::new(json!({}));
    vm.check(
        "local kv = panotti.kv
        assert(kv.cas('k', nil, {a = 1}) == true and kv.cas('k', nil, 2) == false)
        assert(kv.get('k').a == 1 and kv.cas('k', {a = 1}, 2) == true and kv.cas('k', 2, nil) == true and kv.get('k') == nil)
        kv.set('k', 1)
        local ok, err = pcall(kv.cas, 'k', 1, 2)
        assert(not ok and err:find('has written', 1, true), err)",
    );
}

#[test]
fn compare_and_set_meets_the_quota_of_keys() {
    let vm = Vm::with(json!({}), |ctx, _| ctx.limits.kv_mib = 1);
    vm.check(
        "local kv, s = panotti.kv, ('x'):rep(700 * 1024)
        assert(kv.cas('a', nil, s) and kv.cas('b', nil, s))
        for _, f in {function() kv.set('c', 1) end, function() kv.cas('c', nil, s) end} do
            local ok, told = pcall(f)
            assert(not ok and told:find('1 MiB (limits.kv_mib)', 1, true), told)
        end
        assert(kv.get('c') == nil and kv.cas('b', s, nil) and kv.cas('c', nil, 1))",
    );
    assert!(vm.call.is_marked(Mark::Limit));
    assert_eq!(vm.ctx.quotas.pending.now(), Amount::default());
}

#[test]
fn calls_at_once_meet_the_quota_of_keys_together() {
    let vm = Vm::with(json!({}), |ctx, _| ctx.limits.kv_mib = 1);
    let another = || {
        let call = CallState::new(CallKind::Fact, CallContext::new("event", Caller::server()));
        let call = std::sync::Arc::new(call);
        vm.ctx.current.enter(Some(call.clone()));
        call
    };
    let sets = |key: &str| format!("panotti.kv.set('{key}', ('x'):rep(700 * 1024))");
    let refused = |key: &str| vm.check(&format!("assert(not pcall(function() {} end))", sets(key)));
    vm.check(&sets("a"));
    let second = another();
    vm.check(&sets("b"));
    refused("c");
    let third = another();
    refused("c");
    vm.check("assert(not pcall(panotti.kv.cas, 'c', nil, 1) and not pcall(panotti.kv.incr, 'n'))");
    // One that does not end well gives its part back.
    drop(second);
    vm.check("panotti.kv.set('small', 1)");
    commit(&vm, std::mem::take(&mut *third.effects.lock()));
    commit(&vm, std::mem::take(&mut *vm.call.effects.lock()));
    assert_eq!(vm.ctx.quotas.pending.now(), Amount::default());
    let _fourth = another();
    vm.check(&format!("assert(panotti.kv.get('a') and panotti.kv.get('small') == 1) {}", sets("b")));
    refused("c");
}

#[test]
fn events_meet_a_limit_of_their_bytes() {
    let vm = Vm::with(json!({}), |ctx, _| {
        (ctx.limits.emit_mib_per_s, ctx.limits.emit_burst_mib) = (1, 2);
        ctx.emit_bytes = ctx.quotas.emit_bytes(&ctx.limits);
    });
    vm.check(
        "local s = ('x'):rep(2^20 - 100)
        for i = 1, 100 do
            local ok, told = pcall(panotti.events.publish, 'kev.x', s)
            if not ok then
                for _, part in {'1 MiB a second', 'burst of 2 MiB', 'limits.emit_mib_per_s', 'limits.emit_burst_mib'} do
                    assert(told:find(part, 1, true), told)
                end
                return
            end
        end
        error('no limit')",
    );
    assert!(vm.call.is_marked(Mark::Limit) && vm.call.effects.lock().events.len() < 15);
    // Of the plugin, not of one VM.
    assert!(vm.ctx.quotas.emit_bytes(&vm.ctx.limits).take_many(2 << 20).is_none());
}

#[test]
fn one_call_cannot_write_without_end() {
    let vm = Vm::new(json!({}));
    vm.check("local s = ('x'):rep(2^20 - 9) assert(not pcall(function() for i = 1, 100 do panotti.kv.set('k', s) end end))");
    assert!(vm.call.is_marked(Mark::Limit));
}

#[test]
fn recordings_and_clips_are_made_by_the_services_of_the_product() {
    let vm = Vm::new(json!({"recordings": true, "clips": ["read", "write"]}));
    vm.check(
        "local recordings, clips = panotti.recordings, panotti.clips
        local r, err = recordings.create({id = 'r1', title = 'One', metadata = {a = 1, b = 2}})
        assert(r and r.id == 'r1' and r.status == 'active' and r.metadata.a == 1, err and err.message)
        assert(recordings.update('r1', {metadata = {b = panotti.json.null}}).metadata.b == nil)
        assert(recordings.get('r1').title == 'One' and recordings.list({status = 'active', q = 'One'}).total == 1)
        assert(recordings.list({status = 'completed', from = '2026-01-01T00:00:00Z'}).total == 0)
        r, err = recordings.get('r2') assert(r == nil and err.code == 'recording_not_found')
        r, err = recordings.create({titel = 'x'}) assert(r == nil and err.code == 'invalid', err and err.code)
        r, err = recordings.delete('r1') assert(r == nil and err.code == 'recording_active')
        local c, why = clips.create({title = 'Ace', file_path = '/x/y.mp4', tags = {'ace'}})
        assert(c and c.id == 1 and c.tags[1] == 'ace' and c.processed == false, why and why.message)
        assert(clips.update(1, {tags = {}}).tags[1] == nil and clips.get('1').title == 'Ace')
        assert(clips.list({q = 'ace', sort = '-title', page_size = 1}).items[1].id == 1 and clips.list({tags = {'no'}}).total == 0 and clips.list({tags = {}}).total == 1)
        assert(clips.delete(1) == true and select(2, clips.get(1)).code == 'clip_not_found')
        for _, f in {function() recordings.list({status = 'x'}) end, function() recordings.list({page = 0}) end,
            function() clips.get('a') end, function() clips.list({sort = 'x'}) end, function() recordings.create('x') end,
            function() recordings.list({from = 'yesterday'}) end} do assert(not pcall(f)) end",
    );
}

#[test]
fn what_is_not_permitted_is_not_there_and_says_what_to_ask_for() {
    let vm = Vm::new(json!({"recordings": ["read"]}));
    vm.check(
        "local ok, err = pcall(function() return panotti.recordings.create({}) end)
        assert(err:find(\"needs the permission 'recordings:write': add `permissions: { recordings: [write] }`\", 1, true), err)
        assert(panotti.recordings.list().total == 0)",
    );
    assert!(vm.call.is_marked(Mark::Denied));
}

#[test]
fn a_call_hears_the_files_it_is_about_and_no_others() {
    let vm = Vm::about(json!({}), |world| {
        let folder = world.recordings_dir();
        std::fs::write(folder.join("mine.wav"), wav()).unwrap();
        std::fs::write(folder.join("other.wav"), wav()).unwrap();
        std::fs::write(folder.join("text.wav"), "no audio").unwrap();
        json!({"id": "r1", "tracks": {
            "system": {"path": folder.join("mine.wav"), "origin": "client"},
            "text": {"path": folder.join("text.wav"), "origin": "client"},
            "outside": {"path": "/etc/hostname", "origin": "client"}}})
    });
    let folder = vm.world.recordings_dir().to_string_lossy().into_owned();
    vm.check(&format!(
        "local media, path = panotti.media, '{folder}/mine.wav'
        local p, err = media.probe(path)
        assert(p and p.codec == 'pcm_s16le' and p.duration == 2 and p.channels == 1 and p.frames == 16000, err and err.message)
        assert(#media.peaks(path, 10) == 10 and media.peaks(path, 2)[2].max > 0.5)
        local levels = media.envelope(path, 0.5)
        assert(#levels == 4 and levels[4] - levels[1] > 40)
        assert(media.loudness(path).duration == 2 and media.loudness(path).sample_peak < 0)
        local cut = media.cut(path, {{start = 1, finish = 1.5}})
        assert(cut.duration == 0.5 and media.probe(cut.path).frames == 4000 and media.cut(path, {{last = 1}}).start == 1)
        assert(select(2, media.cut(path, {{start = 5, finish = 6}})).code == 'out_of_range')
        assert(select(2, media.probe('{folder}/text.wav')).code == 'no_audio')
        assert(select(2, media.probe('/etc/hostname')).code == 'media_unavailable')
        assert(not pcall(media.peaks, path, 0) and not pcall(media.cut, path, {{start = 1}}) and not pcall(media.envelope, path, 0))"
    ));
    assert!(!vm.call.is_marked(Mark::Denied));
    vm.check(&format!("assert(not pcall(panotti.media.probe, '{folder}/other.wav'))"));
    assert!(vm.call.is_marked(Mark::Denied));
    vm.check("for _, p in {'../x', '/etc/passwd', panotti.plugin.name, ''} do assert(not pcall(panotti.media.probe, p)) end");
}

#[test]
fn a_clip_may_have_only_the_files_that_its_maker_hears() {
    let about = |permissions: Value| {
        Vm::about(
            permissions,
            |world| json!({"id": "r1", "tracks": {"mic": {"path": world.recordings_dir().join("mine.wav"), "origin": "client"}}}),
        )
    };
    let vm = about(json!({"clips": ["read", "write"]}));
    let folder = vm.world.recordings_dir().to_string_lossy().into_owned();
    vm.check(&format!(
        "local clips = panotti.clips
        local c, err = clips.create({{title = 'Mine', file_path = '{folder}/mine.wav'}})
        assert(c and c.id, err and err.message)
        assert(clips.create({{title = 'Elsewhere', file_path = '/srv/elsewhere.wav'}}).id)
        assert(clips.update(c.id, {{title = 'Still mine', file_path = '{folder}/mine.wav'}}).title == 'Still mine')"
    ));
    assert!(!vm.call.is_marked(Mark::Denied));
    vm.check(&format!(
        "local clips = panotti.clips
        for _, path in {{'other.wav', '{folder}/other.wav', '{folder}//sub/../other.wav'}} do
            for _, f in {{function() clips.create({{title = 'x', file_path = path}}) end, function() clips.update(1, {{file_path = path}}) end}} do
                local ok, err = pcall(f)
                assert(not ok and err:find(\"permission 'media'\", 1, true), err)
            end
        end
        assert(clips.list().total == 2 and clips.get(1).file_path == '{folder}/mine.wav')"
    ));
    assert!(vm.call.is_marked(Mark::Denied));
    let vm = about(json!({"clips": ["read", "write"], "media": true}));
    vm.check("assert(panotti.clips.create({title = 'x', file_path = 'other.wav'}).id)");
}

#[test]
fn sounds_are_made_and_heard_within_the_plugins_own_cuts() {
    let vm = Vm::about(json!({}), |world| {
        let path = world.recordings_dir().join("mine.wav");
        std::fs::write(&path, wav()).unwrap();
        json!({"id": "r1", "tracks": {"mic": {"path": path, "origin": "client"}}})
    });
    let folder = vm.world.recordings_dir().to_string_lossy().into_owned();
    vm.check(&format!(
        "local media, path = panotti.media, '{folder}/mine.wav'
        local quiet, err = media.denoise(path)
        assert(quiet and quiet.frames == 16000 and quiet.sample_rate == 8000 and quiet.channels == 1, err and err.message)
        assert(media.probe(quiet.path).frames == 16000 and quiet.size == 32044)
        local same = media.denoise(path, {{amount = 0}})
        local a, about = media.decode(path)
        local b = media.decode(same.path)
        assert(type(a) == 'buffer' and buffer.len(a) == 64000 and about.frames == 16000 and about.sample_rate == 8000)
        assert(buffer.tostring(a) == buffer.tostring(b))
        assert(math.abs(buffer.readf32(a, 4 * 8001) - math.sin(8001 * 0.3) * 20000 / 32768) < 0.001)
        local part, tells = media.decode(path, {{start = 1, duration = 0.5, sample_rate = 16000}})
        assert(buffer.len(part) == 32000 and tells.frames == 8000 and tells.sample_rate == 16000)
        local less = media.subtract(path, path, {{max_delay = 0.1}})
        assert(less.frames == 16000 and less.delay == 0 and less.reduction_db > 10, less.reduction_db)
        assert(media.subtract(quiet.path, path, {{delay = 0.01}}).delay == 0.01)
        assert(select(2, media.decode(path, {{start = 9}})).code == 'out_of_range')
        for _, f in {{function() media.denoise(path, {{amount = 2}}) end, function() media.denoise(path, {{amout = 1}}) end,
            function() media.subtract(path) end, function() media.subtract(path, path, {{delay = 1, max_delay = 1}}) end,
            function() media.subtract(path, path, {{delay = -6}}) end, function() media.decode(path, {{sample_rate = 1}}) end,
            function() media.decode(path, {{duration = 0}}) end}} do assert(not pcall(f)) end"
    ));
    assert!(!vm.call.is_marked(Mark::Denied) && !vm.call.is_marked(Mark::Limit));
    vm.check(&format!(
        "for _, f in {{panotti.media.denoise, panotti.media.decode, function(p) return panotti.media.subtract('{folder}/mine.wav', p) end}} do
            assert(not pcall(f, '{folder}/other.wav'))
        end"
    ));
    assert!(vm.call.is_marked(Mark::Denied));
}

#[test]
fn a_passage_that_is_too_long_for_a_buffer_meets_the_limit() {
    let vm = Vm::new(json!({"media": true}));
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 8,
        sample_format: hound::SampleFormat::Int,
    };
    let path = vm.world.recordings_dir().join("long.wav");
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    (0..5 << 20).for_each(|_| writer.write_sample(0_i8).unwrap());
    writer.finalize().unwrap();
    vm.check(
        "assert(buffer.len(panotti.media.decode('long.wav', {start = 600})) == (5 * 2^20 - 4800000) * 4)",
    );
    let told = RUNTIME
        .block_on(vm.lua.load("panotti.media.decode('long.wav')").exec_async())
        .unwrap_err()
        .to_string();
    for part in ["more than 4194304 samples", "16 MiB", "start and"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(vm.call.is_marked(Mark::Limit));
}

#[test]
fn with_the_permission_all_media_of_the_server_are_heard_and_nothing_else() {
    let vm = Vm::new(json!({"media": true}));
    std::fs::write(vm.world.recordings_dir().join("other.wav"), wav()).unwrap();
    vm.check(
        "assert(panotti.media.probe('other.wav').duration == 2)
        assert(select(2, panotti.media.probe('/etc/passwd')).code == 'media_unavailable')
        assert(select(2, panotti.media.probe('../data/test.db')).code == 'media_unavailable')",
    );
}
