EXPLAIN INSERT INTO {table} ({session_id}, {data}) VALUES ('', '')
EXPLAIN UPDATE {table} SET {session_id} = {session_id}, {data} = {data} WHERE FALSE
EXPLAIN DELETE FROM {table} WHERE FALSE
