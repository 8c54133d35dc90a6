CREATE UNIQUE INDEX {index_id} ON {table} ({session_id})
