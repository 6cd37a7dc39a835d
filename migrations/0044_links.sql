-- One node at a time holds the link to a switch: it keeps the event socket open, and is the only one that gives the switch commands. It
-- holds the link by a lease, so that another node takes over when it dies. No generation for event_sockets: nothing of it is cached.
alter table event_sockets
    add holder        uuid,
    add held_until    timestamptz,
    -- Since when the link is up. Null while it is not.
    add linked_since  timestamptz,
    -- Since when nothing is heard from the switch. Null while the link is up.
    add unknown_since timestamptz,
    -- What the generations of all that the switch should be given added up to when it was last compared.
    add looked        text;
