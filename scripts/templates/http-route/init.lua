-- Answers HTTP requests below /api/v1/plugins/{{name}}/x, with the server's own keys.

-- Keeps a note about anything: PUT /notes/tuesday {"text": "…"}. A PUT needs a key with the scope plugins:manage.
panotti.route("PUT", "/notes/{name}", function(request)
  local note = request.json
  if type(note) ~= "table" or type(note.text) ~= "string" then
    return panotti.deny("the body must be JSON such as {\"text\": \"…\"}", { status = 400 })
  end
  -- Stored before the answer is sent.
  panotti.kv.set("note:" .. request.params.name, { text = note.text, at = panotti.time.format() })
  return { saved = request.params.name }
end, { summary = "Keeps a note" })

-- GET needs plugins:read.
panotti.route("GET", "/notes/{name}", function(request)
  local note = panotti.kv.get("note:" .. request.params.name)
  if note == nil then
    return panotti.respond({ status = 404, json = { error = "there is no such note" } })
  end
  return note
end, { summary = "One note" })

panotti.route("GET", "/notes", function()
  local names = {}
  for _, key in ipairs(panotti.kv.list("note:") or {}) do
    table.insert(names, (string.sub(key, #"note:" + 1)))
  end
  -- An empty list stays a list.
  return { names = panotti.json.array(names) }
end, { summary = "The names of all notes" })
