-- unique_id
CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({session_id})
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
-- rights
GRANT {missing_rights} ON {table} TO {grantee}
-- sequence
GRANT USAGE ON SEQUENCE {missing_sequence} TO {grantee}
-- created_times
UPDATE {table} SET {created_at} = {created_now}
WHERE {created_at} IS NULL OR NOT isfinite({created_at})
-- updated_times
UPDATE {table} SET {updated_at} = {updated_now}
WHERE {updated_at} IS NULL OR NOT isfinite({updated_at})
