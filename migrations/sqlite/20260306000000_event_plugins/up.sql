-- The plugins that led to an event, separated by commas: what one has set off itself opens no sound to it.
ALTER TABLE events ADD COLUMN plugins TEXT;
