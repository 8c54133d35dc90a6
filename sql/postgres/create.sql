CREATE TABLE {table} (
  {key} bigserial PRIMARY KEY,
  {session_id} character varying NOT NULL,
  {data} text,
  {created_at} timestamp(6) without time zone NOT NULL,
  {updated_at} timestamp(6) without time zone NOT NULL
)
