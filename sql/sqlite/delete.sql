DELETE FROM {table}
WHERE {key} = :key
  AND (FALSE -- if age
    OR {updated_at} <= :idle_since -- if idle
    OR {created_at} <= :born_since -- if lifetime
  ) -- if age
