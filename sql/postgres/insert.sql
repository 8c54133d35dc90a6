INSERT INTO {table} (
  {session_id},
  {data},
  {created_at}, -- if created_at
  {updated_at}, -- if updated_at
  {expires_at}, -- if expires_at
  {user}, -- if user_column
) VALUES (
  :new_id,
  CAST(:data AS {data_type}),
  {created_start}, -- if created_at
  {updated_start}, -- if updated_at
  {expires_now} + :expiry_micros * interval '1 microsecond', -- if expires_at
  :user, -- if user_column
)
