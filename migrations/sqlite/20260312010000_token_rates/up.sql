-- How often a key may be used: so many requests in so many seconds; both or none.
ALTER TABLE tokens ADD COLUMN rate_requests BIGINT;
ALTER TABLE tokens ADD COLUMN rate_per_s BIGINT;
