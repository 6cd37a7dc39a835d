-- For how many days a tenant's recordings are kept; null: as long as the platform says.
alter table retention_periods add column recordings_days integer;
