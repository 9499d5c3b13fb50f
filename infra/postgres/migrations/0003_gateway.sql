-- Bearer tokens of the gateway. Only the SHA-256 of a token is kept.

create table thespis.tokens (
  id         text   collate "C" not null primary key,
  tenant     text   collate "C" not null,
  name       text   collate "C" not null,
  scopes     text[] not null check (cardinality(scopes) > 0),
  hash       bytea  not null check (octet_length(hash) = 32),
  created_at bigint not null,                -- microseconds since 1970, as the two below
  expires_at bigint,
  revoked_at bigint
);
create index tokens_created_at on thespis.tokens (created_at, id);
