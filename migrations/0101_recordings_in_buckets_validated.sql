-- Each row has kept to the narrower rules.
alter table recordings validate constraint recordings_store_check;
alter table voicemail_messages validate constraint voicemail_messages_store_check;
