-- The log, and the rows that are written with it. Everything lives in the schema `thespis`.
--
-- Names sort and compare by code point (collate "C"): the order is the same everywhere, and comparing is cheap.

create table thespis.events (
  position    bigint  not null primary key,
  tenant      text    collate "C" not null,
  stream      text    collate "C" not null,
  version     integer not null,
  id          text    collate "C" not null,
  type        text    collate "C" not null,
  schema      integer not null,
  data        bytea,                         -- null: in blobs
  causation   text    collate "C" not null,
  correlation text    collate "C" not null,
  epoch       bigint  not null,              -- 0: guarded by its version alone
  recorded_at bigint  not null,              -- microseconds since 1970; only imported events may be older than those before
  trace       text    collate "C",
  meta        bytea,
  hash        bytea   not null,
  blob        bytea,
  unique (tenant, stream, version)
);

create index events_blob on thespis.events (blob) where blob is not null;

-- Bodies above 64 KiB, stored once however often they occur.
create table thespis.blobs (
  sha256   bytea   not null primary key,
  data     bytea   not null,
  archived boolean not null default false    -- an event that was, or may be, archived refers to it
);
alter table thespis.blobs alter column data set storage external;

-- Every message that was handled, and what it was answered: the message log, and by its primary key the inbox.
-- Of one that expired only id, stream and place are left.
create table thespis.messages (
  id          uuid    not null primary key,
  digest      bytea   not null,
  tenant      text    collate "C" not null,
  stream      text    collate "C" not null,
  type        text    collate "C" not null,
  schema      integer not null,
  data        bytea,
  blob        bytea,
  sender      text    collate "C" not null,
  time        bigint  not null,
  causation   text    collate "C" not null,
  correlation text    collate "C" not null,
  outcome     text    collate "C" not null,
  answer      bytea,
  version     integer not null,              -- of the stream, after this message
  position    bigint  not null,              -- of the log, after this message
  recorded_at bigint  not null,
  ordinal     integer not null,              -- its place in the batch that wrote it
  guarded     boolean not null,              -- it came with a row, so it cannot come again
  told        integer not null               -- how many tells were sent when it was decided
);
create index messages_stream on thespis.messages (tenant, stream, version) where outcome <> 'expired';
create index messages_blob on thespis.messages (blob) where blob is not null;

-- Tells on their way. A row is deleted by the append that consumes it.
create table thespis.mailbox (
  partition   integer not null,
  position    bigint  not null,
  ordinal     integer not null,
  tenant      text    collate "C" not null,
  stream      text    collate "C" not null,
  id          uuid    not null,
  type        text    collate "C" not null,
  schema      integer not null,
  data        bytea,
  blob        bytea,
  sender      text    collate "C" not null,
  time        bigint  not null,
  causation   text    collate "C" not null,
  correlation text    collate "C" not null,
  trace       text    collate "C",
  meta        bytea,
  primary key (partition, position, ordinal)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
create index mailbox_stream on thespis.mailbox (tenant, stream, position, ordinal);
create index mailbox_blob on thespis.mailbox (blob) where blob is not null;

-- What actors asked of the outside world, and what became of it.
create table thespis.effects (
  id           text    collate "C" not null primary key,
  tenant       text    collate "C" not null,
  stream       text    collate "C" not null,
  partition    integer not null,
  kind         text    collate "C" not null,
  effect_class text    collate "C" not null,
  key          text    collate "C" not null,
  data         bytea   not null,
  time         bigint  not null,
  causation    text    collate "C" not null,
  correlation  text    collate "C" not null,
  trace        text    collate "C",
  status       text    collate "C" not null,
  attempt      text    collate "C" not null,
  outcome      bytea,
  delivered    boolean not null
);
create index effects_open on thespis.effects (partition, id) where not delivered;

create table thespis.timers (
  tenant      text    collate "C" not null,
  stream      text    collate "C" not null,
  name        text    collate "C" not null,
  partition   integer not null,
  id          text    collate "C" not null,
  due         bigint  not null,
  type        text    collate "C" not null,
  schema      integer not null,
  data        bytea   not null,
  causation   text    collate "C" not null,
  correlation text    collate "C" not null,
  primary key (tenant, stream, name)
) with (autovacuum_vacuum_scale_factor = 0.05);
create index timers_due on thespis.timers (partition, due);

-- The newest snapshot of each stream: disposable.
create table thespis.snapshots (
  tenant  text    collate "C" not null,
  stream  text    collate "C" not null,
  version integer not null,
  fold    text    collate "C" not null,
  state   bytea   not null,
  primary key (tenant, stream)
);

create table thespis.state_hashes (
  tenant  text    collate "C" not null,
  stream  text    collate "C" not null,
  version integer not null,
  hash    bytea   not null,
  fold    text    collate "C" not null,
  primary key (tenant, stream, version)
);

-- A fork goes on from `version` of another stream, and is read through it up to there.
create table thespis.forks (
  tenant  text    collate "C" not null,
  stream  text    collate "C" not null,
  source  text    collate "C" not null,
  version integer not null,
  primary key (tenant, stream)
);

create table thespis.hosts (
  id         text   collate "C" not null primary key,
  started_at bigint not null,
  beat_at    bigint not null,
  ttl        bigint not null,                -- microseconds after beat_at
  info       bytea  not null
) with (fillfactor = 50);

create table thespis.partitions (
  partition integer not null primary key,
  owner     text    collate "C",
  epoch     bigint  not null
) with (fillfactor = 25);
insert into thespis.partitions select n, null, 0 from generate_series(0, 63) n;

-- Every claim of a partition, and the head of the log then: events under that epoch lie beyond it, and not beyond the
-- next claim's.
create table thespis.epochs (
  partition  integer not null,
  epoch      bigint  not null,
  owner      text    collate "C" not null,
  position   bigint  not null,
  claimed_at bigint  not null,
  primary key (partition, epoch)
);

-- Deaths of hosts with a message in hand.
create table thespis.strikes (
  tenant  text    collate "C" not null,
  stream  text    collate "C" not null,
  message text    collate "C" not null,
  count   integer not null,
  reason  text    not null,
  at      bigint  not null,
  primary key (tenant, stream, message)
);

-- Microseconds since 1970 by the database's clock, as it is now (not at the start of the transaction).
create function thespis.now_us() returns bigint language sql volatile parallel safe
  return (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- What an append brings, one type per family. `append` is the place (from 1) in the array of appends; `earlier` counts
-- the events of the appends before it.
create type thespis.fence as (partition integer, epoch bigint);
create type thespis.new_append as (tenant text, stream text, expected integer, head integer, fence integer, earlier integer);
create type thespis.new_fork as (append integer, source text, version integer);
create type thespis.new_blob as (append integer, sha256 bytea, data bytea);
create type thespis.new_event as (
  append integer, version integer, id text, type text, schema integer, data bytea, causation text, correlation text,
  epoch bigint, trace text, meta bytea, hash bytea, blob bytea
);
create type thespis.new_message as (
  append integer, upto integer, id uuid, digest bytea, type text, schema integer, data bytea, blob bytea, sender text,
  time bigint, causation text, correlation text, outcome text, answer bytea, guarded boolean,
  told integer
);
create type thespis.new_mail as (
  append integer, partition integer, ordinal integer, tenant text, stream text, id uuid, type text, schema integer,
  data bytea, blob bytea, sender text, time bigint, causation text, correlation text, trace text, meta bytea
);
create type thespis.taken_mail as (append integer, partition integer, position bigint, ordinal integer);
create type thespis.new_effect as (
  append integer, partition integer, id text, kind text, effect_class text, key text, data bytea, time bigint,
  causation text, correlation text, trace text, status text, attempt text, outcome bytea, delivered boolean
);
create type thespis.effect_change as (
  append integer, id text, status text, attempt text, outcome bytea, delivered boolean
);
create type thespis.new_timer as (
  append integer, partition integer, name text, id text, due bigint, type text, schema integer, data bytea,
  causation text, correlation text
);
create type thespis.dropped_timer as (append integer, name text, id text);  -- id null: cancelled, not fired
create type thespis.first_answer as (
  append integer, message uuid, reused boolean, outcome text, position bigint, version integer, answer bytea
);

-- The lock of the log. Held from before the first guard until the commit, so that positions are given in commit order.
create function thespis.lock_log() returns void language sql volatile
  return pg_advisory_xact_lock(8390881627149362);

-- Are the partitions still at these epochs? One boolean each, in order.
create function thespis.check_fences(fences thespis.fence[]) returns boolean[] language plpgsql volatile as $$
begin
  return (
    select array_agg(coalesce(p.epoch = f.epoch, false) order by f.ordinality)
      from unnest(fences) with ordinality f left join thespis.partitions p on p.partition = f.partition);
end $$;

-- The status of each append by its fence (1) and its stream's head (5); 0 when both hold.
--
-- A head holds when the row of that version is there (0: need not be) and none beyond. Asking for the two rows from the
-- expected version on costs one descent and one row; asking for the newest reads every version on its index page.
create function thespis.check_heads(appends thespis.new_append[], alive boolean[]) returns integer[]
language plpgsql volatile as $$
begin
  return (
    select array_agg(
             case when not alive[a.fence] then 1 when coalesce(h.version, 0) <> a.head then 5 else 0 end
             order by a.ordinality)
      from unnest(appends) with ordinality a
      left join lateral (
        select max(n.version) as version from (
          select e.version from thespis.events e
           where e.tenant = a.tenant and e.stream = a.stream and e.version >= a.head
           order by e.version limit 2) n) h on true);
end $$;

-- May an effect of this status, whose last attempt is `recorded`, be started as `attempt`? See events/append.py: as the
-- same attempt, or as a later one of the same epoch. Attempts are `epoch.n`; of two numbers the longer is the greater.
create function thespis.may_start(status text, recorded text, attempt text) returns boolean language sql immutable
  return status = 'requested' or status = 'started' and (
    recorded = attempt
    or strpos(recorded, '.') > 0 and strpos(attempt, '.') > 0
      and split_part(recorded, '.', 1) = split_part(attempt, '.', 1)
      and (length(attempt), attempt collate "C") > (length(recorded), recorded collate "C"));

-- Write a batch of appends: each is judged by its guards, those that pass are written whole, in the order given.
--
-- Under READ COMMITTED every statement of a volatile function has a fresh snapshot, so all guards see what the holder
-- of the lock before us committed. Within a batch no two appends may share a stream, message, mailbox row or effect:
-- the caller splits such a batch in two calls of one transaction.
--
-- `statuses` is null when all were written; `first` brings what duplicates were answered the first time.
create function thespis.append(
  appends  thespis.new_append[],
  events   thespis.new_event[],
  messages thespis.new_message[],
  fences   thespis.fence[],
  mails    thespis.new_mail[],
  taken    thespis.taken_mail[],
  effects  thespis.new_effect[],
  changes  thespis.effect_change[],
  timers   thespis.new_timer[],
  dropped  thespis.dropped_timer[],
  forks    thespis.new_fork[],
  blobs    thespis.new_blob[],
  out before bigint, out recorded_at bigint, out statuses integer[], out first thespis.first_answer[]
) language plpgsql volatile as $$
declare
  alive boolean[];
  hit record;
  total integer;
  width integer;
begin
  perform thespis.lock_log();

  select e.position, e.recorded_at into before, recorded_at from thespis.events e order by e.position desc limit 1;
  before := coalesce(before, 0);
  recorded_at := greatest(thespis.now_us(), recorded_at);

  if fences is not null then
    alive := thespis.check_fences(fences);
  end if;
  statuses := thespis.check_heads(appends, alive);

  -- Statuses are ranked: the smallest that applies is reported; of the messages the first one that was handled before.
  if messages is not null then
    for hit in
      select n.append, n.id, m.outcome <> 'expired' and m.digest <> n.digest as reused, m.outcome, m.position, m.version, m.answer
        from unnest(messages) with ordinality n
        cross join lateral (select * from thespis.messages o where o.id = n.id limit 1) m
       order by n.ordinality
    loop
      if statuses[hit.append] not in (1, 2, 3) then
        statuses[hit.append] := case when hit.reused then 3 else 2 end;
        first := array_append(first, row(hit.append, hit.id, hit.reused, hit.outcome, hit.position, hit.version,
                                         hit.answer)::thespis.first_answer);
      end if;
    end loop;
  end if;

  if taken is not null then
    for hit in
      select t.append from unnest(taken) t
       where not exists (select from thespis.mailbox m
                          where m.partition = t.partition and m.position = t.position and m.ordinal = t.ordinal)
    loop
      statuses[hit.append] := case when statuses[hit.append] in (0, 5) then 4 else statuses[hit.append] end;
    end loop;
  end if;

  if dropped is not null then
    for hit in
      select d.append from unnest(dropped) d
       where d.id is not null
         and not exists (select from thespis.timers t
                          where t.tenant = (appends[d.append]).tenant and t.stream = (appends[d.append]).stream
                            and t.name = d.name and t.id = d.id)
    loop
      statuses[hit.append] := case when statuses[hit.append] in (0, 5) then 4 else statuses[hit.append] end;
    end loop;
  end if;

  if changes is not null then
    for hit in
      select c.append from unnest(changes) c
       where not exists (select from thespis.effects f
                          where f.id = c.id
                            and f.tenant = (appends[c.append]).tenant
                            and (not f.delivered or f.status = 'unknown' and c.status in ('succeeded', 'failed'))
                            and (c.status <> 'started' or thespis.may_start(f.status, f.attempt, c.attempt)))
    loop
      statuses[hit.append] := case when statuses[hit.append] in (0, 5) then 4 else statuses[hit.append] end;
    end loop;
  end if;

  if effects is not null then
    for hit in
      select n.append from unnest(effects) n where exists (select from thespis.effects f where f.id = n.id)
    loop
      statuses[hit.append] := case when statuses[hit.append] = 0 then 5 else statuses[hit.append] end;
    end loop;
  end if;

  if forks is not null then
    for hit in
      select n.append from unnest(forks) n
       where n.version > coalesce(
               (select e.version from thespis.events e
                 where e.tenant = (appends[n.append]).tenant and e.stream = n.source order by e.version desc limit 1), 0)
    loop
      statuses[hit.append] := case when statuses[hit.append] = 0 then 5 else statuses[hit.append] end;
    end loop;
  end if;

  if 0 <> any (statuses) then
    -- Leave out what is not written, and close the gaps.
    total := 0;
    for i in 1 .. cardinality(appends) loop
      if statuses[i] = 0 then
        width := coalesce((appends[i + 1]).earlier, cardinality(events), 0) - (appends[i]).earlier;
        appends[i].earlier := total;
        total := total + width;
      end if;
    end loop;
    events := array(select events[i] from generate_subscripts(events, 1) i where statuses[(events[i]).append] = 0);
    messages := array(select messages[i] from generate_subscripts(messages, 1) i where statuses[(messages[i]).append] = 0);
    mails := array(select mails[i] from generate_subscripts(mails, 1) i where statuses[(mails[i]).append] = 0);
    taken := array(select taken[i] from generate_subscripts(taken, 1) i where statuses[(taken[i]).append] = 0);
    effects := array(select effects[i] from generate_subscripts(effects, 1) i where statuses[(effects[i]).append] = 0);
    changes := array(select changes[i] from generate_subscripts(changes, 1) i where statuses[(changes[i]).append] = 0);
    timers := array(select timers[i] from generate_subscripts(timers, 1) i where statuses[(timers[i]).append] = 0);
    dropped := array(select dropped[i] from generate_subscripts(dropped, 1) i where statuses[(dropped[i]).append] = 0);
    forks := array(select forks[i] from generate_subscripts(forks, 1) i where statuses[(forks[i]).append] = 0);
    blobs := array(select blobs[i] from generate_subscripts(blobs, 1) i where statuses[(blobs[i]).append] = 0);
  else
    statuses := null;
  end if;

  if blobs is not null then
    insert into thespis.blobs select b.sha256, b.data from unnest(blobs) b on conflict do nothing;
  end if;
  if events is not null then
    insert into thespis.events
    select before + e.ordinality, (appends[e.append]).tenant, (appends[e.append]).stream, e.version, e.id, e.type,
           e.schema, e.data, e.causation, e.correlation, e.epoch, recorded_at, e.trace, e.meta, e.hash, e.blob
      from unnest(events) with ordinality e;
  end if;
  if messages is not null then
    insert into thespis.messages
    select m.id, m.digest, (appends[m.append]).tenant, (appends[m.append]).stream, m.type, m.schema, m.data, m.blob,
           m.sender, m.time, m.causation, m.correlation, m.outcome, m.answer,
           (appends[m.append]).expected + m.upto, before + (appends[m.append]).earlier + m.upto, recorded_at, m.ordinality,
           m.guarded, m.told
      from unnest(messages) with ordinality m;
  end if;
  if taken is not null then
    delete from thespis.mailbox m using unnest(taken) t
     where m.partition = t.partition and m.position = t.position and m.ordinal = t.ordinal;
  end if;
  if mails is not null then
    insert into thespis.mailbox
    select m.partition, before + (appends[m.append]).earlier + 1, m.ordinal, m.tenant, m.stream, m.id, m.type, m.schema, m.data,
           m.blob, m.sender, m.time, m.causation, m.correlation, m.trace, m.meta
      from unnest(mails) m;
  end if;
  if effects is not null then
    insert into thespis.effects
    select e.id, (appends[e.append]).tenant, (appends[e.append]).stream, e.partition, e.kind, e.effect_class, e.key,
           e.data, e.time, e.causation, e.correlation, e.trace, e.status, e.attempt, e.outcome, e.delivered
      from unnest(effects) e;
  end if;
  if changes is not null then
    update thespis.effects f
       set status = c.status, attempt = c.attempt, delivered = c.delivered,
           outcome = case when c.outcome is null and c.status = f.status then f.outcome else c.outcome end
      from unnest(changes) c where f.id = c.id;
  end if;
  if dropped is not null then
    delete from thespis.timers t using unnest(dropped) d
     where t.tenant = (appends[d.append]).tenant and t.stream = (appends[d.append]).stream and t.name = d.name;
  end if;
  if timers is not null then
    insert into thespis.timers
    select (appends[t.append]).tenant, (appends[t.append]).stream, t.name, t.partition, t.id, t.due, t.type, t.schema,
           t.data, t.causation, t.correlation
      from unnest(timers) t
        on conflict (tenant, stream, name) do update
       set partition = excluded.partition, id = excluded.id, due = excluded.due, type = excluded.type,
           schema = excluded.schema, data = excluded.data, causation = excluded.causation,
           correlation = excluded.correlation;
  end if;
  if forks is not null then
    insert into thespis.forks
    select (appends[f.append]).tenant, (appends[f.append]).stream, f.source, f.version from unnest(forks) f;
  end if;
end $$;

-- The first half of a bulk append, in the transaction that then copies the events in: take the lock, judge.
create function thespis.begin_bulk(
  appends thespis.new_append[], fences thespis.fence[],
  out before bigint, out recorded_at bigint, out statuses integer[]
) language plpgsql volatile as $$
declare
  alive boolean[];
begin
  perform thespis.lock_log();
  select e.position, e.recorded_at into before, recorded_at from thespis.events e order by e.position desc limit 1;
  before := coalesce(before, 0);
  recorded_at := greatest(thespis.now_us(), recorded_at);
  if fences is not null then
    alive := thespis.check_fences(fences);
  end if;
  statuses := thespis.check_heads(appends, alive);
end $$;

-- Take those of the partitions that nobody alive owns, and remember it. One row (null, null) when the claimer itself is
-- not alive.
-- Hosts are locked first, so that nobody's lease is renewed or runs out while we look; then the log.
create function thespis.claim(host text, wanted integer[]) returns table (partition integer, epoch bigint)
language plpgsql volatile as $$
#variable_conflict use_column
declare
  alive text[];
begin
  perform from thespis.hosts h order by h.id for share;
  perform thespis.lock_log();
  select array_agg(h.id) into alive from thespis.hosts h where h.beat_at + h.ttl > thespis.now_us();
  if not coalesce(host = any (alive), false) then
    return query values (null::integer, null::bigint);
    return;
  end if;
  return query
    with taken as (
      update thespis.partitions p set owner = host, epoch = p.epoch + 1
       where p.partition = any (wanted) and (p.owner is null or p.owner <> all (alive))
      returning p.partition, p.epoch)
    insert into thespis.epochs as e (partition, epoch, owner, position, claimed_at)
    select t.partition, t.epoch, host, coalesce((select max(v.position) from thespis.events v), 0), thespis.now_us()
      from taken t order by t.partition
    returning e.partition, e.epoch;
end $$;
