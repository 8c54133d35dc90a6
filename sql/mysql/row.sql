SELECT
  {key_out},
  {session_id_bytes},
  OCTET_LENGTH({data_out}),
  {data_out},
  {created_at}, -- if created_at
  NULL, -- unless created_at
  {updated_at}, -- if updated_at
  NULL, -- unless updated_at
  {user} -- if user_column
  NULL -- unless user_column
FROM {table}
WHERE {key} = :key
