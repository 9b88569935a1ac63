PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(
    sql,
    'processing_status = ''pending'' OR processing_status = ''processing'' OR processing_status = ''completed'' OR processing_status = ''failed''',
    'processing_status IN (''pending'', ''processing'', ''completed'', ''failed'')'
) WHERE type = 'table' AND name = 'clips';
UPDATE sqlite_schema SET sql = replace(
    sql,
    'status = ''running'' OR status = ''completed'' OR status = ''failed''',
    'status IN (''running'', ''completed'', ''failed'')'
) WHERE type = 'table' AND name = 'plugin_tasks';
UPDATE sqlite_schema SET sql = replace(
    sql,
    'kind = ''delivery'' OR kind = ''again'' OR kind = ''test''',
    'kind IN (''delivery'', ''again'', ''test'')'
) WHERE type = 'table' AND name = 'webhook_attempts';
PRAGMA writable_schema = RESET;
