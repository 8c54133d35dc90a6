SELECT
  CAST({key} AS text) AS row_key,
  {session_id_text} AS row_id,
  octet_length({data_out}),
  {data_out}, -- if payload
  CAST(NULL AS text), -- unless payload
  {created_at}, -- if created_at
  CAST(NULL AS timestamptz), -- unless created_at
  {updated_at}, -- if updated_at
  CAST(NULL AS timestamptz), -- unless updated_at
  {user} -- if user_column
  CAST(NULL AS text) -- unless user_column
FROM {table}
WHERE TRUE
  AND {key} > CAST(:after AS {key_type}) -- if after
  AND (FALSE -- if age
    OR {updated_at} <= {updated_start} - :idle_micros * interval '1 microsecond' -- if idle
    OR {created_at} <= {created_start} - :lifetime_micros * interval '1 microsecond' -- if lifetime
  ) -- if age
  AND {user} = :user -- if user and user_column
  AND {user} IS NULL -- if unknown and user_column
ORDER BY {key}
LIMIT :limit
