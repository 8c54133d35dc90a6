DELETE FROM {table}
WHERE {key} = ANY(CAST(:keys AS {key_type}[]))
  AND (FALSE -- if age
    OR {updated_at} <= {updated_start} - :idle_micros * interval '1 microsecond' -- if idle
    OR {created_at} <= {created_start} - :lifetime_micros * interval '1 microsecond' -- if lifetime
  ) -- if age
