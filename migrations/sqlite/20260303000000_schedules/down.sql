DROP TABLE plugin_once;
DROP TABLE schedule_runs;
DROP TABLE schedules;
