-- What the key was called, the X-Request-Id of the request, and how it ended: `ok`, `failed` or `denied`.
ALTER TABLE audit ADD COLUMN actor_name TEXT;
ALTER TABLE audit ADD COLUMN request_id TEXT;
ALTER TABLE audit ADD COLUMN outcome TEXT NOT NULL DEFAULT 'ok';
CREATE INDEX audit_by_request ON audit (request_id) WHERE request_id IS NOT NULL;
