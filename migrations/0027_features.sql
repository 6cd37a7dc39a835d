-- The switches of a tenant's features now decide: what a tenant uses stays switched on. Old nodes don't look at them.
update tenants t
   set settings = jsonb_set(t.settings, '{features}', coalesce(t.settings -> 'features', '{}') || used.features)
  from (select u.id, jsonb_strip_nulls(jsonb_build_object(
                   'call_recording', case when
                        exists (select from jsonb_each(u.settings #> '{routing,record}') r
                                 where r.key <> 'consent_tone' and r.value = 'true')
                     or exists (select from extensions e where e.tenant_id = u.id and e.status <> 'deleted'
                                                           and e.calls ->> 'record' = 'true')
                     or exists (select from numbers n where n.tenant_id = u.id and n.record)
                     or exists (select from destinations d where d.tenant_id = u.id and d.config ->> 'record' = 'true')
                        then true end,
                   'queues', case when exists (select from destinations d where d.tenant_id = u.id and d.kind = 'queue')
                        then true end,
                   'conferences', case when
                        exists (select from destinations d where d.tenant_id = u.id and d.kind = 'conference')
                        then true end,
                   'voicemail', case when
                        exists (select from destinations d where d.tenant_id = u.id and d.kind = 'mailbox')
                     or exists (select from extensions e where e.tenant_id = u.id and e.status <> 'deleted'
                                                           and e.voicemail_enabled)
                        then true end,
                   'voice_agent', case when u.settings #> '{voice_agent,enabled}' = 'true' then true end)) as features
          from tenants u) used
 where used.id = t.id
   and not coalesce(t.settings -> 'features', '{}') @> used.features;
