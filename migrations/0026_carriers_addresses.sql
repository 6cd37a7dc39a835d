-- How a carrier writes numbers is told by the address that its call comes from: nodes read the carriers anew when the addresses behind
-- their names change.
create trigger raise_carriers after update of addresses on resolved_hosts
    for each row when (old.addresses is distinct from new.addresses) execute function raise_carriers();
