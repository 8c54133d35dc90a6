DELETE FROM {table}
WHERE {key} IN (:keys)
  AND {session_id_bytes} IN (:keys) -- if id_key and collated
  AND (FALSE -- if age
    OR {updated_at} <= UTC_TIMESTAMP(6) - INTERVAL :idle_micros MICROSECOND -- if age and idle
    OR {created_at} <= UTC_TIMESTAMP(6) - INTERVAL :lifetime_micros MICROSECOND -- if age and lifetime
  ) -- if age
