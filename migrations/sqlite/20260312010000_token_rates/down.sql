ALTER TABLE tokens DROP COLUMN rate_per_s;
ALTER TABLE tokens DROP COLUMN rate_requests;
