CREATE INDEX {index_updated} ON {table} ({updated_at})
