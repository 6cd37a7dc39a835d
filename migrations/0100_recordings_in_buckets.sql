-- Recordings and the sound of messages may also be kept in a bucket. Older nodes can't read such contents: no node has a bucket set before all
-- have this version. 0101 validates the rules.

-- wider: older nodes write what both rules take.
-- squawk-ignore ban-drop-constraint
alter table recordings drop constraint recordings_store_check;
alter table recordings add constraint recordings_store_check check (store in ('folder', 'bucket')) not valid;
-- wider: the same.
-- squawk-ignore ban-drop-constraint
alter table voicemail_messages drop constraint voicemail_messages_store_check;
alter table voicemail_messages add constraint voicemail_messages_store_check check (store in ('folder', 'bucket')) not valid;
