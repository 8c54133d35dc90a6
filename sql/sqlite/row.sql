SELECT
  {key},
  {session_id},
  length(CAST({data} AS BLOB)),
  {data},
  {created_at}, -- if created_at
  NULL, -- unless created_at
  {updated_at}, -- if updated_at
  NULL, -- unless updated_at
  {user} -- if user_column
  NULL -- unless user_column
FROM {table}
WHERE {key} = :key
