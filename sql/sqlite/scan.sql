SELECT
  {key},
  {session_id},
  length(CAST({data} AS BLOB)),
  {data}, -- if payload
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
    OR {updated_at} <= :idle_since -- if idle
    OR {created_at} <= :born_since -- if lifetime
  ) -- if age
  AND {user} = :user -- if user and user_column
  AND {user} IS NULL -- if unknown and user_column
ORDER BY {key}
LIMIT :limit
