DELETE FROM {table}
WHERE {key} = :key
  AND (FALSE -- if age
    OR {updated_at} <= :idle_since -- if age and idle
    OR {created_at} <= :born_since -- if age and lifetime
  ) -- if age
