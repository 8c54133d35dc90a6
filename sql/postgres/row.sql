SELECT
  CAST({key} AS text) AS row_key,
  {session_id_text} AS row_id,
  octet_length({data_out}),
  {data_out},
  {created_at}, -- if created_at
  CAST(NULL AS timestamptz), -- unless created_at
  {updated_at}, -- if updated_at
  CAST(NULL AS timestamptz), -- unless updated_at
  {user} -- if user_column
  CAST(NULL AS text) -- unless user_column
FROM {table}
WHERE {key} = CAST(:key AS {key_type})
