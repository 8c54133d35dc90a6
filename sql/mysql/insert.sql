INSERT INTO {table} (
  {session_id},
  {data},
  {created_at}, -- if created_at
  {updated_at}, -- if updated_at
  {expires_at}, -- if expires_at
  {user}, -- if user_column
) VALUES (
  :new_id,
  :data,
  {created_now}, -- if created_at
  {updated_now}, -- if updated_at
  UTC_TIMESTAMP(6) + INTERVAL :expiry_micros MICROSECOND, -- if expires_at
  :user, -- if user_column
)
