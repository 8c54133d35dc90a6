SELECT
  {key_out},
  {session_id_bytes},
  OCTET_LENGTH({data_out}),
  {data_out}, -- if payload
  NULL, -- unless payload
  {created_at}, -- if created_at
  NULL, -- unless created_at
  {updated_at}, -- if updated_at
  NULL, -- unless updated_at
  {user} -- if user_column
  NULL -- unless user_column
FROM {table}
WHERE TRUE
  AND {key} > :after -- if after
  AND (FALSE -- if age
    OR {updated_at} <= UTC_TIMESTAMP(6) - INTERVAL :idle_micros MICROSECOND -- if idle
    OR {created_at} <= UTC_TIMESTAMP(6) - INTERVAL :lifetime_micros MICROSECOND -- if lifetime
  ) -- if age
  AND {user} = :user -- if user and user_column
  AND {user_bytes} = :user -- if user and user_column
  AND {user} IS NULL -- if unknown and user_column
ORDER BY {key}
LIMIT :limit
