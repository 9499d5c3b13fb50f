"""What must hold between the rows beside the log and the log itself: each rule is one query for where it does not.

$1 is the position beyond which all events stand in `thespis.events`; older ones may be in the archive, and are not
looked for. A rule that needs the message log says nothing of what was handled before the horizon of `EventStore.prune`.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """A statement; `over` selects one text that says what it is held against, `faults` a text `what` per place where
    it does not hold."""

    statement: str
    over: str
    faults: str
    meaning: str
    way_out: str


RESTORE: Final = "restore the newest backup that `thespis log verify` finds sound, beside this database, and compare"

# Ids of one decision have their first 32 characters in common, see `events.ids`.
_DERIVED: Final = "'^.{14}7.{21}$'"
_SENDER: Final = "'^[a-z][a-z0-9_-]*/'"
_TOLD: Final = f"""told as (
  select id, tenant, stream, type, sender, causation, 'handled at version ' || version as state
    from thespis.messages where sender ~ {_SENDER} and sender !~ '^(host|system)/' and type <> ''
   union all
  select id, tenant, stream, type, sender, causation, 'waiting'
    from thespis.mailbox where sender ~ {_SENDER} and sender !~ '^(host|system)/')"""
# What was handled before this may be forgotten.
_HORIZON: Final = """horizon as materialized (
  select coalesce((select messages from thespis.horizon limit 1), 0) as since)"""
_REMEMBERED: Final = f"""
with {_HORIZON} select case when since = 0 then '' else ', remembered since '
  || to_char(to_timestamp(since / 1e6) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC' end from horizon"""

# The outcome of an effect as its message tells it, without trusting that it is JSON or UTF-8.
_OUTCOMES: Final = r"""outcomes as (
  select id, tenant, stream, version, recorded_at,
         substring(encode(data, 'escape') from '"effect":"([^"]+)"') as effect,
         substring(encode(data, 'escape') from '"status":"(succeeded|failed|unknown)"') as status
    from thespis.messages where type = 'Outcome' and outcome <> 'skipped' and id::text ~ '^.{14}8')"""

ONCE: Final = Rule(
    "every tell was handled once, or waits",
    over=f"""select (select count(*) from thespis.messages)::text || ' handled' || ({_REMEMBERED}) || ', '
                 || (select count(*) from thespis.mailbox) || ' waiting'""",
    faults="""
select 'the tell ' || b.id || ' of ' || b.sender || ' waits for ' || b.stream || ' (mailbox position ' || b.position
       || ') and was handled at its version ' || m.version as what
  from thespis.mailbox b join thespis.messages m on m.id = b.id
 union all
select 'the tell ' || id || ' waits ' || count(*) || ' times for ' || min(stream) from thespis.mailbox
 group by id having count(*) > 1
""",
    meaning="a mailbox row is left over, or was put there by hand; the inbox keeps it from changing the actor twice",
    way_out="delete the row from thespis.mailbox once you have seen that the version named holds its events",
)

SENT: Final = Rule(
    "every tell was sent by an event of its sender",
    over=f"with {_TOLD} select count(*) || ' tells' from told",
    faults=f"""
with {_TOLD}, {_HORIZON}
select 'the tell ' || t.id || ' (' || t.type || ', ' || t.state || ') to ' || t.stream
       || case when e.id is null then ' names ' || t.causation || ' as its cause, which is no event'
               when e.stream <> t.sender then ' of ' || t.sender || ' was caused by an event of ' || e.stream
               else ' is none of those that the decision at position ' || e.position || ' sent' end as what
  from told t left join thespis.events e on e.id = t.causation and e.tenant = t.tenant
 where (e.id is null and $1 = 0)
    or (t.sender !~ '^router/' and t.type <> 'Outcome'
        and (e.stream <> t.sender
             or (e.id ~ {_DERIVED} and left(t.id::text, 32) <> left(e.id, 32))))""",
    meaning="a message that nobody decided to send was put into a mailbox or the message log",
    way_out="look at what it led to with `thespis replay`; if it changed an actor, correct that with a message of its "
    "own, and find out who can write to the database",
)

ROUTED: Final = Rule(
    "every tell of a subscription was handled, or waits",
    over=f"""select coalesce(sum((convert_from(data, 'UTF8')::json ->> 'tells')::bigint), 0) || ' tells routed'
       || ({_REMEMBERED}) from thespis.events where type = 'Routed' and stream like 'router/%' and position > $1""",
    faults=f"""
with {_TOLD}, {_HORIZON}, turns as (
  select stream, recorded_at, (body ->> 'tells')::bigint as tells, (body ->> 'upto')::bigint as upto,
         lag((body ->> 'upto')::bigint, 1, case when $1 = 0 then 0 else -1 end)
           over (partition by stream order by version) as after
    from (select stream, version, recorded_at, convert_from(data, 'UTF8')::json as body from thespis.events
           where type = 'Routed' and stream like 'router/%' and position > $1) e),
known as (
  select stream, coalesce(max(upto) filter (where recorded_at < h.since or after < $1), 0) as after,
         coalesce(sum(tells) filter (where recorded_at >= h.since and after >= $1), 0) as tells
    from turns cross join horizon h group by stream),
found as (
  select k.stream, count(*) as tells from known k join told t on t.sender = k.stream
    join thespis.events e on e.id = t.causation and e.tenant = t.tenant and e.position > k.after group by k.stream)
select k.stream || ' sent ' || k.tells || ' tells, ' || coalesce(f.tells, 0) || ' were handled or wait' as what
  from known k left join found f on f.stream = k.stream where k.tells <> coalesce(f.tells, 0)""",
    meaning="rows of the mailbox or of the message log are gone: an actor may not know of a fact it subscribed to",
    way_out=RESTORE,
)

DECIDED: Final = Rule(
    "every message handled stands behind its events, and every event behind a message",
    over=f"select count(*) || ' messages' || ({_REMEMBERED}) from thespis.messages",
    faults=f"""
with {_HORIZON}
select 'message ' || m.id || ' (' || m.type || ') brought ' || m.stream || ' to version ' || m.version
       || case when e.position is null then ', which is not in the log'
               else ' by position ' || m.position || ', but that is position ' || e.position end as what
  from thespis.messages m
  left join thespis.events e on e.tenant = m.tenant and e.stream = m.stream and e.version = m.version
 where m.version > 0 and m.position > $1 and (e.position > m.position or e.position is null and not exists (
         select from thespis.forks f where f.tenant = m.tenant and f.stream = m.stream and f.version >= m.version))
 union all
select 'position ' || e.position || ' (' || e.stream || ' version ' || e.version || ', ' || e.type
       || ') was decided on a message that is not in the message log'
  from (select position, tenant, stream, version, type, id, recorded_at,
               lead(id) over (partition by tenant, stream order by version) as next
          from thespis.events where epoch > 0 and type <> 'Forked' and stream !~ '^(router|system)/') e
  cross join horizon h
 where e.recorded_at >= h.since and e.position > $1
   and (e.next is null or e.stream like 'feed/%'
        or e.id ~ {_DERIVED} and e.next ~ {_DERIVED} and left(e.id, 32) <> left(e.next, 32))
   and not exists (select from thespis.messages m
                    where m.tenant = e.tenant and m.stream = e.stream and m.version = e.version)""",
    meaning="rows of the message log or events were removed, or an event was written without a message",
    way_out="messages lost from the log make their repetition happen again: stop those who repeat them, then "
    + RESTORE,
)

EFFECTS: Final = Rule(
    "every effect has one outcome, or is open",
    over="select count(*) || ' effects, ' || count(*) filter (where not delivered) || ' open' from thespis.effects",
    faults=f"""
with {_OUTCOMES}, {_HORIZON}
select 'the outcome ' || o.id || ' of effect ' || coalesce(o.effect, '(unnamed)') || ' was handled by ' || o.stream
       || ' at version ' || o.version || case when f.id is null then ', but there is no such effect'
          else ', but the effect is one of ' || f.stream end as what
  from outcomes o left join thespis.effects f on f.id = o.effect and f.tenant = o.tenant
 where f.id is null or f.stream <> o.stream
 union all
select 'effect ' || effect || ' of ' || min(stream) || ' has ' || count(*) || ' outcomes, at the versions '
       || string_agg(version::text, ', ' order by version)
  from outcomes where status in ('succeeded', 'failed') group by tenant, effect having count(*) > 1
 union all
select 'effect ' || f.id || ' (' || f.kind || ') of ' || f.stream || ' is ' || f.status
       || case when f.delivered then ' and delivered, but no such outcome was handled'
               else ' and open, but its outcome was handled' end
  from thespis.effects f cross join horizon h
 where f.delivered <> exists (select from outcomes o where o.effect = f.id and o.tenant = f.tenant
                                 and o.status = f.status)
   and (f.delivered or f.status in ('succeeded', 'failed', 'unknown'))
   and (f.time >= h.since or not f.delivered)
 union all
select 'effect ' || f.id || ' (' || f.kind || ') of ' || f.stream || ' names ' || f.causation
       || ' as the event that asked for it, which is none of that actor'
  from thespis.effects f where $1 = 0 and not exists (
    select from thespis.events e where e.id = f.causation and e.tenant = f.tenant and e.stream = f.stream)""",
    meaning="the actor knows something else of the outside world than the ledger does",
    way_out="find out at the service itself (by the effect's key) what happened, then correct the actor with a "
    "message; an open one may be settled with `thespis effects resolve`",
)

TIMERS: Final = Rule(
    "every timer fired at most once, or is pending",
    over="select count(*) || ' pending' from thespis.timers",
    faults="""
select 'timer ' || t.name || ' of ' || t.stream || ' is pending and fired already, at version ' || m.version as what
  from thespis.timers t join thespis.messages m on m.id::text = t.id and m.tenant = t.tenant and m.stream = t.stream
 union all
select 'timer ' || t.name || ' of ' || t.stream || ' names ' || t.causation
       || ' as the event that set it, which is none of that actor'
  from thespis.timers t where $1 = 0 and not exists (
    select from thespis.events e where e.id = t.causation and e.tenant = t.tenant and e.stream = t.stream)""",
    meaning="a row of a timer is left over, or was put there by hand",
    way_out="delete the row from thespis.timers; one that fired already never counts again",
)

BLOBS: Final = Rule(
    "every large body is there, under its own hash",
    over="select count(*) || ' bodies' from thespis.blobs",
    faults="""
select 'the body ' || encode(sha256, 'hex') || ' is not what it was: its bytes hash to ' || encode(sha256(data), 'hex')
    as what from thespis.blobs where sha256(data) <> sha256
 union all
select w.what || ': its body ' || coalesce(encode(w.blob, 'hex'), '') || ' is missing' from (
  select 'position ' || position || ' (' || stream || ' version ' || version || ')' as what, blob
    from thespis.events where data is null
   union all select 'message ' || id || ' to ' || stream, blob from thespis.messages
    where data is null and outcome <> 'expired'
   union all select 'the tell ' || id || ' for ' || stream, blob from thespis.mailbox where data is null) w
 where not exists (select from thespis.blobs b where b.sha256 = w.blob)""",
    meaning="a body above 64 KiB was lost or changed; what it belongs to cannot be read",
    way_out="copy the row of thespis.blobs from a backup: its key is the hash of its content",
)

SHORTCUTS: Final = Rule(
    "snapshots and state hashes are of versions that exist",
    over="select (select count(*) from thespis.snapshots) || ' snapshots, '"
    " || (select count(*) from thespis.state_hashes) || ' state hashes'",
    faults="""
select w.what || ' of ' || w.stream || ' is of version ' || w.version || ', which is not in the log' as what from (
  select 'a snapshot' as what, tenant, stream, version from thespis.snapshots
   union all select 'a state hash', tenant, stream, version from thespis.state_hashes) w
 where version > 0
   and not exists (select from thespis.events e
                    where e.tenant = w.tenant and e.stream = w.stream and e.version >= w.version)
   and not exists (select from thespis.forks f
                    where f.tenant = w.tenant and f.stream = w.stream and f.version >= w.version)""",
    meaning="events the actor once had are gone, or the row belongs to another log",
    way_out="for a snapshot, and only if the log is otherwise sound: delete the row, it is made again; else " + RESTORE,
)

FORKS: Final = Rule(
    "every fork goes on from a version that exists",
    over="select count(*) || ' forks' from thespis.forks",
    faults="""
select 'the fork ' || f.stream || ' goes on from version ' || f.version || ' of ' || f.source
       || ', but its own first event is '
       || coalesce(e.type || ' at version ' || e.version, 'missing') as what
  from thespis.forks f left join lateral (
    select o.type, o.version from thespis.events o where o.tenant = f.tenant and o.stream = f.stream
     order by o.version limit 1) e on true
 where $1 = 0 and (e.type is distinct from 'Forked' or e.version <> f.version + 1)
 union all
select 'position ' || e.position || ' (' || e.stream || ' version ' || e.version || ') begins a fork, '
       || 'but of what is not known'
  from thespis.events e
 where e.type = 'Forked' and e.version > 1
   and not exists (select from thespis.forks f where f.tenant = e.tenant and f.stream = e.stream)""",
    meaning="the fork cannot be read: where its history begins is not known",
    way_out="insert the row of thespis.forks that its `Forked` event names (source and version)",
)

RULES: Final = [ONCE, SENT, ROUTED, DECIDED, EFFECTS, TIMERS, BLOBS, SHORTCUTS, FORKS]
