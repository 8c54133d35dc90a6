ALTER TABLE {table} ADD COLUMN {user} character varying COLLATE "C"
