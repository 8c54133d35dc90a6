UPDATE {table} SET
  {session_id} = :new_id, -- if rekey
  {data} = :data, -- if data
  {created_at} = {created_now}, -- if restart and created_at
  {updated_at} = {updated_now}, -- if touch and updated_at
  {expires_at} = UTC_TIMESTAMP(6) + INTERVAL :expiry_micros MICROSECOND, -- if expiry and expires_at
  {user} = :user, -- if user and user_column
WHERE {session_id} = :id
  AND {session_id_bytes} = :id -- if collated
  AND {data_guarded} <=> :guard -- if guard
  AND {updated_at} > UTC_TIMESTAMP(6) - INTERVAL :idle_micros MICROSECOND -- if idle
  AND {created_at} > UTC_TIMESTAMP(6) - INTERVAL :lifetime_micros MICROSECOND -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > UTC_TIMESTAMP(6)) -- if expires_at
