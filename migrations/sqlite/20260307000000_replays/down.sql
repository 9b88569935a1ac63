DROP INDEX deliveries_given_up_last;
DROP INDEX deliveries_of_replay;
CREATE INDEX deliveries_of_replay ON deliveries (replay_id) WHERE replay_id IS NOT NULL;
DROP TABLE backfills;
DROP TABLE replays;
