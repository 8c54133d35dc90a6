CREATE TABLE {table} (
  {key} bigserial PRIMARY KEY,
  {session_id} character varying NOT NULL, -- unless tuned
  {session_id} character varying COLLATE "C" NOT NULL, -- if tuned
  {data} text,
  {created_at} timestamp(6) without time zone NOT NULL,
  {updated_at} timestamp(6) without time zone NOT NULL,
  {user} character varying COLLATE "C", -- if user_column
) -- unless tuned
) WITH (fillfactor = 85) -- if tuned
