-- Large results of tasks are kept among the large bodies, although no row of the log refers to them by a column: what
-- names them is inside the JSON of events. They carry a mark of their own.

alter table thespis.blobs add column kept boolean not null default false;

create or replace function thespis.drop_blobs(hashes bytea[]) returns bigint language plpgsql volatile as $$
declare
  dropped bigint;
begin
  perform thespis.lock_log();
  delete from thespis.blobs b
   where b.sha256 = any (hashes) and not b.archived and not b.kept
     and not exists (select from thespis.events e where e.blob = b.sha256)
     and not exists (select from thespis.messages m where m.blob = b.sha256)
     and not exists (select from thespis.mailbox m where m.blob = b.sha256);
  get diagnostics dropped = row_count;
  return dropped;
end $$;
