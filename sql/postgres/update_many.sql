UPDATE {table} SET
  {session_id} = change_new_id, -- if rekey
  {data} = CAST(change_data AS {data_type}), -- if data
  {created_at} = {created_now}, -- if restart and created_at
  {updated_at} = {updated_now}, -- if touch and updated_at
  {expires_at} = {expires_now} + :expiry_micros * interval '1 microsecond', -- if expiry and expires_at
  {user} = change_user, -- if user and user_column
FROM unnest(
    :ids,
    :new_ids, -- if rekey
    :datas, -- if data
    :guards, -- if guard
    :users, -- if user and user_column
  ) WITH ORDINALITY AS change (
    change_id,
    change_new_id, -- if rekey
    change_data, -- if data
    change_guard, -- if guard
    change_user, -- if user and user_column
    change_number
  )
WHERE (SELECT set_config('lock_timeout', '{lock_bound}', TRUE)) IS NOT NULL
  AND {session_id} = change_id
  AND {session_id_text} COLLATE "C" = change_id -- if collated
  AND {data_guarded} IS NOT DISTINCT FROM change_guard -- if guard
  AND {updated_at} > {updated_now} - :idle_micros * interval '1 microsecond' -- if idle
  AND {created_at} > {created_now} - :lifetime_micros * interval '1 microsecond' -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > {expires_now}) -- if expires_at
RETURNING change_number
