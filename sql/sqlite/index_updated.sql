CREATE INDEX {index_updated} ON {bare_table} ({updated_at})
