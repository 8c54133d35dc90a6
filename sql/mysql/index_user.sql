CREATE INDEX {index_user} ON {table} ({user}) LOCK = NONE
