INSERT INTO {table} (
  {session_id},
  {data},
  {created_at}, -- if created_at
  {updated_at}, -- if updated_at
  {expires_at}, -- if expires_at
)
SELECT
  change_id,
  CAST(change_data AS {data_type}),
  {created_start}, -- if created_at
  {updated_start}, -- if updated_at
  {expires_now} + :expiry_micros * interval '1 microsecond', -- if expires_at
FROM unnest(:ids, :datas) AS change (change_id, change_data)
WHERE (SELECT set_config('lock_timeout', '{lock_bound}', TRUE)) IS NOT NULL
ON CONFLICT DO NOTHING
RETURNING {session_id_text}
