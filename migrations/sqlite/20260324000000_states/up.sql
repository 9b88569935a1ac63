-- The same states, asked for one by one: a list of more than two is a table of its own in SQLite, built each time a row is
-- written. The checks alone change, so the rows stay where they are.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(
    sql,
    'processing_status IN (''pending'', ''processing'', ''completed'', ''failed'')',
    'processing_status = ''pending'' OR processing_status = ''processing'' OR processing_status = ''completed'' OR processing_status = ''failed'''
) WHERE type = 'table' AND name = 'clips';
UPDATE sqlite_schema SET sql = replace(
    sql,
    'status IN (''running'', ''completed'', ''failed'')',
    'status = ''running'' OR status = ''completed'' OR status = ''failed'''
) WHERE type = 'table' AND name = 'plugin_tasks';
UPDATE sqlite_schema SET sql = replace(
    sql,
    'kind IN (''delivery'', ''again'', ''test'')',
    'kind = ''delivery'' OR kind = ''again'' OR kind = ''test'''
) WHERE type = 'table' AND name = 'webhook_attempts';
PRAGMA writable_schema = RESET;
