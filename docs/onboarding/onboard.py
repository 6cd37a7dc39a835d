#!/usr/bin/env python3
"""Sets up a company in Dialplane from a JSON file, and keeps it equal to the file: run it every night.

    openapi-python-client generate --url URL/openapi.json --output-path dialplane_client --meta none
    DIALPLANE_KEY=… onboard.py URL company.json

A run that was cut off is simply repeated: everything is put by the key that people know it by, so what is there already stays as it is.
"""

import io
import json
import os
import sys

import httpx
from dialplane_client import AuthenticatedClient
from dialplane_client import models as m
from dialplane_client.api.agents import agent_by_email, create_agents, delete_agents, list_agents, update_agents
from dialplane_client.api.carriers import list_rates, put_carrier, replace_rates
from dialplane_client.api.destinations import put_destination
from dialplane_client.api.groups import put_group
from dialplane_client.api.phone_numbers import assign_number, put_number
from dialplane_client.api.pools import create_pool, list_pools
from dialplane_client.api.routes import explain_route
from dialplane_client.api.switches import create_switch, list_switches
from dialplane_client.api.tenants import put_tenant
from dialplane_client.types import UNSET, File

requests = {"all": 0, "people": 0}


def count(_request):
    requests["all"] += 1


def done(response):
    """The answer, if the request was carried out."""
    if response.status_code >= 300:
        problem = response.parsed
        report = [line.to_dict() for line in getattr(problem, "lines", [])]
        raise SystemExit(f"{response.status_code}: {getattr(problem, 'detail', None) or report}")
    return response.parsed


def all_of(operation, client, **asked):
    """All items of a list, page by page."""
    cursor = UNSET
    while True:
        page = done(operation.sync_detailed(client=client, limit=200, cursor=cursor, **asked))
        yield from page.items
        if not (cursor := page.next_cursor):
            return


def people(client, tenant, wanted):
    """Makes the people equal to the list in at most four requests for a few hundred of them. Returns the extension of each."""
    before = requests["all"]
    wanted = {person["email"].lower(): person for person in wanted}
    there = {agent.email.lower(): agent for agent in all_of(list_agents, client, tenant_id=tenant)}
    phones = {email: agent.extensions[0] for email, agent in there.items() if agent.extensions}

    gone = [m.Which(key=email) for email, agent in there.items() if email not in wanted and agent.role != m.Role.OWNER]
    if gone:
        body = m.Deletions(delete=gone, detach=True)
        done(delete_agents.sync_detailed(client=client, tenant_id=tenant, body=body))

    def differs(email):
        names = {"first_name": wanted[email]["first_name"], "last_name": wanted[email]["last_name"]}
        agent = there[email]
        return {} if names == {"first_name": agent.first_name, "last_name": agent.last_name} else names

    renamed = [{"key": email, "set": names} for email in wanted if email in there and (names := differs(email))]
    if renamed:
        body = m.ChangesAgentPatch.from_dict({"changes": renamed})
        done(update_agents.sync_detailed(client=client, tenant_id=tenant, body=body))

    new = [person for email, person in wanted.items() if email not in there]
    if new:
        body = m.NewAgents.from_dict({"agents": new})
        report = done(create_agents.sync_detailed(client=client, tenant_id=tenant, body=body))
        for line in report.to_dict()["lines"]:
            phones[line["email"].lower()] = m.AgentExtension.from_dict(line["agent"]["extensions"][0])
    requests["people"] = requests["all"] - before
    return {email: phone for email, phone in phones.items() if email in wanted}


def main(url, company):
    client = AuthenticatedClient(
        base_url=url,
        token=os.environ["DIALPLANE_KEY"],
        prefix="",
        auth_header_name="X-API-Key",
        httpx_args={"event_hooks": {"request": [count]}},
        timeout=httpx.Timeout(60),
    )
    with client:
        switches = {switch.name for switch in all_of(list_switches, client)}
        if company["switch"] not in switches:
            made = done(create_switch.sync_detailed(client=client, body=m.NewSwitch(name=company["switch"])))
            print(f"switch {company['switch']}: its token, shown once, is {made.token}", file=sys.stderr)

        new = m.NewTenancy.from_dict(company["tenant"])
        tenant = done(put_tenant.sync_detailed(company["tenant"]["domain"], client=client, body=new)).id
        pool = m.NewPool.from_dict(company["pool"])
        pools = {(pool.first_number, pool.last_number) for pool in all_of(list_pools, client, tenant_id=tenant)}
        if (pool.first_number, pool.last_number) not in pools:
            done(create_pool.sync_detailed(tenant, client=client, body=pool))

        phones = people(client, tenant, company["people"])
        target = {f"extension:{email}": {"kind": "extension", "id": str(phone.id)} for email, phone in phones.items()}

        for group in company["groups"]:
            members = [str(phones[email].id) for email in group["people"] if email in phones]
            body = m.NewGroup.from_dict({"name": group["name"], "number": group["number"], "members": members})
            made = done(put_group.sync_detailed(tenant, group["name"], client=client, body=body))
            target[f"group:{made.name}"] = {"kind": "group", "id": str(made.id)}

        queue = company["queue"]
        tiers = [{"extension_id": str(phones[email].id)} for email in queue["people"] if email in phones]
        put_by_name(client, tenant, target, "queue", queue, m.Queue.from_dict({"tiers": tiers}))
        menu = company["menu"]
        entries = {digit: target[leads] for digit, leads in menu["choices"].items()}
        config = m.Ivr.from_dict({"greeting": {"text": menu["greeting"]}, "entries": entries})
        put_by_name(client, tenant, target, "ivr", menu, config)

        for number in company["numbers"]:
            body = m.NewNumber.from_dict({"number": number["number"], "destination": target[number["leads_to"]]})
            made = done(put_number.sync_detailed(number["number"], client=client, tenant_id=tenant, body=body))
            holder = done(agent_by_email.sync_detailed(number["agent"], client=client, tenant_id=tenant))
            wanted = m.Assign.from_dict({"agent_id": str(holder.id), "daily_limit": number["daily_limit"]})
            has = made.assignment
            if not has or (has.agent_id, has.daily_limit) != (wanted.agent_id, wanted.daily_limit):
                done(assign_number.sync_detailed(made.id, client=client, tenant_id=tenant, body=wanted))

        carrier = company["carrier"]
        body = m.NewCarrier.from_dict({"name": carrier["name"], "config": carrier["config"]})
        made = done(put_carrier.sync_detailed(carrier["name"], client=client, body=body))
        rates = {rate.prefix: rate.price for rate in all_of(list_rates, client, id=made.id)}
        if rates != {prefix: round(float(price) * 1_000_000) for prefix, price in carrier["rates"].items()}:
            sheet = "prefix,price\n" + "".join(f"{prefix},{price}\n" for prefix, price in carrier["rates"].items())
            sheet = File(payload=io.BytesIO(sheet.encode()), mime_type="text/csv")
            done(replace_rates.sync_detailed(made.id, client=client, body=sheet))

        for call in company["explain"]:
            caller = phones[call["caller"]].number
            body = m.Explain.from_dict({"caller": caller, "number": call["number"]})
            why = done(explain_route.sync_detailed(client=client, tenant_id=tenant, body=body))
            print(f"{caller} calls {call['number']}: {why.result}", file=sys.stderr)
    print(json.dumps({"tenant": str(tenant), "requests": requests}))


def put_by_name(client, tenant, target, kind, what, config):
    kind = m.TargetKind(kind)
    body = m.NewDestination(name=what["name"], number=what["number"], kind=kind, config=config)
    made = done(put_destination.sync_detailed(tenant, kind, what["name"], client=client, body=body))
    target[f"{kind}:{made.name}"] = {"kind": str(kind), "id": str(made.id)}


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        main(sys.argv[1], json.load(file))
