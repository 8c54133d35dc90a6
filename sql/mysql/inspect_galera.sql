SHOW STATUS WHERE Variable_name = 'wsrep_ready'
