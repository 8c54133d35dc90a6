ALTER TABLE {table} ADD COLUMN {user} varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, LOCK = NONE
