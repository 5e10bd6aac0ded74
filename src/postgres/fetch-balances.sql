FETCH 10000 FROM every_balance
