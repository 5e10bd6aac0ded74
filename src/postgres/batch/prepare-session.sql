-- For the session of a writer. Balances and events are found by their keys, one by one, however many the
-- planner believes there are: nobody has counted what was staged just now, and a plan that was made while a
-- table was small is kept when it is large.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET jit = off;
