ALTER TABLE {table} ADD COLUMN {user} varchar
