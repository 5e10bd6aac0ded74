-- A balance that is written anew finds room beside what it was: its index entries stay as they are.
ALTER TABLE account_balances SET (fillfactor = 50);
