SELECT 'clock', '', CAST(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS text)
UNION ALL
SELECT 'setting', name, setting
FROM pg_catalog.pg_settings
WHERE name IN (
  'server_version', 'synchronous_commit', 'fsync', 'full_page_writes', 'default_transaction_isolation',
  'default_transaction_read_only', 'autovacuum', 'max_connections'
)
UNION ALL
SELECT 'setting', 'user', quote_ident(current_user)
UNION ALL
SELECT 'setting', 'missing_rights', coalesce(string_agg(privilege, ', '), '')
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
WHERE NOT CASE privilege
  WHEN 'DELETE' THEN has_table_privilege(to_regclass($1), privilege)
  ELSE has_any_column_privilege(to_regclass($1), privilege)
END
UNION ALL
SELECT 'setting', 'missing_sequence', coalesce(min(format('%I.%I', schema.nspname, sequence.relname)), '')
FROM pg_catalog.pg_depend AS link
JOIN pg_catalog.pg_class AS sequence ON sequence.oid = link.objid
JOIN pg_catalog.pg_namespace AS schema ON schema.oid = sequence.relnamespace
WHERE link.classid = CAST('pg_catalog.pg_class' AS regclass)
  AND link.refobjid = to_regclass($1)
  AND link.deptype = 'a'
  AND CASE WHEN sequence.relkind = 'S' THEN NOT has_sequence_privilege(sequence.oid, 'USAGE, UPDATE') ELSE FALSE END
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
UNION ALL
SELECT 'setting', CAST(attribute.attname AS text) || '_type', format_type(attribute.atttypid, NULL)
FROM pg_catalog.pg_attribute AS attribute
WHERE attribute.attrelid = to_regclass($1)
  AND attribute.attname IN ('created_at', 'updated_at')
  AND NOT attribute.attisdropped
UNION ALL
SELECT
  'setting',
  CASE WHEN key.indrelid IS NULL THEN 'unfilled' ELSE 'unfilled_key' END,
  CAST(attribute.attname AS text)
FROM pg_catalog.pg_attribute AS attribute
JOIN pg_catalog.pg_type AS type ON type.oid = attribute.atttypid
LEFT JOIN pg_catalog.pg_index AS key
  ON key.indrelid = attribute.attrelid AND key.indisprimary AND attribute.attnum = ANY(key.indkey)
WHERE attribute.attrelid = to_regclass($1)
  AND attribute.attnum > 0
  AND NOT attribute.attisdropped
  AND attribute.attnotnull
  AND NOT attribute.atthasdef
  AND attribute.attidentity = ''
  AND type.typdefault IS NULL
  AND attribute.attname NOT IN ($2, $3, 'created_at', 'updated_at', 'expires_at')
UNION ALL
SELECT 'setting', 'invalid_id_index', coalesce(min(format('%I.%I', schema.nspname, relation.relname)), '')
FROM pg_catalog.pg_index AS index
JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indexrelid
JOIN pg_catalog.pg_namespace AS schema ON schema.oid = relation.relnamespace
JOIN pg_catalog.pg_attribute AS attribute
  ON attribute.attrelid = index.indrelid AND attribute.attnum = index.indkey[0]
WHERE index.indrelid = to_regclass($1)
  AND index.indisunique
  AND NOT index.indisvalid
  AND index.indnatts = 1
  AND index.indpred IS NULL
  AND attribute.attname = $2
