//! A plugin's own database under real generations: transactions, kills, turns, events, migrations.

use crate::lua::permission::Permissions;
use crate::model::call::{Caller, Effects, Emitted, Outcome, PluginEffects};

use super::*;

/// A plugin that may use its database.
pub(super) fn with_db(files: &[(&str, &str)], limits: Value) -> PluginSource {
    let permissions: Permissions =
        serde_json::from_value(json!({ "db": true, "events": ["recording"] })).unwrap();
    PluginSource { permissions, ..plugin(files, limits) }
}

impl Bench {
    fn load_db(&self, source: &str, limits: Value) -> Arc<Generation> {
        self.load_source(with_db(&[("init.lua", source)], limits)).unwrap_or_else(|it| panic!("{}", it.fault))
    }

    fn load_source(&self, source: PluginSource) -> Result<Arc<Generation>, CallFailure> {
        self.runtime.block_on(self.host.load(source))
    }

    /// What an expression of Lua is, as a field of a patch.
    fn value(&self, generation: &Generation, wanted: &str) -> Value {
        self.patch(generation, json!({ "title": wanted }))["title"].clone()
    }
}

/// Runs the script in the title of the clip: it stands in a table of functions.
const DO: &str = "
local db = panotti.db
local todo = {}
panotti.on.on_clip_captured(function(clip) return { title = todo[clip.title](clip) } end)
function todo.count() return tostring(db.query('SELECT count(*) AS n FROM t')[1].n) end
db.execute('CREATE TABLE IF NOT EXISTS t (a)')
";

#[test]
fn a_transaction_commits_on_return_and_is_taken_back_on_error() {
    let bench = Bench::new();
    let source = format!(
        "{DO}
        function todo.commit()
            return select('#', db.transaction(function()
                assert(db.execute('INSERT INTO t VALUES (1)'))
                assert(db.query('SELECT count(*) AS n FROM t')[1].n == 1)
                return 'a', nil, nil
            end))
        end
        function todo.raise()
            local ok, why = pcall(db.transaction, function()
                db.execute('INSERT INTO t VALUES (2)')
                error({{ code = 'mine' }})
            end)
            return why.code
        end
        function todo.nested()
            db.transaction(function()
                db.execute('INSERT INTO t VALUES (3)')
                pcall(db.transaction, function() db.execute('INSERT INTO t VALUES (4)') error('no') end)
                db.transaction(function() db.execute('INSERT INTO t VALUES (5)') end)
                db.execute('INSERT INTO t VALUES (nosuch)')
            end)
            local list = {{}}
            for _, row in db.query('SELECT a FROM t ORDER BY a') do list[#list + 1] = tostring(row.a) end
            return table.concat(list, ' ')
        end
        function todo.waits()
            local ok, why = pcall(db.transaction, function() panotti.sleep(0) end)
            assert(not ok)
            panotti.sleep(0)
            return why
        end
        function todo.inner()
            return tostring(db.transaction(coroutine.wrap(function()
                db.execute('INSERT INTO t VALUES (6)')
                return 'in a coroutine'
            end)))
        end
        function todo.order()
            local co = coroutine.create(function() db.transaction(function() coroutine.yield() end) end)
            coroutine.resume(co)
            local ok, why = pcall(db.transaction, function() coroutine.resume(co) end)
            return tostring(why or ok)
        end"
    );
    let plugin = bench.load_db(&source, json!({}));
    assert_eq!(bench.value(&plugin, "commit"), 3);
    assert_eq!(bench.value(&plugin, "raise"), "mine");
    assert_eq!(bench.value(&plugin, "count"), "1");
    assert_eq!(bench.value(&plugin, "nested"), "1 3 5");
    let why = bench.value(&plugin, "waits");
    assert!(
        why.as_str().unwrap().contains("panotti.sleep: waits, and inside of panotti.db.transaction"),
        "{why}"
    );
    assert_eq!(bench.value(&plugin, "inner"), "in a coroutine");
    assert_eq!(bench.value(&plugin, "count"), "4");
    let why = bench.value(&plugin, "order");
    assert!(why.as_str().unwrap().contains("is over"), "{why}");
    assert_eq!(bench.value(&plugin, "count"), "4");
}

#[test]
fn a_call_that_is_killed_inside_of_a_transaction_leaves_nothing_behind_and_its_turn_goes_on() {
    let bench = Bench::new();
    let source = format!(
        "{DO}
        function todo.spin() db.transaction(function() db.execute('INSERT INTO t VALUES (1)') while true do pcall(function() end) end end) end
        function todo.slow()
            db.transaction(function()
                db.execute('INSERT INTO t VALUES (1)')
                while true do db.query('SELECT 1') end
            end)
        end
        function todo.swallow() pcall(todo.slow) pcall(todo.slow) end"
    );
    let limits = json!({ "question_cpu_ms": 100, "question_wall_ms": 400 });
    let plugin = bench.load_db(&source, limits);
    for wanted in ["spin", "slow", "swallow"] {
        let ended = bench.ask(&plugin, Hook::OnClipCaptured, json!({ "title": wanted })).unwrap_err();
        assert_eq!(ended.outcome, Outcome::Deadline, "{wanted}: {}", ended.fault);
        let counted = bench.ask(&plugin, Hook::OnClipCaptured, json!({ "title": "count" }));
        assert_eq!(patch_of(counted.unwrap())["title"], "0", "{wanted}");
    }
}

#[test]
fn a_commit_that_fails_and_a_file_that_is_full_are_told_and_leave_nothing_half_done() {
    let bench = Bench::new();
    let source = format!(
        "{DO}
        db.execute('CREATE TABLE child (p REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)')
        db.execute('CREATE TABLE parent (id INTEGER PRIMARY KEY)')
        function todo.orphan()
            local done, err = db.transaction(function() assert(db.execute('INSERT INTO child VALUES (7)')) return true end)
            assert(done == nil and err.code == 'constraint' and #db.query('SELECT * FROM child') == 0)
            return err.message
        end
        function todo.fill()
            local failed
            local done, err = db.transaction(function()
                for i = 1, 100 do
                    local inserted, why = db.execute('INSERT INTO t VALUES (zeroblob(100000))')
                    if not inserted then failed = why break end
                end
                return true
            end)
            assert(failed.code == 'limit' and failed.message:find('limits.db_mib = 1', 1, true), failed.message)
            local kept = db.query('SELECT count(*) AS n FROM t')[1].n
            assert((kept > 0) == (done == true), 'committed in part')
            return err and err.message or 'committed what fitted'
        end"
    );
    let plugin = bench.load_db(&source, json!({ "db_mib": 1, "question_wall_ms": 20000 }));
    let orphan = bench.value(&plugin, "orphan");
    assert!(orphan.as_str().unwrap().contains("FOREIGN KEY"), "{orphan}");
    let told = bench.value(&plugin, "fill");
    assert!(["rolled back", "committed"].iter().any(|it| told.as_str().unwrap().contains(it)), "{told}");
}

fn patch_of(reply: Reply) -> Value {
    match reply.answer {
        Answer::Patch(patch) => Value::Object(patch),
        other => panic!("no patch: {other:?}"),
    }
}

#[test]
fn a_part_of_a_call_that_is_dropped_gives_its_transaction_back_and_others_may_wait_meanwhile() {
    let bench = Bench::new();
    let source = format!(
        "{DO}
        function todo.gather()
            local ok, why = pcall(panotti.task.gather,
                function() db.transaction(function()
                    db.execute('INSERT INTO t VALUES (1)')
                    for i = 1, 1000000 do db.query('SELECT 1') end
                end) end,
                function() panotti.sleep(0.05) error('enough') end)
            assert(not ok)
            return todo.count()
        end
        function todo.both()
            local a, b = panotti.task.gather(
                function() return db.transaction(function() db.execute('INSERT INTO t VALUES (1)') return db.query('SELECT count(*) AS n FROM t')[1].n end) end,
                function() return db.transaction(function() db.execute('INSERT INTO t VALUES (1)') return db.query('SELECT count(*) AS n FROM t')[1].n end) end)
            return a + b
        end
        function todo.task()
            local task
            db.transaction(function()
                task = panotti.task.spawn(function() return db.query('SELECT count(*) AS n FROM t')[1].n end)
                db.execute('INSERT INTO t VALUES (3)')
                db.execute('INSERT INTO t VALUES (3)')
            end)
            return tostring(task:join())
        end"
    );
    let plugin = bench.load_db(&source, json!({}));
    assert_eq!(bench.value(&plugin, "gather"), "0");
    assert_eq!(bench.value(&plugin, "both"), 3);
    assert_eq!(bench.value(&plugin, "task"), "4");
}

#[test]
fn many_calls_at_once_take_turns_and_lose_nothing() {
    let bench = Bench::new();
    let source = format!(
        "{DO}
        db.execute('INSERT INTO t VALUES (0)')
        function todo.more() db.transaction(function()
            local n = db.query('SELECT a FROM t')[1].a
            db.execute('UPDATE t SET a = ?', {{ n + 1 }})
        end) return 'done' end
        function todo.read() return tostring(db.query('SELECT a FROM t')[1].a) end"
    );
    let plugin = bench.load_db(&source, json!({ "instances": 2, "question_wall_ms": 20000 }));
    bench.runtime.block_on(async {
        let calls =
            (0..50).map(|_| plugin.call(call(&plugin, Hook::OnClipCaptured, json!({ "title": "more" }))));
        for reply in futures_util::future::join_all(calls).await {
            assert_eq!(patch_of(reply.unwrap())["title"], "done");
        }
    });
    assert_eq!(bench.value(&plugin, "read"), "50");
}

#[test]
fn events_told_by_sql_meet_the_limit_of_their_bytes() {
    let bench = Bench::new();
    let source = "panotti.on.on_clip_captured(function()
        local data = panotti.json.encode(('x'):rep(900 * 1024))
        for _ = 1, 100 do
            local _, err = panotti.db.execute('INSERT INTO events (type, timestamp, data) VALUES (?, ?, ?)', { 'big', '', data })
            if err then return { title = err.code .. ': ' .. err.message } end
        end
    end)";
    let plugin = bench.load_db(source, json!({ "emit_mib_per_s": 1, "emit_burst_mib": 2 }));
    let reply = bench.ask(&plugin, Hook::OnClipCaptured, json!({ "title": "" })).unwrap();
    assert_eq!(reply.outcome, Outcome::Limit);
    assert!((2..15).contains(&reply.effects.events.len()), "{}", reply.effects.events.len());
    let told = patch_of(reply)["title"].as_str().unwrap().to_owned();
    assert!(told.starts_with("limit: ") && told.contains("limits.emit_burst_mib"), "{told}");
}

#[test]
fn the_table_events_shows_the_journal_and_inserts_reach_it() {
    let bench = Bench::new();
    let source = "
        local db, json = panotti.db, panotti.json
        panotti.on.on_clip_captured(function(clip)
            local sql = 'INSERT INTO events (type, timestamp, data) VALUES (?, ?, ?)'
            if clip.title == 'insert' then
                local done, err = db.execute(sql, { 'plugin_event', '2025-01-25T10:00:00', json.encode({ plugin = 'quiet' }) })
                assert(done, err and err.message)
                assert(done.changes == 1)
                pcall(db.transaction, function() db.execute(sql, { 'never', '', '1' }) error('no') end)
                db.transaction(function()
                    pcall(db.transaction, function() db.execute(sql, { 'never', '', '2' }) error('no') end)
                    db.execute(sql, { 'in_transaction', '', '3' })
                end)
            elseif clip.title == 'wrong' then
                local _, err = db.execute(sql, { 'Not A Type', '', '{}' })
                return { title = err.code .. ': ' .. err.message }
            elseif clip.title == 'reserved' then
                local _, err = db.execute(sql, { 'clip.created', '', '{}' })
                return { title = err.code .. ': ' .. err.message }
            elseif clip.title == 'delete' then
                local _, err = db.execute('DELETE FROM events')
                return { title = err.code }
            elseif clip.title == 'own' then
                db.execute('CREATE TABLE events (mine)')
                db.execute('INSERT INTO events VALUES (1)')
                return { title = tostring(db.query('SELECT mine FROM events')[1].mine) }
            elseif clip.title == 'spelling' then
                local rows = db.query('SELECT * FROM events WHERE type = ?', { 'Recording Started' })
                return { title = #rows .. ' ' .. rows[1].type }
            end
            local rows = db.query('SELECT * FROM events WHERE type = ? ORDER BY id', { 'plugin_event' })
            return { title = #rows .. ' ' .. tostring(rows[#rows] and json.decode(rows[#rows].data).plugin) .. ' ' .. #(rows[1] or { timestamp = '' }).timestamp }
        end)";
    let plugin = bench.load_db(source, json!({}));
    assert_eq!(bench.value(&plugin, "read"), "0 nil 0");
    let ask = |title: &str| bench.ask(&plugin, Hook::OnClipCaptured, json!({ "title": title }));
    let inserted = ask("insert").unwrap();
    let kinds: Vec<_> = inserted.effects.events.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(kinds, ["plugin_event", "in_transaction"]);
    bench.commit(inserted.effects);
    bench.tell("recording.started");
    let read = bench.value(&plugin, "read");
    assert!(read.as_str().unwrap().starts_with("1 quiet 2"), "{read}");
    assert_eq!(bench.value(&plugin, "spelling"), "1 recording.started");
    let wrong = bench.value(&plugin, "wrong");
    assert!(wrong.as_str().unwrap().starts_with("sql: the type of an event must be words"), "{wrong}");
    let reserved = ask("reserved").unwrap();
    assert_eq!((reserved.outcome, reserved.effects.events.len()), (Outcome::Denied, 0));
    let told = patch_of(reserved)["title"].clone();
    assert!(
        told.as_str().unwrap().starts_with("denied: an event of the type 'clip.created' needs"),
        "{told}"
    );
    assert_eq!(bench.value(&plugin, "delete"), "denied");
    assert_eq!(bench.value(&plugin, "own"), "1");
}

impl Bench {
    /// Writes what a call left behind, as the host does.
    fn commit(&self, effects: Effects) {
        let effects = vec![PluginEffects { plugin: "quiet".into(), effects }];
        let services = &self._world.services;
        self.runtime.block_on(services.commit_effects(effects, &Caller::server())).unwrap();
    }

    /// Puts an event on the journal.
    fn tell(&self, kind: &str) {
        let event = Emitted { kind: kind.to_owned(), data: json!({}).into(), ..Emitted::default() };
        self.commit(Effects { events: vec![event], ..Effects::default() });
    }
}
