"""The SQL of this folder, besides the functions in `infra/postgres/migrations/0007_eventsourcing.sql`.

An application is the beginning of its streams' names up to the first dot, as the index `events_es` has it.
"""

from __future__ import annotations

from typing import Final

APPEND: Final = "select before, recorded_at, statuses from thespis.es_append($1, $2, $3, $4, $5)"

HEAD: Final = "select position from thespis.events order by position desc limit 1"

_DATA: Final = "coalesce(e.data, (select b.data from thespis.blobs b where b.sha256 = e.blob))"
_OURS: Final = "e.tenant = $1 and split_part(e.stream, '.', 1) = $2 and e.stream >= 'es/' and e.stream < 'es0'"

NOTIFICATIONS: Final = f"""
select e.position, {_DATA}, e.meta from thespis.events e
 where {_OURS} and e.stream <> $2 || '.~dcb' and e.position >= $3 and e.position <= $4
 order by e.position limit $5"""

NOTIFICATIONS_OF: Final = f"""
select e.position, {_DATA}, e.meta from thespis.events e
 where {_OURS} and e.stream <> $2 || '.~dcb' and e.position >= $3 and e.position <= $4
   and e.type = any ($6::text[]) and thespis.es_extension(e.meta, 'estopic') = any ($7::text[])
 order by e.position limit $5"""

LAST: Final = f"select e.position from thespis.events e where {_OURS} order by e.position desc limit 1"

# A stream's versions count from 1, its originator's from wherever the first event began.
_STREAM: Final = f"""
with first as (
  select e.version - thespis.es_extension(e.meta, 'esversion')::bigint as shift from thespis.events e
   where e.tenant = $1 and e.stream = $2 and e.version = 1)
select e.position, {_DATA}, e.meta from first, thespis.events e
 where e.tenant = $1 and e.stream = $2 and e.version > $3 + first.shift and e.version <= $4 + first.shift
 order by e.version"""
STREAM: Final = f"{_STREAM} limit $5"
STREAM_BACKWARDS: Final = f"{_STREAM} desc limit $5"

TRACKED: Final = """
select notification, transaction from thespis.es_tracking where tenant = $1 and application = $2 and upstream = $3"""

TRACK: Final = """
insert into thespis.es_tracking (tenant, application, upstream, notification, transaction) values ($1, $2, $3, $4, $5)
    on conflict (tenant, application, upstream) do update
   set notification = excluded.notification, transaction = excluded.transaction
 where es_tracking.notification < excluded.notification returning notification"""

RECORD: Final = """
insert into thespis.es_records (tenant, application, purpose, originator, version, topic, state, uuid)
select $1, $2, $3, * from unnest($4::text[], $5::bigint[], $6::text[], $7::bytea[], $8::boolean[])"""
_RECORDS: Final = """
select r.version, r.topic, r.state, r.uuid from thespis.es_records r
 where r.tenant = $1 and r.application = $2 and r.purpose = $3 and r.originator = $4 and r.version > $5
   and r.version <= $6 order by r.version"""
RECORDS: Final = f"{_RECORDS} limit $7"
RECORDS_BACKWARDS: Final = f"{_RECORDS} desc limit $7"

MATCHES: Final = f"""
with head as (
  select (select e.position from thespis.events e where {_OURS} order by e.position desc limit 1) as head),
found as (
  select distinct m.position
    from unnest($5::thespis.es_item[]) i
    cross join lateral thespis.es_match($1, $2, $3, i.topics, i.tags, $4) m(position)
   order by m.position limit $4)
select head.head, e.position, {_DATA}, e.meta
  from head left join found on true left join thespis.events e on e.position = found.position
 order by e.position"""

RETAG: Final = f"""
insert into thespis.es_tags
select distinct e.tenant, $2, t.tag, e.position, thespis.es_extension(e.meta, 'estopic')
  from thespis.events e
  cross join lateral json_array_elements_text(thespis.es_extension(e.meta, 'estags')::json) t(tag)
 where {_OURS} and e.stream = $2 || '.~dcb' and e.position > $3
    on conflict do nothing"""
LAST_TAGGED: Final = """
select max(t.position) from thespis.es_tags t where t.tenant = $1 and t.application = $2"""
