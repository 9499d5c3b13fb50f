-- The registry of read models. Their own tables are made from what each declares: p_<projection>_<build>_<table>.

create table thespis.projection_builds (
  projection text    collate "C" not null,
  number     bigint  not null,
  version    integer not null,
  state      text    collate "C" not null check (state in ('live', 'building', 'retired')),
  cursor     bigint  not null default 0,     -- the last position folded in
  revision   bigint  not null default 0,     -- one more with every commit: compared and set
  indexed    boolean not null default false, -- secondary indexes come once the build has caught up
  tables     bytea   not null,               -- the declaration, as JSON
  created_at bigint  not null,               -- microseconds since 1970
  primary key (projection, number)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
-- None of these indexes holds a column that a commit changes, so commits are HOT updates.
create unique index projection_live on thespis.projection_builds (projection) where state = 'live';
create unique index projection_building on thespis.projection_builds (projection) where state = 'building';

-- Numbers are never used again, so neither are table names: no plan outlives its table.
create sequence thespis.projection_numbers;

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
