-- A mark in presence_data says who pays for a call. Nobody but Dialplane writes one: what somebody gave an extension goes.
update extensions set variables = variables - 'presence_data' where ltrim(variables ->> 'presence_data') ilike 'dialplane%';
