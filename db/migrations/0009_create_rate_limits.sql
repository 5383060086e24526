-- Counters of rate limits that all nodes share, where there is no Redis or it is away. The columns are those that
-- rate-limiter-flexible writes, in its order. Logged: a counter of wrong passwords must outlive a crash of the server.

create table rate_limits (
  -- Name of the limit and a keyed hash of what is counted: no address and no account can be read here.
  key text primary key,
  points integer not null default 0,
  -- Milliseconds since 1970, when the window ends.
  expire bigint not null
);

-- Rows are counted up far more often than they begin: room beside the old version keeps the new one out of the indexes.
alter table rate_limits set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

create index rate_limits_expire on rate_limits (expire);
