INSERT INTO {table} (
  {session_id},
  {data},
  {created_at}, -- if created_at
  {updated_at}, -- if updated_at
  {expires_at}, -- if expires_at
  {user}, -- if user_column
)
SELECT
  change_id,
  CAST(change_data AS {data_type}),
  {created_start}, -- if created_at
  {updated_start}, -- if updated_at
  {expires_now} + :expiry_micros * interval '1 microsecond', -- if expires_at
  change_user, -- if user_column
FROM unnest(
    :ids,
    :datas,
    :users, -- if user_column
  ) AS change (
    change_id,
    change_data,
    change_user, -- if user_column
  )
WHERE (SELECT set_config('lock_timeout', '{lock_bound}', TRUE)) IS NOT NULL
ON CONFLICT DO NOTHING
RETURNING {session_id_text}
