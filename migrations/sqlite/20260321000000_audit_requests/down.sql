DROP INDEX audit_by_request;
ALTER TABLE audit DROP COLUMN outcome;
ALTER TABLE audit DROP COLUMN request_id;
ALTER TABLE audit DROP COLUMN actor_name;
