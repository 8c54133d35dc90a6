-- unique_id
CREATE UNIQUE INDEX {index_unique} ON {bare_table} ({session_id})
-- created_at
ALTER TABLE {table} ADD COLUMN {created_at} datetime(6) NOT NULL DEFAULT {now}
-- updated_at
ALTER TABLE {table} ADD COLUMN {updated_at} datetime(6) NOT NULL DEFAULT {now}
-- blob_ids
UPDATE {table} SET {session_id} = CAST({session_id} AS text) WHERE typeof({session_id}) = 'blob'
-- twins
DELETE FROM {table} WHERE {key} IN (KEYS)
-- created_times
UPDATE {table} SET {created_at} = {now} WHERE {key} IN (KEYS)
-- updated_times
UPDATE {table} SET {updated_at} = {now} WHERE {key} IN (KEYS)
