-- Who acts on a call at this moment: one at a time, among all nodes. A turn that nobody gives back ends by itself. After a crash there is none,
-- so it need not be in the log.
-- No generation for call_turns: no switch reads it.
create unlogged table call_turns (
    call_id uuid primary key,
    turn    uuid not null,
    until   timestamptz not null
);
