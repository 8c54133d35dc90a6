CREATE TABLE {table} (
  {key} integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  {session_id} varchar NOT NULL,
  {data} text,
  {created_at} datetime(6) NOT NULL,
  {updated_at} datetime(6) NOT NULL,
  {user} varchar, -- if user_column
)
