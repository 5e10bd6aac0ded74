-- For the session of a writer, whose statements must not be planned once and for all: tables that were
-- empty then may be large now. And rows are found by their keys: what is written is in memory mostly.
SET plan_cache_mode = force_custom_plan;
SET random_page_cost = 1.1;
SET jit = off;
