---@meta

--- What went wrong in the world: `nil, err` instead of a raised error.
---@class Failure
---@field code string A stable code, such as `clip_not_found`.
---@field message string One sentence.

--- The second argument of every hook: what led to this call.
---@class Ctx
---@field hook string The hook's name, or `event`.
---@field plugin string The plugin's own name.
---@field generation number Counts up with every load of the plugin.
---@field event_id string? The event that is delivered.
---@field correlation_id string? Shared by all that one request set off.
---@field causation_id string? The event or request right before this.
---@field source string Who set it off: `http`, `plugin/<name>`, `journal`, `server`.
---@field attempt number Which try this is, from 1.
---@field replay boolean A past event is played again.
---@field deadline number? When the call must be over, in seconds since 1970.
---@field request_id string? The HTTP request that began it.
---@field changed string[]? Of on_config_changed: the keys whose values are others now.

--- How a hook is to be called.
---@class HookOptions
---@field priority number? Higher runs earlier; 0 without it.
---@field before string[]? Plugins that must come after this one.
---@field after string[]? Plugins that must come before this one.
---@field timeout number? Seconds; at most the plugin's limit.
---@field on_error string? `allow` (without it) or `deny`: what an error of this hook means; of before-hooks only.
---@field when table<string, any>? Only what fits: field = value, or field = { min, max, one_of, prefix }.

--- What a registration gives back.
---@class Registered
---@field off fun(self: Registered) Takes the registration back.

--- A file of a recording.
---@class Track
---@field path string Its file, as `panotti.media` takes it.
---@field size number Bytes.
---@field duration number? Seconds.
---@field codec string? Such as `pcm_s16le`, `flac`, `aac`.
---@field sample_rate number? Samples a second.
---@field channels number? How many channels.
---@field sha256 string? Of the whole file, in hex.

--- The `app` that hooks are given.
---@class App
---@field version string the server's version
---@field data_dir string the server's data folder
---@field plugins string[] names of the plugins that run

--- The `request` that hooks are given.
---@class Request
---@field id string the request id
---@field method string GET, POST, …
---@field path string the path as sent
---@field query string the query as sent, without the question mark
---@field headers table<string, string> lower-case names; secrets removed
---@field remote string? the client's address

--- The `response` that hooks are given.
---@class Response
---@field status number the HTTP status
---@field headers table<string, string> lower-case names
---@field duration number seconds since the request came
---@field request Request what was asked

--- The `recording` that hooks are given.
---@class Recording
---@field id string 1 to 128 characters
---@field title string? what people call it
---@field status string active or completed
---@field started_at string RFC 3339, UTC
---@field ended_at string? RFC 3339, UTC
---@field duration number? seconds
---@field tracks table<string, Track> by name
---@field metadata table<string, any> free JSON
---@field start_missing boolean whether its start was never told
---@field created_at string RFC 3339, UTC
---@field updated_at string RFC 3339, UTC

--- The `clip` that hooks are given.
---@class Clip
---@field id number counts up from 1
---@field title string 1 to 255 characters
---@field file_path string where the media lies
---@field recording_id string? the recording it was cut from
---@field description string? free text
---@field game_name string? up to 255 characters
---@field game_id string? up to 255 characters
---@field tags string[] labels
---@field metadata table<string, any> free JSON
---@field file_size number? bytes
---@field duration number? seconds
---@field resolution string? such as 1920x1080
---@field fps number? frames a second
---@field codec string? such as h264 or pcm_s16le
---@field recorded_at string? RFC 3339, UTC
---@field processed boolean whether processing is done
---@field processing_status string pending, processing, completed or failed
---@field provenance table<string, any> which plugin changed which field, and when
---@field created_at string RFC 3339, UTC
---@field updated_at string RFC 3339, UTC

--- The hooks a plugin may register, each with what it is given.
---@class Panotti_hooks
---@field on_startup fun(fn: fun(app: App, ctx: Ctx): ...any, opts?: HookOptions): Registered Once, after the database is open and all plugins are loaded; also when the plugin is enabled later.
---@field on_shutdown fun(fn: fun(app: App, ctx: Ctx): ...any, opts?: HookOptions): Registered Once, while the database is still open, in reverse order; also when the plugin is disabled.
---@field on_load fun(fn: fun(state: any, ctx: Ctx): ...any, opts?: HookOptions): Registered After the chunk has run and before any hook, with what the former generation's on_unload returned (nil at first).
---@field on_unload fun(fn: fun(ctx: Ctx): ...any, opts?: HookOptions): Registered Before the plugin is let go; returns a snapshot (JSON, at most 1 MiB) for the next generation and tears nothing down. Of several instances the first one's goes to all.
---@field on_config_changed fun(fn: fun(config: table<string, any>, ctx: Ctx): ...any, opts?: HookOptions): Registered When values of the plugin's config change, before they are stored; the argument is the new, checked config. An error refuses it: the old values stay, and it is called with them.
---@field health fun(fn: fun(ctx: Ctx): ...any, opts?: HookOptions): Registered Every 30 seconds; returns ok, message, details.
---@field before_request fun(fn: fun(request: Request, ctx: Ctx): ...any, opts?: HookOptions): Registered Before routing, also for requests that will be 401 or 404; may refuse, answer, or patch headers.
---@field after_request fun(fn: fun(response: Response, ctx: Ctx): ...any, opts?: HookOptions): Registered When status and headers are known and before the first byte, errors included; may patch headers.
---@field before_recording_start fun(fn: fun(recording: Recording, ctx: Ctx): ...any, opts?: HookOptions): Registered Before a recording is stored; may refuse, or patch title and metadata.
---@field after_recording_end fun(fn: fun(recording: Recording, ctx: Ctx): ...any, opts?: HookOptions): Registered After a recording has ended, from the journal.
---@field on_clip_captured fun(fn: fun(clip: Clip, ctx: Ctx): ...any, opts?: HookOptions): Registered While a clip is being created; what it changes is stored in the same transaction.
---@field on_clip_processed fun(fn: fun(clip: Clip, ctx: Ctx): ...any, opts?: HookOptions): Registered Exactly when processed goes from false to true; what it changes is stored in the same transaction.
---@field on_clip_updated fun(fn: fun(clip: Clip, ctx: Ctx): ...any, opts?: HookOptions): Registered After a clip was changed, from the journal.
---@field on_clip_deleted fun(fn: fun(clip: Clip, ctx: Ctx): ...any, opts?: HookOptions): Registered After a clip was deleted, from the journal, with the clip as it was.

--- `panotti.on.<hook>(fn, opts)`; `panotti.on(name, fn, opts)` for a computed name.
---@class Panotti_on : Panotti_hooks
---@overload fun(name: string, fn: fun(...: any): ...any, opts?: HookOptions): Registered

--- What `panotti.deny` gives: to be returned, as it is.
---@alias Denial any

--- What `panotti.respond` gives: to be returned, as it is.
---@alias Answer any

--- What stands in `panotti` itself.
---@class Panotti_top
---@field version string The server's version.
---@field plugin { name: string, version: string, generation: number } This plugin.
---@field config table<string, any> The plugin's config, read-only and always up to date.
local top = {}

--- Returned by a before-hook, refuses what it was asked about; the reason is shown to the client. `opts.status`
--- is 400 to 499, else 422. Raises where nothing can be refused.
---
--- ```lua
--- panotti.on.before_recording_start(function(recording)
--- 	if recording.title == "Private" then
--- 		return panotti.deny("private meetings are not recorded", { status = 403 })
--- 	end
--- end)
--- ```
---@param reason string
---@param opts? { status: number? }
---@return Denial
function top.deny(reason, opts) end

--- Returned by before_request, answers in the server's place: status 200 to 599, headers, and json or body.
---
--- ```lua
--- panotti.on.before_request(function(request)
--- 	if request.path == "/ping" then
--- 		return panotti.respond({ status = 200, json = { pong = true } })
--- 	end
--- end)
--- ```
---@param response { status: number?, headers: table<string, string>?, json: any?, body: string? }
---@return Answer
function top.respond(response) end

--- Waits, without holding a thread.
--- May wait.
---
--- ```lua
--- panotti.sleep(0.01)
--- ```
---@param seconds number
function top.sleep(seconds) end

--- A task that was started.
---@class Task
---@field join fun(self: Task, timeout?: number): ...any Waits until it has ended, or for `timeout` seconds. Returns what its function returned; nil and the failure when it failed, was cancelled (`cancelled`) or is not done in time (`timeout`).
---@field cancel fun(self: Task): boolean Stops it; false when it had ended before.

--- What one function of gather_settled came to.
---@class Settled
---@field ok boolean Whether it returned.
---@field value any? What it returned.
---@field error string? What it raised.

--- A lock between the hooks and tasks of this plugin.
---@class Mutex
---@field with fun(self: Mutex, fn: fun(): ...any): ...any Waits until nobody else is in `fn`, runs it and returns what it returned.

--- A bounded number of places.
---@class Semaphore
---@field with fun(self: Semaphore, fn: fun(): ...any): ...any Waits for a place, runs `fn` in it and returns what it returned.

--- Work at the same time, and work that outlives the hook.
---@class Panotti_task
local task = {}

--- Starts `fn(...)` as a call of its own: own budget, the same ctx; what it writes commits when it ends. Raises when
--- the plugin has too many calls in flight. When the plugin is loaded anew, tasks of the old version may go on for
--- 30 s and are cancelled then: begin what is to go on for ever again in `on_load`.
---
--- ```lua
--- local task = panotti.task.spawn(function(id)
--- 	panotti.sleep(0.01)
--- 	return "done with " .. id
--- end, recording.id)
--- local answer = task:join(5)
--- ```
---@param fn fun(...: any): ...any
---@param ... any
---@return Task
function task.spawn(fn, ...) end

--- The same after `seconds`. Raises when the plugin has too many timers. One that is not due when the plugin is loaded
--- anew is forgotten with the old version: what must not be is for `panotti.schedule`.
---
--- ```lua
--- panotti.task.delay(0.01, function()
--- 	panotti.log.info("a moment later")
--- end)
--- ```
---@param seconds number
---@param fn fun(): ...any
---@return Task
function task.delay(seconds, fn) end

--- Runs the functions at the same time and returns the first result of each, in order. The first error stops the
--- others and is raised, as a text.
--- May wait.
---
--- ```lua
--- local loudness, page = panotti.task.gather(
--- 	function() return panotti.media.loudness(recording.tracks.system.path) end,
--- 	function() return panotti.http.get("https://api.example/notes") end
--- )
--- ```
---@param ... fun(): any
---@return ...any
function task.gather(...) end

--- The same, but returns for each function what it came to and raises nothing.
--- May wait.
---
--- ```lua
--- local one, two = panotti.task.gather_settled(
--- 	function() return 1 end,
--- 	function() error("no") end
--- )
--- assert(one.ok and one.value == 1 and not two.ok)
--- ```
---@param ... fun(): any
---@return ...Settled
function task.gather_settled(...) end

--- Calls function `fn` of the plugin's module, written `"module.fn"`, in another VM of the plugin, with copies of the
--- values; at most limits.max_concurrent_tasks at once. Returns the first result; nil and the failure otherwise.
--- May wait.
---
--- ```lua
--- -- lib/words.lua returns a table with the function `count`.
--- local words = panotti.task.run("lib.words.count", recording.title)
--- ```
---@param name string
---@param ... any
---@return any
---@return Failure?
function task.run(name, ...) end

--- A lock that is free.
---
--- ```lua
--- local lock = panotti.task.mutex()
--- lock:with(function()
--- 	panotti.sleep(0.01) -- nobody else is in here meanwhile
--- end)
--- ```
---@return Mutex
function task.mutex() end

--- A semaphore with `n` places.
---
--- ```lua
--- local two = panotti.task.semaphore(2)
--- local page = two:with(function()
--- 	return panotti.http.get("https://api.example/notes")
--- end)
--- ```
---@param n number
---@return Semaphore
function task.semaphore(n) end

--- Lines in the server's log and in `panotti logs`, with the plugin's name, generation, hook and request. At most 50 a
--- second after a burst of 500, 8 KiB each; what is above is left out, and a line says how much. `print` is `info`.
---@class Panotti_log
local log = {}

--- For whoever searches a fault.
---
--- ```lua
--- panotti.log.debug("looked at a recording", { id = recording.id })
--- ```
---@param msg string
---@param fields? table<string, any>
function log.debug(msg, fields) end

--- Worth knowing.
---
--- ```lua
--- panotti.log.info("tagged", { id = recording.id, tags = 2 })
--- ```
---@param msg string
---@param fields? table<string, any>
function log.info(msg, fields) end

--- Somebody should look at it.
---
--- ```lua
--- panotti.log.warn("the title is empty")
--- ```
---@param msg string
---@param fields? table<string, any>
function log.warn(msg, fields) end

--- Something did not work.
---
--- ```lua
--- panotti.log.error("the notes are lost", { code = "timeout" })
--- ```
---@param msg string
---@param fields? table<string, any>
function log.error(msg, fields) end

--- JSON text, its null, and its arrays.
---@class Panotti_json
---@field null any JSON's null: a key that holds it exists. In a patch it removes the key.
local json = {}

--- The value as JSON text. Raises where a value has no JSON (functions, NaN, mixed tables), with its path.
---
--- ```lua
--- assert(panotti.json.encode({ tags = { "ace" } }) == '{"tags":["ace"]}')
--- ```
---@param value any
---@param options? { pretty: boolean? }
---@return string
function json.encode(value, options) end

--- The value of a JSON text, at most 1 MiB; nil and `not_json` when it is none.
---
--- ```lua
--- local value, err = panotti.json.decode('{"tags":["ace"]}')
--- assert(value.tags[1] == "ace")
--- ```
---@param text string
---@return any
---@return Failure?
function json.decode(text) end

--- Marks `t` (a new table without it) as an array, so that it becomes `[]` when it is empty.
---
--- ```lua
--- assert(panotti.json.encode({ tags = panotti.json.array() }) == '{"tags":[]}')
--- ```
---@param t? any[]
---@return any[]
function json.array(t) end

--- YAML text, as plain data: no tags, aliases only within bounds.
---@class Panotti_yaml
local yaml = {}

--- The value as YAML text. Raises where a value has no JSON, with its path.
---
--- ```lua
--- local text = panotti.yaml.encode({ words = { "goal", "ace" } })
--- ```
---@param value any
---@return string
function yaml.encode(value) end

--- The value of a YAML text, at most 64 KiB; nil and `not_yaml` (with line and column) when it is none.
---
--- ```lua
--- local value, err = panotti.yaml.decode("words: [goal, ace]")
--- assert(value.words[2] == "ace")
--- ```
---@param text string
---@return any
---@return Failure?
function yaml.decode(text) end

--- Bytes as text, and back.
---@class Panotti_base64
local base64 = {}

--- The bytes in base64; with `url` in the alphabet for addresses, without padding.
---
--- ```lua
--- assert(panotti.base64.encode("hello") == "aGVsbG8=")
--- ```
---@param bytes string
---@param options? { url: boolean? }
---@return string
function base64.encode(bytes, options) end

--- The bytes of a base64 text of either alphabet, with or without padding; nil and `not_base64` when it is none.
---
--- ```lua
--- assert(panotti.base64.decode("aGVsbG8=") == "hello")
--- ```
---@param text string
---@return string?
---@return Failure?
function base64.decode(text) end

--- Digests, in lower-case hex.
---@class Panotti_hash
local hash = {}

--- SHA-256 of the bytes.
---
--- ```lua
--- assert(#panotti.hash.sha256("hello") == 64)
--- ```
---@param bytes string
---@return string
function hash.sha256(bytes) end

--- HMAC with SHA-256 of the bytes under a key, as web hooks sign with.
---
--- ```lua
--- local signature = "sha256=" .. panotti.hash.hmac_sha256("the secret", "the body")
--- ```
---@param key string
---@param bytes string
---@return string
function hash.hmac_sha256(key, bytes) end

--- BLAKE3 of the bytes.
---
--- ```lua
--- local key = "seen/" .. panotti.hash.blake3(recording.title)
--- ```
---@param bytes string
---@return string
function hash.blake3(bytes) end

--- A new random UUID (version 4), as in `6f9619ff-8b86-4d01-b42d-00cf4fc964ff`.
---
--- ```lua
--- local id = panotti.uuid()
--- assert(#id == 36)
--- ```
---@alias Panotti_uuid fun(): string

--- The parts of an address; what it does not have is nil.
---@class Url
---@field scheme string 
---@field username string? 
---@field password string? 
---@field host string? 
---@field port number? 
---@field path string 
---@field query string? 
---@field fragment string? 
---@field href string 

--- Addresses, taken apart and put together.
---@class Panotti_url
local url = {}

--- The parts of an absolute address; nil and `not_url` when it is none.
---
--- ```lua
--- local url = panotti.url.parse("https://api.example/notes?day=1")
--- assert(url.host == "api.example" and url.query == "day=1")
--- ```
---@param url string
---@return Url?
---@return Failure?
function url.parse(url) end

--- The address that `path` means on a page at `base`; nil and `not_url`.
---
--- ```lua
--- assert(panotti.url.join("https://api.example/a/b", "../c") == "https://api.example/c")
--- ```
---@param base string
---@param path string
---@return string?
---@return Failure?
function url.join(base, path) end

--- The text with all but letters, digits and `-_.~` as %XX.
---
--- ```lua
--- assert(panotti.url.encode("a b/c") == "a%20b%2Fc")
--- ```
---@param text string
---@return string
function url.encode(text) end

--- The text with %XX as the bytes they stand for.
---
--- ```lua
--- assert(panotti.url.decode("a%20b") == "a b")
--- ```
---@param text string
---@return string
function url.decode(text) end

--- A query (`a=1&b=2`), sorted by name; a list gives its name several times.
---
--- ```lua
--- assert(panotti.url.query({ day = 1, tag = { "a", "b" } }) == "day=1&tag=a&tag=b")
--- ```
---@param fields table<string, any>
---@return string
function url.query(fields) end

--- The fields of a query; of a name given several times the last.
---
--- ```lua
--- assert(panotti.url.parse_query("day=1&q=x+y").q == "x y")
--- ```
---@param text string
---@return table<string, string>
function url.parse_query(text) end

--- The groups of a match: `[0]` the whole, `[1]` … the groups, named ones under their names too. A group that took
--- no part is nil.
---@alias RegexMatch table<any, string>

--- Regular expressions in linear time: no back-references, no look-around. Patterns are UTF-8 (`(?-u)` for bytes), at
--- most 4 KiB; positions count bytes from 1.
---@class Panotti_regex
local regex = {}

--- Whether the pattern occurs.
---
--- ```lua
--- if panotti.regex.is_match("(?i)goal|ace", recording.title) then
--- 	panotti.log.info("worth keeping")
--- end
--- ```
---@param pattern string
---@param text string
---@return boolean
function regex.is_match(pattern, text) end

--- Where it first occurs at or after `init`: first and last byte; nil when it does not.
---
--- ```lua
--- local first, last = panotti.regex.find("b+", "abbb")
--- assert(first == 2 and last == 4)
--- ```
---@param pattern string
---@param text string
---@param init? number
---@return number?
---@return number?
function regex.find(pattern, text, init) end

--- The groups of the first match; nil when there is none.
---
--- ```lua
--- local found = panotti.regex.match("(?<key>\\w+)=(\\w+)", "size=10")
--- assert(found.key == "size" and found[2] == "10")
--- ```
---@param pattern string
---@param text string
---@return RegexMatch?
function regex.match(pattern, text) end

--- The groups of every match, at most `limit`.
---
--- ```lua
--- for _, found in panotti.regex.match_all("#(\\w+)", "#ace and #clutch") do
--- 	panotti.log.info("tag", { tag = found[1] })
--- end
--- ```
---@param pattern string
---@param text string
---@param limit? number
---@return RegexMatch[]
function regex.match_all(pattern, text, limit) end

--- The text with every match (at most `limit`) replaced; `$1`, `${name}` stand for groups, `$$` for a dollar.
---
--- ```lua
--- assert(panotti.regex.replace("(\\d+)m", "12m", "$1 minutes") == "12 minutes")
--- ```
---@param pattern string
---@param text string
---@param replacement string
---@param limit? number
---@return string
function regex.replace(pattern, text, replacement, limit) end

--- The parts between matches, at most `limit`.
---
--- ```lua
--- local words = panotti.regex.split("\\s*,\\s*", "goal , ace,win")
--- assert(#words == 3)
--- ```
---@param pattern string
---@param text string
---@param limit? number
---@return string[]
function regex.split(pattern, text, limit) end

--- A pattern that matches the text itself.
---
--- ```lua
--- assert(panotti.regex.escape("a.b") == "a\\.b")
--- ```
---@param text string
---@return string
function regex.escape(text) end

--- The time: seconds since 1970 UTC as numbers, RFC 3339 as text.
---@class Panotti_time
local time = {}

--- The present moment, in seconds since 1970 UTC.
---
--- ```lua
--- local age = panotti.time.now() - panotti.time.parse(recording.started_at)
--- ```
---@return number
function time.now() end

--- Seconds on a clock that never jumps; only differences mean something.
---
--- ```lua
--- local began = panotti.time.monotonic()
--- local took = panotti.time.monotonic() - began
--- ```
---@return number
function time.monotonic() end

--- The seconds since 1970 of an RFC 3339 text (without offset: UTC), compact digits, or Unix seconds; nil and `not_time`.
---
--- ```lua
--- assert(panotti.time.parse("1970-01-01T00:01:00Z") == 60)
--- ```
---@param text string
---@return number?
---@return Failure?
function time.parse(text) end

--- RFC 3339 in UTC of `seconds` since 1970; of now without it.
---
--- ```lua
--- assert(panotti.time.format(60) == "1970-01-01T00:01:00Z")
--- ```
---@param seconds? number
---@return string
function time.format(seconds) end

--- Runs `fn` once for `id`, across retries and restarts, and returns what it returned (at most 64 KiB as JSON); later
--- calls return the same without running it. It counts as done, and is on disk, as soon as `fn` has returned. When `fn`
--- raises, nothing is kept and the error goes on. Whoever comes while it runs waits. Ids are kept for 30 days; at most
--- `limits.kv_keys`. Answers nil and a failure when the store fails.
---
--- ```lua
--- local sent, err = panotti.once("mail/" .. recording.id, function()
--- 	panotti.log.info("only now, whatever is retried")
--- 	return true
--- end)
--- ```
---@alias Panotti_once fun(id: string, fn: fun(...: any): any, ...: any): any, Failure?

--- Offers `fn` to other plugins under `name`; register while the plugin loads. It is called with copies of plain values,
--- within this plugin's own limits, and returns one.
---
--- ```lua
--- panotti.export("next_meeting", function(day)
--- 	return { title = "Standup", day = day }
--- end)
--- ```
---@alias Panotti_export fun(name: string, fn: fun(...: any): any)

--- The functions of another plugin, which must stand under `dependencies:` in `plugin.yaml`. Each waits, is given copies of
--- plain values and returns one, or nil and a failure: `not_running`, or what the call came to (`runtime`, `deadline`, …).
--- What is called is looked up each time, so the other plugin may be edited meanwhile.
---
--- ```lua
--- local calendar = panotti.import("calendar")
--- local meeting, err = calendar.next_meeting("monday")
--- ```
---@alias Panotti_import fun(plugin: string): table<string, fun(...: any): any, Failure?>

--- A request to a route of the plugin.
---@class RouteRequest
---@field method string 
---@field path string Below the plugin's own path.
---@field params table<string, string> The parts of the path by name.
---@field query table<string, string> The query; of several values of one name the last.
---@field headers table<string, string> By lower-case name, without secrets.
---@field body string? The body as text; nil when there is none or it is no UTF-8.
---@field body_base64 string? The body as base64 when it is no UTF-8.
---@field json any The body's JSON when it says it is one.
---@field remote string? The address it comes from.
---@field token { id: string, scopes: string[] } Whose key it carries.

--- Answers HTTP requests to `/api/v1/plugins/<name>/x<path>`; register routes while the plugin loads. `path` is `/status`,
--- `/items/{id}` or `/files/{rest*}`. `fn` returns a table (sent as JSON), a string (as plain text), nil (204),
--- `panotti.respond{…}` or `panotti.deny(…)`. What it writes is stored before the answer is sent, and only when that is no
--- error. GET needs a key with the scope `plugins:read`, other methods `plugins:manage`. At most `limits.routes`.
---
--- ```lua
--- panotti.route("GET", "/notes/{name}", function(request)
--- 	local note = panotti.kv.get("note/" .. request.params.name)
--- 	if note == nil then
--- 		return panotti.respond({ status = 404, json = { error = "no such note" } })
--- 	end
--- 	return { note = note }
--- end, { summary = "Gives a note." })
--- ```
---@alias Panotti_route fun(method: string, path: string, fn: fun(request: RouteRequest, ctx: Ctx): any, options?: { summary: string? })

--- What a function of a schedule is given.
---@class ScheduledRun
---@field name string The schedule's name.
---@field scheduled_at number When it was due, in seconds since 1970.
---@field cause string `timer`, `missed` (it makes up for runs that were missed) or `manual`.
---@field missed_count number How many runs were missed that this one makes up for.

--- What happens when time does not go as planned.
---@class ScheduleOptions
---@field missed ("skip"|"once")? Runs missed while the server or the plugin was down are left out (`skip`, without it) or made up for by `once`.
---@field overlap ("skip"|"queue"|"allow")? A run due while the one before goes on is left out (`skip`, without it), waits (`queue`, one at most) or runs beside it (`allow`).

--- As `ScheduleOptions`; `tz` is the zone that a cron expression is read in, such as `Europe/Berlin` (UTC without it).
---@class CronOptions : ScheduleOptions
---@field tz string?

--- Functions that the host calls at their times. Register them while the plugin loads (its chunk or `on_load`). The host
--- keeps their times: a reload or a restart changes nothing, and a schedule that is not registered any more rests. At
--- most `limits.schedules`. What a run writes is stored when it ends.
---@class Panotti_schedule
local schedule = {}

--- Calls `fn` every `seconds` (1 to 31622400). `name` is its own within the plugin.
---
--- ```lua
--- panotti.schedule.every(3600, "sweep", function(run)
--- 	panotti.log.info("swept", { missed = run.missed_count })
--- end)
--- ```
---@param seconds number
---@param name string
---@param fn fun(run: ScheduledRun, ctx: Ctx)
---@param options? ScheduleOptions
function schedule.every(seconds, name, fn, options) end

--- Calls `fn` when `expression` comes true: minute, hour, day of the month, month, day of the week; six fields begin
--- with the second.
---
--- ```lua
--- panotti.schedule.cron("30 6 * * 1-5", "report", function(run)
--- 	panotti.log.info("good morning")
--- end, { tz = "Europe/Berlin", missed = "once" })
--- ```
---@param expression string
---@param name string
---@param fn fun(run: ScheduledRun, ctx: Ctx)
---@param options? CronOptions
function schedule.cron(expression, name, fn, options) end

--- What a plugin keeps between calls and restarts; each plugin sees its own keys alone. A call sees its own writes;
--- they are stored when it has ended well, together with what it answers.
---@class Panotti_kv
local kv = {}

--- The value of a key; nil when there is none.
---
--- ```lua
--- local seen = panotti.kv.get("seen") or 0
--- ```
---@param key string
---@return any
---@return Failure?
function kv.get(key) end

--- Keeps a value (any JSON, at most 1 MiB) under a key (1 to 512 bytes), for `ttl` seconds or for good. Of several
--- calls the last to commit wins.
--- A plugin keeps 100 000 keys and 64 MiB.
---
--- ```lua
--- panotti.kv.set("last", { id = recording.id }, { ttl = 3600 })
--- ```
---@param key string
---@param value any
---@param options? { ttl: number? }
function kv.set(key, value, options) end

--- Removes a key.
---
--- ```lua
--- panotti.kv.delete("last")
--- ```
---@param key string
function kv.delete(key) end

--- Adds `by` (1 without it) to the number of a key (0 when there is none): the new number. Parallel calls add up.
--- nil and `not_a_number` when it is none.
---
--- ```lua
--- local count = panotti.kv.incr("recordings")
--- ```
---@param key string
---@param by? number
---@return number?
---@return Failure?
function kv.incr(key, by) end

--- The keys that begin with `prefix`, sorted, at most `limit` (1000), those behind `after`.
--- May wait.
---
--- ```lua
--- for _, key in panotti.kv.list("note/") do
--- 	panotti.log.info(key)
--- end
--- ```
---@param prefix? string
---@param options? { limit: number?, after: string? }
---@return string[]?
---@return Failure?
function kv.list(prefix, options) end

--- Puts `new` in the place of `old` (nil: no key), at once: whether `old` was what is stored.
--- May wait.
---
--- ```lua
--- if panotti.kv.cas("leader", nil, panotti.plugin.name) then
--- 	panotti.log.info("first")
--- end
--- ```
---@param key string
---@param old any
---@param new any
---@return boolean?
---@return Failure?
function kv.cas(key, old, new) end

--- What lies in a folder.
---@class FileEntry
---@field name string 
---@field kind "file"|"folder"|"other" 
---@field size number Bytes of a file.
---@field modified_at number Seconds since 1970.

--- Files. A plain path (`notes/a.txt`) is below the plugin's own folder, which needs no permission; other folders are
--- opened by the admin's grant of the permission `fs`: `recordings:read` opens `recordings:<path>`, `clips:read` opens
--- `clips:<path>`, `/srv/media:read` opens absolute paths below `/srv/media`; `:write` in place of `:read` to write.
--- No path and no link leads out of its folder. At most `limits.files` files and folders and `limits.files_mib` in the own folder,
--- folders nested at most 64 deep: past that it raises. Failures: `not_found`, `denied` (leads out of the folder), `disk_full`, `file`.
---@class Panotti_fs
local fs = {}

--- All bytes of a file, at most 16 MiB.
--- May wait.
---
--- ```lua
--- local text, err = panotti.fs.read("notes/today.txt")
--- if not text and err.code == "not_found" then text = "" end
--- ```
---@param path string
---@return string?
---@return Failure?
function fs.read(path) end

--- Puts `bytes` in the place of a file, whole or not at all; folders are made. It is on disk when it returns true.
--- May wait.
---
--- ```lua
--- assert(panotti.fs.write("notes/today.txt", "It went well.\n"))
--- ```
---@param path string
---@param bytes string
---@return boolean?
---@return Failure?
function fs.write(path, bytes) end

--- Adds `bytes` to the end of a file.
--- May wait.
---
--- ```lua
--- assert(panotti.fs.append("log.txt", recording.id .. "\n"))
--- ```
---@param path string
---@param bytes string
---@return boolean?
---@return Failure?
function fs.append(path, bytes) end

--- What lies in a folder (the own one without `path`), by name; at most 10 000 entries.
--- May wait.
---
--- ```lua
--- for _, entry in panotti.fs.list() do
--- 	panotti.log.info(entry.name, { kind = entry.kind })
--- end
--- ```
---@param path? string
---@return FileEntry[]?
---@return Failure?
function fs.list(path) end

--- What a path is; nil alone when there is nothing.
--- May wait.
---
--- ```lua
--- local entry = panotti.fs.stat("notes/today.txt")
--- local size = entry and entry.size or 0
--- ```
---@param path string
---@return FileEntry?
---@return Failure?
function fs.stat(path) end

--- Removes a file or an empty folder, with `recursive` everything in it; false when there was nothing.
--- May wait.
---
--- ```lua
--- panotti.fs.remove("notes", { recursive = true })
--- ```
---@param path string
---@param options? { recursive: boolean? }
---@return boolean?
---@return Failure?
function fs.remove(path, options) end

--- What is known of an asset.
---@class Asset
---@field name string 
---@field mime string Its media type.
---@field sha256 string The hash of its bytes, in hex.
---@field size number Bytes.
---@field created_at string When it was saved.
---@field url string Where clients get it, for keys with the scope `plugins:read`.

--- Files for clients: pictures, transcripts, pages. They are named, have a hash, and are served below
--- `/api/v1/plugins/<name>/assets/`. The same bytes are kept once. At most `limits.assets` of `limits.assets_mib` together:
--- past that it raises.
---@class Panotti_assets
local assets = {}

--- Saves `bytes` under `name` (letters, digits, - _ .), in place of what had it. `mime` is found by the name's ending
--- without it. It is on disk when this returns.
--- May wait.
--- Needs the permission `assets`.
---
--- ```lua
--- local asset = assert(panotti.assets.save(recording.id .. ".txt", "the transcript"))
--- panotti.log.info("to be had at " .. asset.url)
--- ```
---@param name string
---@param bytes string
---@param options? { mime: string? }
---@return Asset?
---@return Failure?
function assets.save(name, bytes, options) end

--- What is known of it; nil alone when there is none.
--- Needs the permission `assets`.
---
--- ```lua
--- if not panotti.assets.exists(recording.id .. ".txt") then
--- 	panotti.log.info("no transcript yet")
--- end
--- ```
---@param name string
---@return Asset?
---@return Failure?
function assets.exists(name) end

--- All its bytes; nil alone when there is none.
--- May wait.
--- Needs the permission `assets`.
---
--- ```lua
--- local text = panotti.assets.read(recording.id .. ".txt")
--- ```
---@param name string
---@return string?
---@return Failure?
function assets.read(name) end

--- The plugin's assets by name, at most 1000 after `after`.
--- May wait.
--- Needs the permission `assets`.
---
--- ```lua
--- for _, asset in panotti.assets.list() do
--- 	panotti.log.info(asset.name, { size = asset.size })
--- end
--- ```
---@param after? string
---@return Asset[]?
---@return Failure?
function assets.list(after) end

--- Removes it; false when there was none.
--- May wait.
--- Needs the permission `assets`.
---
--- ```lua
--- panotti.assets.remove(recording.id .. ".txt")
--- ```
---@param name string
---@return boolean?
---@return Failure?
function assets.remove(name) end

--- Tells the admin something: a line in the log, an event `plugin.notified`, and the program that the admin has named for it
--- (`notify_tool`, such as `notify-send`), which is given title and message. At most `limits.notifications_per_min`.
---
--- ```lua
--- panotti.notify("Notes are ready", recording.title, { level = "info" })
--- ```
---@alias Panotti_notify fun(title: string, message?: string, options?: { level: ("info"|"warning"|"error")?, url: string? })

--- How a program ended.
---@class ProcessEnded
---@field code number? Its exit code; nil when a signal ended it.
---@field signal number? The signal that ended it.
---@field stdout string What it wrote to its output.
---@field stderr string What it wrote to its error.
---@field duration number Seconds it ran.

--- How it is run.
---@class ProcessOptions
---@field stdin string? What it reads.
---@field timeout number? Seconds it may run; at most `limits.process_wall_ms`.

--- Programs that the admin has named (`process_tools`) and granted (`process: [ffmpeg]`). Arguments are handed over as they
--- are, there is no shell. A program runs in the plugin's own folder of files (see `panotti.fs`) with a clean environment and
--- ends, with everything it started (on Linux also what leaves its group, as a daemon does), when its time is up, when it writes more than `limits.process_output_mib` or when the
--- call that wants it ends. No file it writes grows beyond `limits.files_mib`, and at most `limits.processes` of a plugin run at
--- once, the others wait. It can do whatever the program can: mind what you hand over.
---@class Panotti_process
local process = {}

--- Runs `tool` to its end. Failures: `no_such_tool`, `timeout`, `limit`, `process`.
--- May wait.
--- Needs the permission `process`.
---
--- ```lua
--- local ended, err = panotti.process.run("ffmpeg", { "-version" }, { timeout = 10 })
--- if ended and ended.code == 0 then
--- 	panotti.log.info(ended.stdout)
--- end
--- ```
---@param tool string
---@param arguments? string[]
---@param options? ProcessOptions
---@return ProcessEnded?
---@return Failure?
function process.run(tool, arguments, options) end

--- What a server answered.
---@class HttpResponse
---@field status number 200, 404, …
---@field headers table<string, string> By lower-case name; several of one name are joined by `, `.
---@field body string All bytes, decompressed.
---@field url string Where it came from, after redirects.

--- What is sent along.
---@class HttpOptions
---@field headers table<string, string>? Names and texts; `host`, `content-length` and the like are set by the client.
---@field query table<string, any>? Is added to the address; a list is a name several times.
---@field json any Is sent as JSON.
---@field body string? Is sent as it is.
---@field timeout number? Seconds for the whole, redirects and body included; at most `limits.http_wall_ms`.

--- A request in one table.
---@class HttpRequest : HttpOptions
---@field url string
---@field method string?

--- Asks other servers over HTTP. Which hosts are open is the permission's list: `http: [api.example]` opens the usual
--- ports, `api.example:8443` that one, `*.example` all below; `localhost:11434`, addresses and `local:nas:5000` open
--- what stands in the own network, which nothing else does. Redirects are followed up to five times, each hop is
--- checked. `limits.http_requests` are under way at once, others wait for their turn.
--- Answers nil and a failure: `denied` (led to a closed host), `timeout`, `limit` (took longer than
--- `limits.http_wall_ms` or is larger than `limits.http_body_mib`), `unreachable`, `tls`, `protocol`, `redirects`.
---@class Panotti_http
local http = {}

--- Sends a GET.
--- May wait.
--- Needs the permission `http`.
---
--- ```lua
--- local answer, err = panotti.http.get("https://api.example/notes", { query = { day = "monday" } })
--- if not answer then
--- 	panotti.log.warn("no notes: " .. err.message)
--- elseif answer.status == 200 then
--- 	panotti.kv.set("notes", panotti.json.decode(answer.body))
--- end
--- ```
---@param url string
---@param options? HttpOptions
---@return HttpResponse?
---@return Failure?
function http.get(url, options) end

--- Sends a POST.
--- May wait.
--- Needs the permission `http`.
---
--- ```lua
--- local answer, err = panotti.http.post("https://api.example/notes", { json = { id = recording.id }, timeout = 5 })
--- ```
---@param url string
---@param options? HttpOptions
---@return HttpResponse?
---@return Failure?
function http.post(url, options) end

--- Sends any request; `method` is GET without it.
--- May wait.
--- Needs the permission `http`.
---
--- ```lua
--- local answer, err = panotti.http.request({
--- 	method = "PUT",
--- 	url = "https://api.example/notes/1",
--- 	headers = { authorization = "Bearer …" },
--- 	body = "the note",
--- })
--- ```
---@param request HttpRequest
---@return HttpResponse?
---@return Failure?
function http.request(request) end

--- What a handler of events is given.
---@class Event
---@field id string Unique and time-ordered.
---@field type string Such as `recording.ended`.
---@field source string Who told it: `panotti`, `plugin/<name>` or `http/<id of a key>`.
---@field subject string? What it is about, such as `recording/<id>`.
---@field time string When it happened, RFC 3339 in UTC.
---@field data any What it tells.
---@field correlation_id string Shared by all that one request set off.
---@field causation_id string? The event or request that led to this one.
---@field priority string `low`, `normal`, `high` or `critical`.
---@field expires_at string? When it is no longer worth telling, RFC 3339 in UTC.

--- Past facts, told to whoever subscribed, and heard. A type is words joined by dots; the first words recording, track,
--- clip, plugin, library, config, server and webhook are the server's own.
---@class Panotti_events
local events = {}

--- Tells an event, which is stored and delivered when the call that tells it has ended well. Events of one
--- `subject` reach a handler in order. Raises on a wrong type, above the rate of events or of
--- their bytes (`limits.emits_per_s`, `limits.emit_mib_per_s`), past 8 events in a row, and when the type has a JSON
--- schema that `data` does not fit. Who has not begun to handle it `ttl` seconds after it was stored is not told of it
--- any more.
---
--- ```lua
--- panotti.events.publish("notes.written", { id = recording.id }, { subject = "recording/" .. recording.id })
--- ```
---@param type string
---@param data any
---@param options? { priority: string?, subject: string?, ttl: number? }
function events.publish(type, data, options) end

--- Calls `fn` for every event whose type fits: `*` is one word, `**` the rest. Delivered at least once.
---
--- ```lua
--- panotti.events.subscribe("notes.*", function(event, ctx)
--- 	panotti.log.info(event.type, { id = event.data.id, attempt = ctx.attempt })
--- end, { max_attempts = 3 })
--- ```
---@param pattern string
---@param fn fun(event: Event, ctx: Ctx): ...any
---@param opts? SubscribeOptions
---@return Registered
function events.subscribe(pattern, fn, opts) end

--- How a handler of events is to be called.
---@class SubscribeOptions
---@field priority number? Higher runs earlier within the plugin; 0 without it.
---@field timeout number? Seconds; at most the plugin's limit.
---@field when table<string, any>? Only what fits, as for hooks; what an event tells is below `data`: `["data.title"]`.
---@field max_attempts number? Tries before the event is given up for this plugin.
---@field from (string|number)? Past events to be given once, the first time that the plugin subscribes to this pattern: `"beginning"`, a sequence, or a time. They come behind the live ones, with `ctx.replay = true`; a reload or restart does not bring them again.

--- One page of recordings.
---@class RecordingPage
---@field items Recording[] The recordings, newest first.
---@field total number How many there are.
---@field page number This page, from 1.
---@field page_size number Recordings on a page.
---@field total_pages number Pages in all.

--- Which recordings are wanted.
---@class RecordingQuery
---@field status string? `active` or `completed`.
---@field from string? Started then or later, RFC 3339.
---@field to string? Started then or earlier, RFC 3339.
---@field q string? Part of the title or of the id.
---@field page number? From 1.
---@field page_size number? 1 to 1000; 50 without it.

--- Recordings: what the REST API does, by the same rules and with the same hooks.
---@class Panotti_recordings
local recordings = {}

--- One recording; nil and `recording_not_found`.
--- May wait.
--- Needs the permission `recordings:read`.
---
--- ```lua
--- local found, err = panotti.recordings.get(recording.id)
--- ```
---@param id string
---@return Recording?
---@return Failure?
function recordings.get(id) end

--- A page of recordings.
--- May wait.
--- Needs the permission `recordings:read`.
---
--- ```lua
--- local page = panotti.recordings.list({ status = "completed", page_size = 10 })
--- for _, recording in page.items do
--- 	panotti.log.info(recording.id)
--- end
--- ```
---@param query? RecordingQuery
---@return RecordingPage?
---@return Failure?
function recordings.list(query) end

--- Starts a recording as `POST /api/v1/recordings` does; its hooks are asked.
--- May wait.
--- Needs the permission `recordings:write`.
---
--- ```lua
--- local made, err = panotti.recordings.create({ title = "Retrospective", metadata = { team = "blue" } })
--- ```
---@param fields table<string, any>
---@return Recording?
---@return Failure?
function recordings.create(fields) end

--- Changes title and metadata by a merge patch; `panotti.json.null` removes a key.
--- May wait.
--- Needs the permission `recordings:write`.
---
--- ```lua
--- panotti.recordings.update(recording.id, { metadata = { notes = "written", draft = panotti.json.null } })
--- ```
---@param id string
---@param patch table<string, any>
---@return Recording?
---@return Failure?
function recordings.update(id, patch) end

--- Deletes a recording that has ended, with `files` also what the server wrote for it; true.
--- May wait.
--- Needs the permission `recordings:write`.
---
--- ```lua
--- local gone, err = panotti.recordings.delete("of-last-year", { files = true })
--- if not gone then
--- 	panotti.log.warn(err.message)
--- end
--- ```
---@param id string
---@param options? { files: boolean? }
---@return boolean?
---@return Failure?
function recordings.delete(id, options) end

--- One page of clips.
---@class ClipPage
---@field items Clip[] The clips, newest first.
---@field total number How many there are; of filtered ones counting ends at 10 000.
---@field total_is_more boolean? There are more than `total`.
---@field page number This page, from 1.
---@field page_size number Clips on a page.
---@field total_pages number Pages in all.

--- Which clips are wanted; all conditions must hold.
---@class ClipQuery
---@field game_name string? Exactly this game.
---@field processed boolean? Whether processing is done.
---@field status string? `pending`, `processing`, `completed` or `failed`.
---@field tags string[]? All of these tags.
---@field q string? Words of title, description and tags.
---@field recording_id string? Cut from this recording.
---@field from string? Recorded (else created) then or later, RFC 3339.
---@field to string? Recorded (else created) then or earlier, RFC 3339.
---@field sort string? `created_at`, `recorded_at`, `title`, `duration` or `id`; `-` before it for descending.
---@field page number? From 1.
---@field page_size number? 1 to 1000; 50 without it.

--- Clips: what the REST API does, by the same rules and with the same hooks.
---@class Panotti_clips
local clips = {}

--- One clip; nil and `clip_not_found`.
--- May wait.
--- Needs the permission `clips:read`.
---
--- ```lua
--- local clip, err = panotti.clips.get(1)
--- ```
---@param id number
---@return Clip?
---@return Failure?
function clips.get(id) end

--- A page of clips.
--- May wait.
--- Needs the permission `clips:read`.
---
--- ```lua
--- local page = panotti.clips.list({ tags = { "ace" }, sort = "-duration" })
--- panotti.log.info("aces", { total = page.total })
--- ```
---@param query? ClipQuery
---@return ClipPage?
---@return Failure?
function clips.list(query) end

--- Makes a clip as `POST /api/v1/clips` does: of a file, or cut from a recording, running or not:
--- `{ recording_id = id, last = 30 }`, `{ recording_id = id, start = 5, ["end"] = 9 }`. A `file_path` below the
--- recordings directory that the call may not hear needs the permission `media`.
--- May wait.
--- Needs the permission `clips:write`.
---
--- ```lua
--- local clip, err = panotti.clips.create({ recording_id = recording.id, last = 30, title = "The end" })
--- ```
---@param fields table<string, any>
---@return Clip?
---@return Failure?
function clips.create(fields) end

--- Changes fields of a clip; metadata merges. A `file_path` is held to the same rule as in `create`.
--- May wait.
--- Needs the permission `clips:write`.
---
--- ```lua
--- panotti.clips.update(1, { tags = { "ace", "clutch" }, metadata = { score = 9 } })
--- ```
---@param id number
---@param patch table<string, any>
---@return Clip?
---@return Failure?
function clips.update(id, patch) end

--- Deletes a clip, with `files` also a file that the server wrote; true.
--- May wait.
--- Needs the permission `clips:write`.
---
--- ```lua
--- panotti.clips.delete(1, { files = true })
--- ```
---@param id number
---@param options? { files: boolean? }
---@return boolean?
---@return Failure?
function clips.delete(id, options) end

--- What a statement changed.
---@class DbChanges
---@field changes number Rows inserted, changed and deleted.
---@field last_insert_id number? The last row that it inserted; above 2^53 a string.

--- The plugin's own SQLite database. Everything is checked before it runs: one statement a call, values as parameters
--- (`?`, `?1` with a list, `:name` with named values), no PRAGMA, ATTACH or VACUUM, no temporary tables. Codes of failures: `sql`,
--- `constraint`, `denied`, `limit`, `rolled_back`, `disk_full`, `database_corrupt`, `unavailable`.
---
--- A list has one value for each `?`, a NULL at its end as `panotti.json.null`.
--- Into the database: nil and `panotti.json.null` become NULL, true and false 1 and 0, whole numbers INTEGER, others REAL,
--- strings TEXT (BLOB when they are not UTF-8), buffers BLOB. Out of it: NULL is nil, TEXT and BLOB are strings, integers above
--- 2^53 are strings.
---
--- The table `events(id, type, timestamp, data)` shows the newest 10 000 events of the server unless the plugin has a table of that
--- name; `INSERT INTO events (type, timestamp, data)` publishes one as `panotti.events.publish` does, when the call has ended well.
---@class Panotti_db
local db = {}

--- Runs a statement and answers its rows, each a table by column name: at most limits.db_rows rows and 1 MiB.
--- May wait.
--- Needs the permission `db`.
---
--- ```lua
--- local rows = assert(panotti.db.query("SELECT word, times FROM words WHERE times > ?", { 3 }))
--- for _, row in rows do
--- 	panotti.log.info(row.word, { times = row.times })
--- end
--- ```
---@param sql string
---@param params? table<any, any>
---@return table<string, any>[]?
---@return Failure?
function db.query(sql, params) end

--- Runs a statement and answers what it changed.
--- May wait.
--- Needs the permission `db`.
---
--- ```lua
--- assert(panotti.db.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, times INTEGER)"))
--- panotti.db.execute("INSERT OR REPLACE INTO words VALUES (:word, :times)", { word = "goal", times = 1 })
--- ```
---@param sql string
---@param params? table<any, any>
---@return DbChanges?
---@return Failure?
function db.execute(sql, params) end

--- Runs `fn` in a transaction: commits when it returns and returns what it returned; takes everything back when it raises and raises
--- on. Inside of it nothing but panotti.db may be waited for; the plugin's other calls wait for their turn. Within another transaction
--- it is a savepoint.
--- May wait.
--- Needs the permission `db`.
---
--- ```lua
--- local times = panotti.db.transaction(function()
--- 	assert(panotti.db.execute("UPDATE words SET times = times + 1 WHERE word = ?", { "goal" }))
--- 	return panotti.db.query("SELECT max(times) AS n FROM words")[1].n
--- end)
--- ```
---@param fn fun(): ...any
---@return ...any
function db.transaction(fn) end

--- What is known of a media file without listening.
---@class Probe
---@field container string Such as `wave`, `flac`, `isomp4`.
---@field codec string Such as `pcm_s16le`, `aac`.
---@field sample_rate number Samples a second.
---@field channels number How many channels.
---@field bits_per_sample number? Of lossless codecs.
---@field frames number Samples of each channel.
---@field duration number Seconds.

--- How loud a file is, after EBU R 128; silence has no level.
---@class Loudness
---@field integrated number? Of the whole, in LUFS.
---@field range number How much it varies, in LU.
---@field true_peak number? The highest peak between the samples, in dBTP.
---@field sample_peak number? The highest sample, in dBFS.
---@field duration number Seconds measured.

--- A passage in a file of its own.
---@class Cut
---@field path string The new file, for `panotti.media`.
---@field duration number Seconds.
---@field start number Where it begins in the source, in seconds.
---@field finish number Where it ends in the source, in seconds.
---@field sample_rate number Samples a second.
---@field channels number How many channels.
---@field size number Bytes.

--- What is left of a sound, in a file of its own: as long as the source, of its rate and channels, in time with it.
--- Samples have 16 or 24 bits, or are floats where those of the source are.
---@class MadeAudio
---@field path string The new file, for `panotti.media`.
---@field duration number Seconds.
---@field frames number Samples of each channel.
---@field sample_rate number Samples a second.
---@field channels number How many channels.
---@field size number Bytes.

--- The same without the sound of a reference.
---@class Subtracted
---@field path string The new file, for `panotti.media`.
---@field duration number Seconds.
---@field frames number Samples of each channel.
---@field sample_rate number Samples a second.
---@field channels number How many channels.
---@field size number Bytes.
---@field delay number How many seconds later than in the reference its sound was heard; negative when earlier.
---@field reduction_db number How much quieter the whole became while the reference sounded, in dB.

--- What the server hears in files. A path is one of the recording or clip that the call is about
--- (`recording.tracks.system.path`, `clip.file_path`) or of a cut; others need the permission `media`. A call is about
--- what the host itself told it of, not about what an event of a plugin or a request names.
--- A file that cannot be read gives nil and `media_unavailable`, without audio `no_audio`.
---@class Panotti_media
local media = {}

--- Codec, sample rate, channels and length.
--- May wait.
---
--- ```lua
--- local about, err = panotti.media.probe(recording.tracks.system.path)
--- if about then
--- 	panotti.log.info(about.codec, { seconds = about.duration })
--- end
--- ```
---@param path string
---@return Probe?
---@return Failure?
function media.probe(path) end

--- Where a file lies on the server, for a program that `panotti.process` runs.
--- May wait.
---
--- ```lua
--- local path = panotti.media.locate(recording.tracks.system.path)
--- local ended = path and panotti.process.run("ffmpeg", { "-i", path })
--- ```
---@param path string
---@return string?
---@return Failure?
function media.locate(path) end

--- The waveform in `points` (1 to 20 000, 1000 without it) equal parts; full scale is -1 to 1.
--- May wait.
---
--- ```lua
--- local peaks = panotti.media.peaks(recording.tracks.system.path, 200)
--- ```
---@param path string
---@param points? number
---@return { min: number, max: number, rms: number }[]?
---@return Failure?
function media.peaks(path, points) end

--- How loud the whole is.
--- May wait.
---
--- ```lua
--- local loudness = panotti.media.loudness(recording.tracks.system.path)
--- local quiet = not loudness or not loudness.integrated or loudness.integrated < -40
--- ```
---@param path string
---@return Loudness?
---@return Failure?
function media.loudness(path) end

--- The level of each `window` (0.1 without it) seconds in dBFS; silence is -120.
--- May wait.
---
--- ```lua
--- local loudest = 1
--- local levels = assert(panotti.media.envelope(recording.tracks.system.path, 0.5))
--- for at, level in levels do
--- 	if level > levels[loudest] then loudest = at end
--- end
--- ```
---@param path string
---@param window? number
---@return number[]?
---@return Failure?
function media.envelope(path, window) end

--- Copies the passage from `start` to `finish`, or the `last` seconds, sample-exactly into a new WAV of the plugin's
--- own. At most 256 MiB and 10 000 cuts are kept: nil and `too_large`.
--- May wait.
---
--- ```lua
--- local cut, err = panotti.media.cut(recording.tracks.system.path, { start = 0.5, finish = 1 })
--- ```
---@param path string
---@param range { start: number?, finish: number?, last: number? }
---@return Cut?
---@return Failure?
function media.cut(path, range) end

--- Takes the noise out of speech, each channel by itself, and writes what is left into a new WAV of the plugin's own.
--- `amount` from 0 to 1 (1 without it) is how much of the noise goes. What is above 24 kHz goes with it.
--- Kept as cuts are: nil and `too_large`.
--- May wait.
---
--- ```lua
--- local clean, err = panotti.media.denoise(recording.tracks.microphone.path, { amount = 0.8 })
--- ```
---@param path string
---@param options? { amount: number? }
---@return MadeAudio?
---@return Failure?
function media.denoise(path, options) end

--- Takes the sound of `reference_path` out of `path` and writes what is left into a new WAV of the plugin's own: the
--- microphone without what the loudspeakers played. How late it is heard is found by itself, up to `max_delay` (1
--- without it, at most 5) seconds either way, unless `delay` tells. Kept as cuts are: nil and `too_large`.
--- May wait.
---
--- ```lua
--- local tracks = recording.tracks
--- local voice, err = panotti.media.subtract(tracks.microphone.path, tracks.system.path)
--- ```
---@param path string
---@param reference_path string
---@param options? { delay: number?, max_delay: number? }
---@return Subtracted?
---@return Failure?
function media.subtract(path, reference_path, options) end

--- A passage as samples: 32-bit floats one after another (`buffer.readf32(b, 4 * i)`), full scale is -1 to 1, all
--- channels mixed into one. From `start` (0 without it) for `duration` (to the end without it) seconds, at
--- `sample_rate` (1000 to 384000; the file's without it). Raises when it would be more than 16 MiB.
--- May wait.
---
--- ```lua
--- local samples, about = panotti.media.decode(recording.tracks.system.path, { sample_rate = 16000, duration = 1 })
--- local first = buffer.readf32(samples, 0)
--- ```
---@param path string
---@param options? { sample_rate: number?, start: number?, duration: number? }
---@return buffer?
---@return { sample_rate: number, frames: number }|Failure
function media.decode(path, options) end

--- Tests of a plugin: `local t = require("@panotti/test")`, in files of tests alone.
---@class Test
---@field case fun(name: string, fn: fun()) One case: it runs in a fresh VM, with fresh hosts.
---@field host fun(options?: TestHostOptions): TestHost A host: a whole server with the plugin in it, whose clock stands still.
---@field eq fun(got: any, wanted: any, message?: string) Raises, with every difference, unless both are the same, tables in depth.
---@field ok fun(value: any, message?: string): any Raises unless `value` is something true.
---@field near fun(got: number, wanted: number, tolerance?: number, message?: string) Raises unless the numbers are that near to each other; 1e-6 without `tolerance`.
---@field raises fun(fn: fun(): ...any, part?: string): string Raises unless `fn` raises, with `part` in its text; gives the text.
---@field fail fun(message: string) Raises.
---@field clip fun(fields?: table<string, any>): Clip A clip with all its fields, and these in their places.
---@field recording fun(fields?: table<string, any>): Recording A recording with all its fields, and these in their places; with a duration or an end it is completed.
---@field request fun(fields?: table<string, any>): Request A request as before_request is given it.
---@field response fun(fields?: table<string, any>): Response An answer as after_request is given it.
---@field null any JSON's null.

--- How a host is made.
---@class TestHostOptions
---@field config table<string, any>? Values of the plugin's config, checked as an admin's are.
---@field now (string|number)? The time, such as 2026-01-31T12:00:00Z, or seconds since 1970; 2026 begins without it.
---@field seed number? Where chance begins; that of the run without it.
---@field grants (table<string, any>|boolean)? What the plugin is granted of what it asks for: everything without it, nothing with false.

--- One host of a case. Waits of the plugin cost nothing: the clock moves on to the next thing that is due.
---@class TestHost
---@field fire fun(self: TestHost, hook: string, payload: any): any, any Calls the handlers of a hook as the server does. A question gives what the pipeline made of `payload`; nil and why when it was refused.
---@field emit fun(self: TestHost, event: table<string, any>): Event Publishes an event `{type, data, subject, source, priority}`, and waits until all who subscribed were told.
---@field advance fun(self: TestHost, seconds: number) Moves the clock on; what is due meanwhile happens: timers, sleeps, schedules, retries.
---@field now fun(self: TestHost): string The time, RFC 3339 in UTC.
---@field request fun(self: TestHost, method: string, path: string, options?: table<string, any>): any Has one of the plugin's routes answer: `{status, headers, body, json}`. Options: query, headers, json, body.
---@field events fun(self: TestHost, pattern?: string): Event[] The events that plugins have published, of types that fit `pattern`.
---@field errors fun(self: TestHost): any[] The calls that have failed since this was asked last. A case with failures that nobody asked for fails.
---@field log fun(self: TestHost): any[] What the plugin has logged: `{level, message, fields}`.
---@field tasks fun(self: TestHost): any `{running, schedules}`: how many tasks and timers live, and when which schedule is due.
---@field fail fun(self: TestHost, what: string, failure: any, times?: number) Lets a module (`db`) or a function (`kv.set`) of the host fail with a text or `{code, message}`; `times` times, or always.
---@field mend fun(self: TestHost, what: string) What was made to fail works again.
---@field reload fun(self: TestHost) Loads the plugin anew: on_unload hands its state to on_load.
---@field set_config fun(self: TestHost, values: table<string, any>) Sets values of the config, as an admin would.
---@field fixture fun(self: TestHost, name: string): any Runs a recorded call again, from a file below `tests/` as `GET /api/v1/traces/{id}` gives it: `{same, outcome, output, diff, diverged, …}`.
---@field wav fun(self: TestHost, name: string, parts: any[]): string Writes a WAV into the recordings folder, of parts `{seconds, level, hz}` (level in dB; silence without it); gives its path.
---@field http TestHttp Other servers.
---@field process TestProcess Programs.
---@field kv TestKv What the plugin keeps.

--- Other servers, as the plugin reaches them: none, unless the test answers.
---@class TestHttp
---@field respond fun(self: TestHttp, pattern: string, answer: any) Answers requests that fit: an address in which `*` is anything, a method before it or not. The answer is `{status, headers, json, body, delay, error}`, or a function of the request that gives one.
---@field requests fun(self: TestHttp): any[] The requests so far: `{method, url, headers, body, json}`.

--- Programs, as the plugin runs them: none, unless the test answers.
---@class TestProcess
---@field respond fun(self: TestProcess, tool: string, answer: any) Runs in the place of `tool`: `{code, stdout, stderr, delay, error}`, or a function of `{tool, args, stdin}` that gives one.
---@field runs fun(self: TestProcess): any[] The runs so far: `{tool, args, stdin}`.

--- What the plugin keeps under keys.
---@class TestKv
---@field get fun(self: TestKv, key: string): any The value of a key.
---@field set fun(self: TestKv, key: string, value: any) Sets a key; nil removes it.
---@field list fun(self: TestKv, prefix?: string): string[] The keys that begin so, sorted.

---@class Panotti : Panotti_top
---@field on Panotti_on
---@field task Panotti_task
---@field log Panotti_log
---@field json Panotti_json
---@field yaml Panotti_yaml
---@field base64 Panotti_base64
---@field hash Panotti_hash
---@field uuid Panotti_uuid
---@field url Panotti_url
---@field regex Panotti_regex
---@field time Panotti_time
---@field once Panotti_once
---@field export Panotti_export
---@field import Panotti_import
---@field route Panotti_route
---@field schedule Panotti_schedule
---@field kv Panotti_kv
---@field fs Panotti_fs
---@field assets Panotti_assets
---@field notify Panotti_notify
---@field process Panotti_process
---@field http Panotti_http
---@field events Panotti_events
---@field recordings Panotti_recordings
---@field clips Panotti_clips
---@field db Panotti_db
---@field media Panotti_media
panotti = {}
