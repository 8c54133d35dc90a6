CREATE UNIQUE INDEX {index_id} ON {bare_table} ({session_id})
