-- Keys of data subjects, wrapped by a master key that is not in the database, and what became of them.

create table thespis.subject_keys (
  id         text   collate "C" not null primary key,
  tenant     text   collate "C" not null,
  subject    text   collate "C" not null,
  wrapped    bytea  not null,
  master     text   collate "C" not null,    -- fingerprint of the master key
  created_at bigint not null,                -- microseconds since 1970
  unique (tenant, subject)
);

-- Where each key is used; a row is committed before the first append that uses it, so this is never too little.
create table thespis.subject_streams (
  key    text collate "C" not null,
  tenant text collate "C" not null,
  stream text collate "C" not null,
  primary key (key, stream)
);

-- Erasures: keys that are gone for good. Whose they were is not said.
create table thespis.erasures (
  number  bigint not null generated always as identity primary key,
  id      text   collate "C" not null unique,
  tenant  text   collate "C" not null,
  keys    text[] not null,
  by      text   not null,
  reason  text   not null,
  at      bigint not null,                   -- microseconds since 1970
  receipt bytea                              -- null: not complete yet
);
