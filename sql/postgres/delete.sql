WITH sqlbypass_lock AS ( -- if alone
  SELECT pg_try_advisory_xact_lock({lock_number}, hashtext(coalesce(current_schema(), ''))) AS held -- if alone
), sqlbypass_gone AS ( -- if alone
DELETE FROM {table}
WHERE {key} = ANY(CAST(:keys AS {key_type}[]))
  AND (SELECT held FROM sqlbypass_lock) -- if alone
  AND (FALSE -- if age
    OR {updated_at} <= {updated_start} - :idle_micros * interval '1 microsecond' -- if age and idle
    OR {created_at} <= {created_start} - :lifetime_micros * interval '1 microsecond' -- if age and lifetime
  ) -- if age
RETURNING 1 -- if alone
) SELECT held, (SELECT count(*) FROM sqlbypass_gone) FROM sqlbypass_lock -- if alone
