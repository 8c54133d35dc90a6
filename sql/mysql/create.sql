CREATE TABLE {table} (
  {key} bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  {session_id} varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  {data} text, -- unless tuned
  {data} mediumtext, -- if tuned
  {created_at} datetime(6) NOT NULL,
  {updated_at} datetime(6) NOT NULL,
  {user} varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, -- if user_column
  UNIQUE INDEX {index_id} ({session_id}),
  INDEX {index_user} ({user}), -- if user_column
  INDEX {index_updated} ({updated_at}) -- unless tuned
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4
