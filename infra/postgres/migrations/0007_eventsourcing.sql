-- Events of applications written with the library `eventsourcing`: the streams `es/<application>.<id>`, see
-- infra/eventsourcing. What is in the tables here is derived from the log or is not history (tracking, snapshots).

-- The events of one application in order. Rows of other kinds are not in it, and pay one comparison each.
create index events_es on thespis.events (tenant, split_part(stream, '.', 1), position)
 where stream >= 'es/' and stream < 'es0';

-- How far a process application has followed another application. `transaction` names the write that said so.
create table thespis.es_tracking (
  tenant       text   collate "C" not null,
  application  text   collate "C" not null,
  upstream     text   collate "C" not null,
  notification bigint not null,
  transaction  text   collate "C" not null,
  primary key (tenant, application, upstream)
) with (fillfactor = 50);

-- Records of aggregates that are not events (their snapshots): disposable.
create table thespis.es_records (
  tenant      text    collate "C" not null,
  application text    collate "C" not null,
  purpose     text    collate "C" not null,
  originator  text    collate "C" not null,
  version     bigint  not null,
  topic       text    collate "C" not null,
  state       bytea   not null,
  uuid        boolean not null,              -- the originator's id is a UUID, not a text
  primary key (tenant, application, purpose, originator, version)
);

-- Tags of events that decisions are made across (DCB). Derived: their events have them in `meta` too.
create table thespis.es_tags (
  tenant      text   collate "C" not null,
  application text   collate "C" not null,
  tag         text   collate "C" not null,
  position    bigint not null,
  topic       text   collate "C" not null,
  primary key (tenant, application, tag, position)
);

create type thespis.es_stream as (save integer, tenant text, stream text, number bigint);  -- number null: goes on
create type thespis.es_event as (
  save integer, stream integer, id text, type text, data bytea, causation text, correlation text, trace text, meta bytea,
  topic text, tags text[], transaction text
);
create type thespis.es_tracked as (
  save integer, tenant text, application text, upstream text, notification bigint, transaction text
);
-- One item of a query: of these topics (null: any) with all of these tags (null: none needed).
create type thespis.es_item as (topics text[], tags text[]);
create type thespis.es_condition as (save integer, tenant text, application text, after bigint, topics text[], tags text[]);

-- A CloudEvents extension in an event's `meta`.
create function thespis.es_extension(meta bytea, name text) returns text language sql immutable
  return convert_from(meta, 'UTF8')::json #>> array['extensions', name];

-- Positions of an application's events beyond `after` that match an item. May name one twice.
create function thespis.es_match(tenant text, application text, after bigint, topics text[], tags text[], most bigint)
returns setof bigint language plpgsql stable as $$
begin
  if tags is null then
    return query
      select e.position from thespis.events e
       where e.tenant = es_match.tenant and split_part(e.stream, '.', 1) = es_match.application and e.position > after
         and e.stream >= 'es/' and e.stream < 'es0'
         and (topics is null or thespis.es_extension(e.meta, 'estopic') = any (topics))
       order by e.position limit most;
  else
    return query
      select t.position from thespis.es_tags t
       where t.tenant = es_match.tenant and t.application = es_match.application and t.tag = tags[1]
         and t.position > after and (topics is null or t.topic = any (topics))
         and not exists (
           select from unnest(tags[2:]) other(tag)
            where not exists (
              select from thespis.es_tags o
               where o.tenant = es_match.tenant and o.application = es_match.application and o.tag = other.tag
                 and o.position = t.position))
       order by t.position limit most;
  end if;
end $$;

-- Write a batch of saves under the lock of the log. Each save is written whole or not at all, events of several
-- streams and its tracking together, through `thespis.append`; versions and hashes are given here, so that a writer
-- need not know how a stream ends.
--
-- Within a batch no two saves may share a stream or follow the same upstream. `statuses` has one per save: 0 written,
-- 1 an event of that version is there, 2 tracked already, 3 the condition does not hold, 4 a version is left out.
create function thespis.es_append(
  saves      integer,
  streams    thespis.es_stream[],
  events     thespis.es_event[],
  tracked    thespis.es_tracked[],
  conditions thespis.es_condition[],
  out before bigint, out recorded_at bigint, out statuses integer[]
) language plpgsql volatile as $$
declare
  versions integer[] := '{}';
  hashes bytea[] := '{}';
  causes text[] := array_fill(null::text, array[saves]);
  correlations text[] := array_fill(null::text, array[saves]);
  traces text[] := array_fill(null::text, array[saves]);
  appends thespis.new_append[] := '{}';
  rows thespis.new_event[] := '{}';
  blobs thespis.new_blob[] := '{}';
  zero constant bytea := '\x00';
  s thespis.es_stream;
  t thespis.es_tracked;
  c thespis.es_condition;
  e record;
  head record;
  cause record;
  at integer;
  places integer[] := array_fill(0, array[coalesce(cardinality(streams), 0)]);  -- of a stream among the appends
  version integer;
  causation text;
  hash bytea;
  sha bytea;
  wrong integer[];
  tagged boolean := false;
begin
  perform thespis.lock_log();
  statuses := array_fill(0, array[saves]);

  if streams is not null then
    foreach s in array streams loop
      version := 0;
      hash := decode(repeat('00', 32), 'hex');
      for head in
        select n.version, n.hash, n.meta from thespis.events n
         where n.tenant = s.tenant and n.stream = s.stream order by n.version desc limit 1
      loop
        version := head.version;
        hash := head.hash;
        if s.number is not null and statuses[s.save] = 0 then
          statuses[s.save] := case sign(s.number - 1 - thespis.es_extension(head.meta, 'esversion')::bigint)
                                when 0 then 0 when 1 then 4 else 1 end;
        end if;
      end loop;
      versions := array_append(versions, version);
      hashes := array_append(hashes, hash);
    end loop;
  end if;

  if conditions is not null then
    foreach c in array conditions loop
      if statuses[c.save] = 0
         and exists (select from thespis.es_match(c.tenant, c.application, c.after, c.topics, c.tags, 1)) then
        statuses[c.save] := 3;
      end if;
    end loop;
  end if;

  -- Judged last, because it is written at once: the row's lock keeps those out who track without events. And what
  -- follows an event of another application was caused by it.
  if tracked is not null then
    foreach t in array tracked loop
      continue when statuses[t.save] <> 0;
      insert into thespis.es_tracking values (t.tenant, t.application, t.upstream, t.notification, t.transaction)
          on conflict (tenant, application, upstream) do update
         set notification = excluded.notification, transaction = excluded.transaction
       where es_tracking.notification < excluded.notification;
      if not found then
        statuses[t.save] := 2;
        continue;
      end if;
      for cause in
        select n.id, n.correlation, n.trace from thespis.events n
         where n.position = t.notification and n.tenant = t.tenant
           and n.stream >= 'es/' and n.stream < 'es0' and split_part(n.stream, '.', 1) = t.upstream
      loop
        causes[t.save] := cause.id;
        correlations[t.save] := cause.correlation;
        traces[t.save] := cause.trace;
      end loop;
    end loop;
  end if;

  if events is not null then
    for e in select n.* from unnest(events) with ordinality n order by n.ordinality loop
      continue when statuses[e.save] <> 0;
      at := e.stream;
      s := streams[at];
      if places[at] = 0 then
        appends := array_append(
          appends, row(s.tenant, s.stream, versions[at], versions[at], null, cardinality(rows))::thespis.new_append);
        places[at] := cardinality(appends);
      end if;
      tagged := tagged or e.tags is not null;
      version := versions[at] + 1;
      causation := coalesce(e.causation, causes[e.save], e.transaction);
      -- events/chain.py says what is hashed.
      hash := sha256(
        hashes[at] || convert_to(s.tenant, 'UTF8') || zero || convert_to(s.stream, 'UTF8') || zero
        || convert_to(version::text, 'UTF8') || zero || convert_to(e.id, 'UTF8') || zero
        || convert_to(e.type, 'UTF8') || zero || '1'::bytea || zero || convert_to(causation, 'UTF8') || zero || e.data);
      versions[at] := version;
      hashes[at] := hash;
      sha := null;
      if length(e.data) > 65536 then
        sha := sha256(e.data);
        blobs := array_append(blobs, row(places[at], sha, e.data)::thespis.new_blob);
      end if;
      rows := array_append(rows, row(
        places[at], version, e.id, e.type, 1, case when sha is null then e.data end, causation,
        coalesce(e.correlation, correlations[e.save], causation), 0, coalesce(e.trace, traces[e.save]), e.meta, hash,
        sha)::thespis.new_event);
    end loop;
  end if;

  if cardinality(rows) > 0 then
    select a.before, a.recorded_at, a.statuses into before, recorded_at, wrong
      from thespis.append(
        appends, rows, null, null, null, null, null, null, null, null, null,
        case when cardinality(blobs) > 0 then blobs end) a;
    if wrong is not null then
      raise exception 'a stream is not as its head says' using errcode = 'data_corrupted';
    end if;
    if tagged then
      insert into thespis.es_tags
      select distinct (streams[n.stream]).tenant, split_part((streams[n.stream]).stream, '.', 1), tag,
             before + n.row_number, n.topic
        from (select u.*, row_number() over (order by u.ordinality)
                from unnest(events) with ordinality u where statuses[u.save] = 0) n
        cross join lateral unnest(n.tags) tag;
    end if;
  end if;
end $$;
