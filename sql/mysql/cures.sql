-- unique_id
ALTER TABLE {table} {modify_id}ADD UNIQUE INDEX ({session_id})
-- primary_key
ALTER TABLE {table} ADD COLUMN {new_key} bigint NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST
-- id_collation
ALTER TABLE {table} MODIFY {id_definition}
-- id_length
ALTER TABLE {table} MODIFY {id_definition}
-- data_length
ALTER TABLE {table} MODIFY {data_definition}
-- created_at
{in_utc}ALTER TABLE {table} ADD COLUMN {created_at} datetime(6) NOT NULL DEFAULT {utc_now}
-- updated_at
{in_utc}ALTER TABLE {table} ADD COLUMN {updated_at} datetime(6) NOT NULL DEFAULT {utc_now}
-- twins
DELETE FROM {table} WHERE {key_out} IN (KEYS)
-- created_times
{utc}UPDATE {table} SET {created_at} = UTC_TIMESTAMP(6)
WHERE {created_at} IS NULL OR MONTH({created_at}) = 0 OR DAYOFMONTH({created_at}) = 0
-- updated_times
{utc}UPDATE {table} SET {updated_at} = UTC_TIMESTAMP(6)
WHERE {updated_at} IS NULL OR MONTH({updated_at}) = 0 OR DAYOFMONTH({updated_at}) = 0
-- created_type
ALTER TABLE {table} MODIFY {created_definition}
-- updated_type
ALTER TABLE {table} MODIFY {updated_definition}
-- engine
ALTER TABLE {table} ENGINE = InnoDB
-- rights
GRANT {missing_rights} ON {table} TO {grantee}
