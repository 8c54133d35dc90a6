UPDATE {table} SET
  {session_id} = :new_id, -- if rekey
  {data} = CAST(:data AS {data_type}), -- if data
  {created_at} = {created_now}, -- if restart and created_at
  {updated_at} = {updated_now}, -- if touch and updated_at
  {expires_at} = {expires_now} + :expiry_micros * interval '1 microsecond', -- if expiry and expires_at
  {user} = :user, -- if user and user_column
WHERE {session_id} = :id
  AND {session_id_text} COLLATE "C" = :id -- if collated
  AND {data_guarded} IS NOT DISTINCT FROM :guard -- if guard
  AND {updated_at} > {updated_now} - :idle_micros * interval '1 microsecond' -- if idle
  AND {created_at} > {created_now} - :lifetime_micros * interval '1 microsecond' -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > {expires_now}) -- if expires_at
