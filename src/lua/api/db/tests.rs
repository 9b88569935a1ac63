//! The database from inside of scripts.

use serde_json::json;

use crate::lua::api::tests::Vm;
use crate::lua::context::Mark;

fn vm() -> Vm {
    Vm::new(json!({ "db": true }))
}

#[test]
fn values_come_back_as_they_went_in() {
    vm().check(
        "local db = panotti.db
        assert(db.execute('CREATE TABLE t (a, b, c)'))
        local done = assert(db.execute('INSERT INTO t VALUES (?, ?, ?)', {true, 2^53, 0.5}))
        assert(done.changes == 1 and done.last_insert_id == 1)
        db.execute('INSERT INTO t VALUES (:x, :y, :z)', {x = 'ü', y = panotti.json.null, z = buffer.fromstring('\\255\\0')})
        db.execute('INSERT INTO t VALUES (?, ?, ?)', {[1] = 'a', [3] = '\\254'})
        local rows = assert(db.query('SELECT *, typeof(a) AS ta, typeof(b) AS tb, typeof(c) AS tc FROM t'))
        assert(#rows == 3 and rows[1].a == 1 and rows[1].b == 2^53 and rows[1].c == 0.5)
        assert(rows[1].ta == 'integer' and rows[1].tb == 'integer' and rows[1].tc == 'real')
        assert(rows[2].a == 'ü' and rows[2].b == nil and rows[2].c == '\\255\\0' and rows[2].tb == 'null' and rows[2].tc == 'blob')
        assert(rows[3].b == nil and rows[3].c == '\\254' and rows[3].tc == 'blob' and rows[3].ta == 'text')
        assert(db.query('SELECT 9007199254740993 AS n')[1].n == '9007199254740993')
        done = db.execute('UPDATE t SET a = 1 WHERE a = 1')
        assert(done.changes == 1 and done.last_insert_id == nil)
        assert(db.query('INSERT INTO t VALUES (1, 2, 3) RETURNING rowid AS id')[1].id == 4)
        assert(db.execute('DELETE FROM t').changes == 4 and #db.query('SELECT * FROM t') == 0)",
    );
}

#[test]
fn misuse_raises_and_names_the_parameter() {
    let vm = vm();
    vm.check(
        "local db = panotti.db
        local function raises(text, ...)
            local ok, why = pcall(...)
            assert(not ok and why:find(text, 1, true), tostring(why))
        end
        raises('argument 2 (params[2]) cannot be bound: it is a function', db.query, 'SELECT ?, ?', {1, print})
        raises('argument 2 (params.tags) cannot be bound: it is a table', db.query, 'SELECT :tags', {tags = {}})
        raises('params[1]) is not a number', db.query, 'SELECT ?', {0/0})
        raises('the statement has 1 parameter, params has 2 values', db.query, 'SELECT ?', {1, 2})
        raises('the statement has 2 parameters, params has 1 value; a nil', db.query, 'SELECT ?, ?', {1, nil})
        raises('the statement has 3 parameters, params has 2 values', db.execute, 'SELECT ?3, ?1', {1, 2})
        raises('the statement has 0 parameters, params has 1 value', db.query, 'SELECT 1', {1})
        assert(db.query('SELECT ?1 + ?1 AS n', {2})[1].n == 4)
        assert(db.query('SELECT ? IS NULL AS n, ? IS NULL AS m', {nil, 2})[1].n == 1)
        assert(db.query('SELECT ? + 0 AS n, ? IS NULL AS m', {1, panotti.json.null})[1].m == 1)
        assert(db.query('SELECT :a + 0 AS n, :b IS NULL AS m', {a = 1, b = nil})[1].m == 1)
        assert(#db.query('SELECT 1', {}) == 1)
        raises('no parameter named b', db.query, 'SELECT :a', {b = 1})
        raises('params is missing', db.query, 'SELECT ?')
        raises('mixes a list with named values', db.query, 'SELECT ?', {1, a = 2})
        raises('takes one statement', db.query, 'SELECT 1; SELECT 2')
        raises('the statement is empty', db.query, ' -- nothing')
        raises('argument 1 (sql) must be a string, got nil', db.query)
        raises('argument 1 (fn) must be a function, got nil', db.transaction)
        raises(\"has no function 'qury' (did you mean 'query'?)\", function() return db.qury end)
        local rows, err = db.query('SELEKT 1')
        assert(rows == nil and err.code == 'sql' and err.message:find('syntax error'), err.message)
        db.execute('CREATE TABLE t (a UNIQUE, b)') db.execute('INSERT INTO t VALUES (1, NULL)')
        local _, err = db.execute('INSERT INTO t VALUES (1, NULL)')
        assert(err.code == 'constraint' and err.message:find('UNIQUE'), err.message)
        assert(#db.query('SELECT 1; -- and a comment') == 1)",
    );
    assert!(!vm.call.is_marked(Mark::Denied) && !vm.call.is_marked(Mark::Limit));
}

#[test]
fn without_the_permission_it_is_not_there() {
    let vm = Vm::new(json!({}));
    vm.check(
        "local ok, why = pcall(function() return panotti.db.query end)
        assert(why:find(\"panotti.db.query needs the permission 'db'\", 1, true), why)",
    );
    assert!(vm.call.is_marked(Mark::Denied));
    assert!(!vm.world.services.settings.data_dir.join("plugins").exists());
}

/// What a statement is refused with, each in a call of its own.
fn refused(setup: &str, sql: &str, mark: Mark, code: &str) {
    let vm = vm();
    vm.check(setup);
    vm.check(&format!(
        "local rows, err = panotti.db.query({sql})
        assert(rows == nil and err.code == '{code}', err and err.code .. ' ' .. err.message or 'it was allowed')"
    ));
    assert!(vm.call.is_marked(mark), "{sql}");
    vm.check("assert(panotti.db.query('SELECT 1 AS n')[1].n == 1)");
}

#[test]
fn what_is_not_the_plugins_own_is_denied() {
    let setup = "local db = panotti.db
        db.execute('CREATE TABLE kv (k, v)')
        db.execute('CREATE TRIGGER t AFTER INSERT ON kv BEGIN UPDATE kv SET v = 1; END')";
    for sql in [
        "[[PRAGMA writable_schema = ON]]",
        "[[PRAGMA journal_mode = OFF]]",
        "[[PRAGMA main.max_page_count = 1000000]]",
        "[[PRAGMA user_version = 3]]",
        "[[VACUUM INTO '/srv/copy.db']]",
        "[[VACUUM]]",
        "[[ATTACH '/etc/passwd' AS p]]",
        "[[/* x */ DETACH main]]",
        "[[SELECT * FROM api_tokens]]",
        "[[SELECT * FROM main.recordings]]",
        "[[SELECT secret_hash FROM tokens]]",
        "[[UPDATE sqlite_master SET sql = 'x']]",
        "[[INSERT INTO sqlite_schema VALUES (1, 2, 3, 4, 5)]]",
        "[[BEGIN]]",
        "[[COMMIT]]",
        "[[SAVEPOINT x]]",
        "[[SELECT load_extension('/tmp/x.so')]]",
        "[[SELECT fts3_tokenizer('simple')]]",
        "[[CREATE VIRTUAL TABLE f USING fts4(x)]]",
        "[[CREATE VIRTUAL TABLE f USING csv(filename = '/etc/passwd')]]",
        "[[CREATE TEMP TABLE x (a)]]",
        "[[CREATE TABLE temp.x (a)]]",
        "[[CREATE TABLE _panotti_migrations (a)]]",
        "[[CREATE TRIGGER _panotti_events_insert AFTER INSERT ON kv BEGIN SELECT 1; END]]",
        "[[SELECT _panotti_publish('a.b', '1')]]",
        "[[ANALYZE]]",
        "[[SELECT 1 FROM pragma_writable_schema]]",
        "[[SELECT json_patch('{}', '{}')]]",
    ] {
        refused(setup, sql, Mark::Denied, "denied");
    }
}

#[test]
fn what_is_too_long_too_large_or_too_many_meets_a_limit() {
    let setup = "panotti.db.execute('CREATE TABLE kv (k, v)')";
    for sql in [
        "[[WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c]]",
        "[[WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100000000) SELECT group_concat(x) FROM c]]",
        "[[WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 10001) SELECT x FROM c]]",
        "[[SELECT printf('%2000000000d', 1)]]",
        "[[SELECT zeroblob(600000) AS a, zeroblob(600000) AS b]]",
        "'SELECT ' .. string.rep('(', 2000) .. '1' .. string.rep(')', 2000)",
        "'SELECT 1' .. string.rep(' + 1', 2000)",
        "'SELECT 1' .. string.rep(' UNION SELECT 1', 200)",
        "'SELECT ' .. string.rep('1, ', 300) .. '1'",
        "'SELECT \\'' .. string.rep('x', 2^20) .. '\\''",
        "'SELECT 1 WHERE 1 LIKE \\'' .. string.rep('%', 300) .. '\\''",
        "[[WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) INSERT INTO kv SELECT x, randomblob(100000) FROM c]]",
        "[[WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT hex(x) FROM c ORDER BY 1]]",
    ] {
        refused(setup, sql, Mark::Limit, "limit");
    }
    let vm = vm();
    vm.check(setup);
    vm.check(
        "local _, err = panotti.db.query('WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 10001) SELECT x FROM c')
        assert(err.message:find('10000 rows (limits.db_rows = 10000)', 1, true), err.message)
        assert(#panotti.db.query('WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 10000) SELECT x FROM c') == 10000)
        -- A write whose answer is too large is taken back.
        local many = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 10001) INSERT INTO kv SELECT x, 1 FROM c RETURNING k'
        assert(panotti.db.query(many) == nil and panotti.db.query('SELECT count(*) AS n FROM kv')[1].n == 0)",
    );
}

#[test]
fn harmless_looks_search_tables_and_triggers_work() {
    let vm = vm();
    vm.check(
        "local db = panotti.db
        assert(db.execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)'))
        assert(#db.query('PRAGMA table_info(notes)') == 2 and #db.query('SELECT * FROM pragma_table_xinfo(?)', {'notes'}) == 2)
        assert(db.query('PRAGMA user_version')[1].user_version == 0)
        assert(db.execute('CREATE VIRTUAL TABLE found USING fts5(body)'))
        assert(db.execute('CREATE TRIGGER t AFTER INSERT ON notes BEGIN INSERT INTO found VALUES (new.body); END'))
        assert(db.execute('INSERT INTO notes (body) VALUES (?)', {'the quick brown fox'}))
        assert(#db.query('SELECT * FROM found WHERE found MATCH ?', {'quick'}) == 1)
        local _, err = db.execute('DELETE FROM found_data')
        assert(err.code == 'denied', err.message)
        assert(db.execute('DROP TABLE found'))
        assert(db.execute('ALTER TABLE notes ADD COLUMN tag TEXT') and db.execute('CREATE INDEX i ON notes (tag)'))
        assert(db.execute('CREATE VIEW v AS SELECT body FROM notes') and db.execute('DROP VIEW v'))
        assert(db.query(\"SELECT name FROM sqlite_schema WHERE type = 'index'\")[1].name == 'i')
        assert(db.execute('CREATE VIRTUAL TABLE r USING rtree(id, a, b)') and db.execute('INSERT INTO r VALUES (1, 0, 1)'))",
    );
}

#[test]
fn functions_that_nothing_stops_take_linear_time_and_answer_as_sqlites_do() {
    vm().check(
        "local function value(sql, params) local rows, err = panotti.db.query('SELECT ' .. sql .. ' AS v', params) assert(rows, err and err.message) return rows[1].v end
        assert(value(\"instr('aüb', 'b')\") == 3 and value(\"instr('a', 'b')\") == 0 and value(\"instr(NULL, 'b')\") == nil)
        assert(value(\"instr(x'c3bc62', x'62')\") == 3 and value('instr(1234, 34)') == 3 and value(\"instr('a', '')\") == 1)
        assert(value(\"replace('a-b-c', '-', '+')\") == 'a+b+c' and value(\"replace('a', '', 'x')\") == 'a' and value('replace(121, 1, 3)') == '323')
        assert(value(\"trim('xxaxx', 'x')\") == 'a' and value(\"ltrim('xya', 'yx')\") == 'a' and value(\"rtrim('aü', 'ü')\") == 'a' and value(\"trim('  a ')\") == 'a')
        local long = string.rep('a', 500000)
        assert(value('instr(?, ?)', {long .. long, long .. 'b'}) == 0)
        assert(value('length(trim(?, ?))', {long, 'b' .. long}) == 0)",
    );
}
