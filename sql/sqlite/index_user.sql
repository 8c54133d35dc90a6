CREATE INDEX {index_user} ON {bare_table} ({user})
