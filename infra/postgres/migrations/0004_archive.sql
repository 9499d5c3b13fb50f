-- Old positions, and what is known about what was forgotten.

-- Events that were moved out of `events`: block n holds those of the positions 256 n + 1 … 256 n + 256 that were moved.
create table thespis.archive (
  block  bigint   not null primary key,
  format smallint not null,                  -- how `body` is packed, see infra/postgres/archive_block.py
  events integer  not null,
  last   bigint   not null,                  -- the highest position in it
  types  text[]   collate "C" not null,
  body   bytea    not null
);
alter table thespis.archive alter column body set storage external;

-- Where the archived versions of a stream are: for each ten bytes, the version (two, its place in the chunk of 1,000)
-- and the position (eight), in no order.
create table thespis.archive_streams (
  tenant text    collate "C" not null,
  stream text    collate "C" not null,
  chunk  integer not null,                   -- version / 1000
  places bytea   not null,
  primary key (tenant, stream, chunk)
);

-- Messages handled before `messages` (microseconds since 1970) may be forgotten.
create table thespis.horizon (
  one      boolean not null primary key default true check (one),
  messages bigint  not null
);

-- Delete those of the bodies that nothing refers to. Under the lock of the log: nobody is about to refer to one.
create function thespis.drop_blobs(hashes bytea[]) returns bigint language plpgsql volatile as $$
declare
  dropped bigint;
begin
  perform thespis.lock_log();
  delete from thespis.blobs b
   where b.sha256 = any (hashes) and not b.archived
     and not exists (select from thespis.events e where e.blob = b.sha256)
     and not exists (select from thespis.messages m where m.blob = b.sha256)
     and not exists (select from thespis.mailbox m where m.blob = b.sha256);
  get diagnostics dropped = row_count;
  return dropped;
end $$;
