SELECT 'clock', '', CAST(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS text)
UNION ALL
SELECT 'setting', name, setting
FROM pg_catalog.pg_settings
WHERE name IN (
  'server_version', 'synchronous_commit', 'fsync', 'full_page_writes', 'default_transaction_isolation',
  'default_transaction_read_only', 'autovacuum', 'max_connections'
)
UNION ALL
SELECT 'index', CAST(attribute.attname AS text), ''
FROM pg_catalog.pg_index AS index
JOIN pg_catalog.pg_attribute AS attribute
  ON attribute.attrelid = index.indrelid AND attribute.attnum = index.indkey[0]
WHERE index.indrelid = to_regclass($1)
  AND index.indisvalid
  AND index.indpred IS NULL
UNION ALL
SELECT 'type', '', format_type(attribute.atttypid, attribute.atttypmod)
FROM pg_catalog.pg_attribute AS attribute
WHERE attribute.attrelid = to_regclass($1)
  AND attribute.attname = $2
  AND NOT attribute.attisdropped
