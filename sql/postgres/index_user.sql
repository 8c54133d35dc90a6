CREATE INDEX {index_user} ON {table} ({user}, {key}) -- unless online
CREATE INDEX CONCURRENTLY {index_user} ON {table} ({user}, {key}) -- if online
