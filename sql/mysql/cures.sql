-- unique_id
ALTER TABLE {table}
MODIFY {session_id} varchar(255) CHARACTER SET ascii COLLATE ascii_bin {id_null},
ADD UNIQUE INDEX ({session_id})
-- primary_key
ALTER TABLE {table} ADD COLUMN {new_key} bigint NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST
-- id_collation
ALTER TABLE {table} MODIFY {session_id} varchar(255) CHARACTER SET ascii COLLATE ascii_bin {id_null}
-- id_length
ALTER TABLE {table} MODIFY {session_id} varchar(255) CHARACTER SET ascii COLLATE ascii_bin {id_null}
-- data_length
ALTER TABLE {table} MODIFY {data} {wide_data}
-- created_at
ALTER TABLE {table} ADD COLUMN {created_at} datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6))
-- updated_at
ALTER TABLE {table} ADD COLUMN {updated_at} datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6))
-- rights
GRANT {missing_rights} ON {table} TO {grantee}
