ALTER TABLE events DROP COLUMN plugins;
