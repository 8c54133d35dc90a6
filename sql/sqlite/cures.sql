-- unique_id
CREATE UNIQUE INDEX {index_unique} ON {bare_table} ({session_id})
-- created_at
ALTER TABLE {table} ADD COLUMN {created_at} datetime(6) NOT NULL DEFAULT {now}
-- updated_at
ALTER TABLE {table} ADD COLUMN {updated_at} datetime(6) NOT NULL DEFAULT {now}
