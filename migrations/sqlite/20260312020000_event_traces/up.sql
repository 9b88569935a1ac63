-- The distributed trace that an event belongs to, as a W3C traceparent whose span is the event.
ALTER TABLE events ADD COLUMN traceparent TEXT;
