-- The registry of read models. Their own tables are made from what each declares: p_<projection>_<build>_<table>.

create table thespis.projection_builds (
  projection text    collate "C" not null,
  number     bigint  not null,
  version    integer not null,
  state      text    collate "C" not null check (state in ('live', 'building', 'standby')),
  cursor     bigint  not null default 0,     -- the last position folded in
  revision   bigint  not null default 0,     -- one more with every commit: compared and set
  indexed    boolean not null default false, -- secondary indexes come once the build has caught up
  tables     bytea   not null,               -- the declaration, as JSON
  created_at bigint  not null,               -- microseconds since 1970
  kept_until bigint  not null default 0,     -- of a standby: when it is dropped (µs)
  note       text    not null default '',    -- of a standby: why it did not become live, if that was refused
  declined   integer not null default 0,     -- of the live one: the version a person switched away from
  primary key (projection, number)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
-- None of these indexes holds a column that a commit changes, so commits are HOT updates.
create unique index projection_live on thespis.projection_builds (projection) where state = 'live';
create unique index projection_building on thespis.projection_builds (projection) where state = 'building';

-- Numbers are never used again, so neither are table names: no plan outlives its table.
create sequence thespis.projection_numbers;

-- What readers were switched to, written by the transaction that switched them; the log is told afterwards, once.
create table thespis.projection_switches (
  id           text    collate "C" primary key, -- of the event
  projection   text    collate "C" not null,
  from_build   bigint  not null,
  from_version integer not null,
  to_build     bigint  not null,
  to_version   integer not null,
  position     bigint  not null,                -- where both stood
  comparison   bytea   not null,                -- as JSON
  by           text    not null,
  reason       text    not null,
  at           bigint  not null,                -- microseconds since 1970
  recorded     bigint,                          -- the event's position in the log
  ordinal      bigint  not null generated always as identity
);
create index projection_switches_of on thespis.projection_switches (projection, ordinal);
create index projection_switches_untold on thespis.projection_switches (ordinal) where recorded is null;

-- Keys at which a fold failed, and the events that wait for them.
create table thespis.projection_parked (
  projection text   collate "C" not null,
  number     bigint not null,
  key        text   collate "C" not null,
  position   bigint not null,
  error      text   not null,
  since      bigint not null,
  primary key (projection, number, key),
  foreign key (projection, number) references thespis.projection_builds on delete cascade
);
create table thespis.projection_held (
  projection text   collate "C" not null,
  number     bigint not null,
  key        text   collate "C" not null,
  position   bigint not null,
  primary key (projection, number, key, position),
  foreign key (projection, number) references thespis.projection_builds on delete cascade
);

-- What people decided about them. Kept when the build is gone.
create table thespis.projection_decisions (
  projection text    collate "C" not null,
  number     bigint  not null,
  key        text    collate "C" not null,
  action     text    collate "C" not null check (action in ('retry', 'discard')),
  by         text    not null,
  reason     text    not null,
  events     bigint  not null,
  at         bigint  not null,
  id         bigint  not null generated always as identity primary key
);
create index projection_decisions_of on thespis.projection_decisions (projection, id);
