-- LuaJIT inside nginx, SQLite through its FFI with prepared statements.
local ffi, cjson = require "ffi", require "cjson"
ffi.cdef [[
typedef struct sqlite3 sqlite3; typedef struct sqlite3_stmt sqlite3_stmt;
int sqlite3_open(const char*, sqlite3**); int sqlite3_busy_timeout(sqlite3*, int);
int sqlite3_exec(sqlite3*, const char*, void*, void*, char**);
int sqlite3_prepare_v2(sqlite3*, const char*, int, sqlite3_stmt**, const char**);
int sqlite3_bind_text(sqlite3_stmt*, int, const char*, int, void*); int sqlite3_bind_double(sqlite3_stmt*, int, double);
int sqlite3_step(sqlite3_stmt*); int sqlite3_reset(sqlite3_stmt*);
const char *sqlite3_column_text(sqlite3_stmt*, int); int sqlite3_column_bytes(sqlite3_stmt*, int);
double sqlite3_column_double(sqlite3_stmt*, int); long long sqlite3_last_insert_rowid(sqlite3*); const char *sqlite3_errmsg(sqlite3*);
]]
local S = ffi.load "libsqlite3.so.0"
local ROW, DONE = 100, 101
local TRANSIENT = ffi.cast("void*", -1)
local M = { hooks = {} }
local db, st
local function exec(q) assert(S.sqlite3_exec(db, q, nil, nil, nil) == 0, ffi.string(S.sqlite3_errmsg(db))) end
local function prep(q)
  local p = ffi.new "sqlite3_stmt*[1]"
  assert(S.sqlite3_prepare_v2(db, q, -1, p, nil) == 0, ffi.string(S.sqlite3_errmsg(db)))
  return p[0]
end
local function open()
  local p = ffi.new "sqlite3*[1]"
  assert(S.sqlite3_open(os.getenv "DB", p) == 0)
  db = p[0]
  S.sqlite3_busy_timeout(db, 30000)
  exec "PRAGMA journal_mode=WAL"
  exec "PRAGMA synchronous=FULL"
  exec [[CREATE TABLE IF NOT EXISTS clips(id INTEGER PRIMARY KEY, title TEXT NOT NULL, file_path TEXT NOT NULL,
  game_name TEXT, duration INTEGER, resolution TEXT, fps INTEGER, tags TEXT, clip_metadata TEXT,
  status TEXT NOT NULL DEFAULT 'pending', created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')));
CREATE TABLE IF NOT EXISTS recordings(id TEXT PRIMARY KEY, status TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT);
CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, type TEXT NOT NULL, timestamp TEXT NOT NULL, data TEXT);
INSERT OR IGNORE INTO clips(id,title,file_path,game_name,duration,resolution,fps,tags,clip_metadata) VALUES
 (1,'Epic Victory','/clips/epic_victory.mp4','Counter-Strike 2',45,'1920x1080',60,'["ace","clutch"]','{}')]]
  st = {
    get = prep "SELECT id,title,file_path,game_name,duration,resolution,fps,tags,clip_metadata,status,created_at FROM clips WHERE id=?",
    ins = prep "INSERT INTO clips(title,file_path,game_name,duration,resolution,fps,tags,clip_metadata) VALUES(?,?,?,?,?,?,?,?)",
    rs = prep "INSERT INTO recordings(id,status,started_at) VALUES(?,'active',strftime('%Y-%m-%dT%H:%M:%fZ'))",
    re = prep "UPDATE recordings SET status='completed', ended_at=strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id=?",
    ev = prep "INSERT INTO events(type,timestamp,data) VALUES(?,strftime('%Y-%m-%dT%H:%M:%fZ'),?)",
  }
end
local function bind(s, ...)
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    if type(v) == "number" then S.sqlite3_bind_double(s, i, v) else v = tostring(v) S.sqlite3_bind_text(s, i, v, #v, TRANSIENT) end
  end
end
local function run(s, ...)
  if not db then open() end
  s = st[s]
  bind(s, ...)
  local rc = S.sqlite3_step(s)
  S.sqlite3_reset(s)
  assert(rc == DONE, "sqlite")
end
local function fire(name, ...) for _, f in ipairs(M.hooks[name] or {}) do f(...) end end
M.fire = fire
function M.load()
  local env = setmetatable({
    on = function(n, f) M.hooks[n] = M.hooks[n] or {} table.insert(M.hooks[n], f) end,
    db_event = function(t, d) run("ev", t, d) end,
    sleep = function(s) ngx.sleep(s) end,
  }, { __index = _G })
  local function plugin(f) setfenv(assert(loadfile(f)), env)() end
  for f in (os.getenv "PLUGINS" or ""):gmatch "%S+" do plugin(f) end
end
function M.before() if M.hooks.before_request then fire("before_request", { method = ngx.req.get_method(), path = ngx.var.uri, headers = ngx.req.get_headers() }) end end
function M.after()
  if M.hooks.after_request then
    local r = { status = ngx.status, headers = {} }
    fire("after_request", r)
    for k, v in pairs(r.headers) do ngx.header[k] = v end
  end
end
local function str(s, i) return ffi.string(S.sqlite3_column_text(s, i), S.sqlite3_column_bytes(s, i)) end
function M.get_clip(id)
  if not db then open() end
  local s = st.get
  S.sqlite3_bind_double(s, 1, tonumber(id))
  if S.sqlite3_step(s) ~= ROW then S.sqlite3_reset(s) return ngx.exit(404) end
  local out = cjson.encode {
    id = tonumber(S.sqlite3_column_double(s, 0)), title = str(s, 1), file_path = str(s, 2), game_name = str(s, 3), duration = S.sqlite3_column_double(s, 4),
    resolution = str(s, 5), fps = S.sqlite3_column_double(s, 6), tags = cjson.decode(str(s, 7)), metadata = cjson.decode(str(s, 8)), status = str(s, 9), created_at = str(s, 10),
  }
  S.sqlite3_reset(s)
  ngx.print(out)
end
function M.post_clip()
  ngx.req.read_body()
  local c = cjson.decode(ngx.req.get_body_data())
  c.metadata = c.metadata or {}
  fire("on_clip_captured", c)
  run("ins", c.title, c.file_path, c.game_name, c.duration, c.resolution, c.fps, cjson.encode(c.tags), cjson.encode(c.metadata))
  c.id = tonumber(S.sqlite3_last_insert_rowid(db))
  ngx.status = 201
  ngx.print(cjson.encode(c))
end
local seq = 0
function M.start()
  seq = seq + 1
  local id = "rec_" .. ngx.worker.pid() .. "_" .. seq
  fire("before_recording_start", id)
  run("rs", id)
  ngx.status = 201
  ngx.print(cjson.encode { recording_id = id, status = "active" })
end
function M.finish(id)
  run("re", id)
  fire("after_recording_end", id)
  ngx.print(cjson.encode { recording_id = id, status = "completed" })
end
return M
