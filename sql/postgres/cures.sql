-- unique_id
CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({session_id})
-- invalid_index
REINDEX INDEX {invalid_id_index}
-- primary_key
ALTER TABLE {table} ADD COLUMN {new_key} bigserial PRIMARY KEY
-- id_collation
ALTER TABLE {table} ALTER COLUMN {session_id} TYPE character varying COLLATE "C"
-- id_length
ALTER TABLE {table} ALTER COLUMN {session_id} TYPE character varying COLLATE "C"
-- data_length
ALTER TABLE {table} ALTER COLUMN {data} TYPE text
-- created_at
ALTER TABLE {table}
ADD COLUMN {created_at} timestamp(6) without time zone NOT NULL DEFAULT timezone('utc', now())
-- updated_at
ALTER TABLE {table}
ADD COLUMN {updated_at} timestamp(6) without time zone NOT NULL DEFAULT timezone('utc', now())
-- created_type
ALTER TABLE {table}
ALTER COLUMN {created_at} DROP DEFAULT,
ALTER COLUMN {created_at} TYPE timestamp(6) without time zone USING CAST({created_at} AS timestamp)
-- updated_type
ALTER TABLE {table}
ALTER COLUMN {updated_at} DROP DEFAULT,
ALTER COLUMN {updated_at} TYPE timestamp(6) without time zone USING CAST({updated_at} AS timestamp)
-- rights
GRANT {missing_rights} ON {table} TO {grantee}
-- sequence
GRANT USAGE ON SEQUENCE {missing_sequence} TO {grantee}
-- twins
DELETE FROM {table} WHERE {key} IN (KEYS)
-- created_times
UPDATE {table} SET {created_at} = {created_now}
WHERE {created_at} IS NULL OR NOT isfinite({created_at})
OR abs(extract(epoch FROM {created_at})) >= 3162240000000
-- updated_times
UPDATE {table} SET {updated_at} = {updated_now}
WHERE {updated_at} IS NULL OR NOT isfinite({updated_at})
OR abs(extract(epoch FROM {updated_at})) >= 3162240000000
