// Sets up a company in Dialplane from a JSON file, and keeps it equal to the file: run it every night.
//
//   openapi-typescript URL/openapi.json -o schema.d.ts
//   DIALPLANE_KEY=… node onboard.js URL company.json
//
// A run that was cut off is simply repeated: everything is put by the key that people know it by, so what is there already stays as it is.

import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schema = components["schemas"];
type Person = Pick<Schema["NewAgent"], "email" | "first_name" | "last_name">;
type Phone = { id: string; number: string };

interface Company {
  switch: string;
  tenant: Schema["NewTenancy"];
  pool: Schema["NewPool"];
  people: Person[];
  groups: { name: string; number: string; people: string[] }[];
  queue: { name: string; number: string; people: string[] };
  menu: { name: string; number: string; greeting: string; choices: Record<string, string> };
  numbers: { number: string; leads_to: string; agent: string; daily_limit: number }[];
  carrier: { name: string; config: Schema["CarrierConfig"]; rates: Record<string, string> };
  explain: { caller: string; number: string }[];
}

const [url, file] = process.argv.slice(2) as [string, string];
const company = JSON.parse(readFileSync(file, "utf8")) as Company;
const requests = { all: 0, people: 0 };
const client = createClient<paths>({ baseUrl: url, headers: { "X-API-Key": process.env.DIALPLANE_KEY ?? "" } });
client.use({
  onRequest() {
    requests.all += 1;
  },
});

/** The answer, if the request was carried out. */
async function done<T>(sent: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await sent;
  if (error !== undefined || data === undefined) throw new Error(`${response.status}: ${JSON.stringify(error)}`);
  return data;
}

/** All items of a list, page by page. */
async function allOf<T>(page: (cursor?: string) => Promise<{ items: T[]; next_cursor?: string | null }>): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  do {
    const { items, next_cursor } = await page(cursor);
    all.push(...items);
    cursor = next_cursor ?? undefined;
  } while (cursor);
  return all;
}

/** Makes the people equal to the list in at most four requests for a few hundred of them. Returns the extension of each. */
async function people(tenant_id: string): Promise<Map<string, Phone>> {
  const before = requests.all;
  const query = { tenant_id };
  const list = (cursor?: string) =>
    done(client.GET("/v1/admin/agents", { params: { query: { ...query, limit: 200, cursor } } }));
  const there = new Map((await allOf(list)).map((agent) => [agent.email.toLowerCase(), agent]));
  const wanted = new Map(company.people.map((person) => [person.email.toLowerCase(), person]));
  const phones = new Map<string, Phone>();
  for (const [email, agent] of there) if (wanted.has(email)) phones.set(email, agent.extensions[0]!);

  const gone = [...there].filter(([email, agent]) => !wanted.has(email) && agent.role !== "owner");
  if (gone.length > 0) {
    const body = { delete: gone.map(([key]) => ({ key })), detach: true };
    await done(client.POST("/v1/admin/agents/bulk-delete", { params: { query }, body }));
  }
  const changes = [...wanted].flatMap(([key, { first_name, last_name }]) => {
    const agent = there.get(key);
    const same = !agent || (agent.first_name === first_name && agent.last_name === last_name);
    return same ? [] : [{ key, set: { first_name, last_name } }];
  });
  if (changes.length > 0) await done(client.PATCH("/v1/admin/agents/bulk", { params: { query }, body: { changes } }));
  const agents = company.people.filter((person) => !there.has(person.email.toLowerCase()));
  if (agents.length > 0) {
    const report = await done(client.POST("/v1/admin/agents/bulk", { params: { query }, body: { agents } }));
    for (const line of report.lines) {
      if (line.agent) phones.set(line.email.toLowerCase(), line.agent.extensions[0]!);
    }
  }
  requests.people = requests.all - before;
  return phones;
}

const switches = await allOf((cursor) => done(client.GET("/v1/switches", { params: { query: { cursor } } })));
if (!switches.some((known) => known.name === company.switch)) {
  const made = await done(client.POST("/v1/switches", { body: { name: company.switch } }));
  console.error(`switch ${company.switch}: its token, shown once, is ${made.token}`);
}

const domain = company.tenant.domain;
const tenancy = await done(
  client.PUT("/v1/tenants/by-domain/{domain}", { params: { path: { domain } }, body: company.tenant }),
);
const tenant_id = tenancy.id;
const of_tenant = { path: { tenant_id } };
const pools = await allOf((cursor) =>
  done(client.GET("/v1/tenants/{tenant_id}/pools", { params: { ...of_tenant, query: { cursor } } })),
);
const { first_number, last_number } = company.pool;
if (!pools.some((pool) => pool.first_number === first_number && pool.last_number === last_number)) {
  await done(client.POST("/v1/tenants/{tenant_id}/pools", { params: of_tenant, body: company.pool }));
}

const phones = await people(tenant_id);
const ids = (emails: string[]) => emails.flatMap((email) => phones.get(email)?.id ?? []);
const target = new Map<string, Schema["Target"]>();
for (const [email, { id }] of phones) target.set(`extension:${email}`, { kind: "extension", id });
const leads = (name: string) => {
  const found = target.get(name);
  if (!found) throw new Error(`nothing is called ${name}`);
  return found;
};

for (const { name, number, people } of company.groups) {
  const params = { path: { tenant_id, name } };
  const body = { name, number, members: ids(people) };
  const made = await done(client.PUT("/v1/tenants/{tenant_id}/groups/by-name/{name}", { params, body }));
  target.set(`group:${name}`, { kind: "group", id: made.id });
}

async function putByName(body: Schema["NewDestination"]) {
  const params = { path: { tenant_id, kind: body.kind, name: body.name } };
  const path = "/v1/tenants/{tenant_id}/destinations/by-name/{kind}/{name}";
  const made = await done(client.PUT(path, { params, body }));
  target.set(`${body.kind}:${body.name}`, { kind: body.kind, id: made.id });
}
const { queue, menu } = company;
const tiers = ids(queue.people).map((extension_id) => ({ extension_id }));
await putByName({ kind: "queue", name: queue.name, number: queue.number, config: { tiers } });
const entries = Object.fromEntries(Object.entries(menu.choices).map(([digit, name]) => [digit, leads(name)]));
const config = { greeting: { text: menu.greeting }, entries };
await putByName({ kind: "ivr", name: menu.name, number: menu.number, config });

for (const { number, leads_to, agent, daily_limit } of company.numbers) {
  const query = { tenant_id };
  const body = { number, destination: leads(leads_to) };
  const params = { query, path: { number } };
  const made = await done(client.PUT("/v1/phone-numbers/by-number/{number}", { params, body }));
  const path = "/v1/admin/agents/by-email/{email}";
  const holder = await done(client.GET(path, { params: { query, path: { email: agent } } }));
  if (made.assignment?.agent_id !== holder.id || made.assignment.daily_limit !== daily_limit) {
    const assign = { params: { query, path: { id: made.id } }, body: { agent_id: holder.id, daily_limit } };
    await done(client.POST("/v1/phone-numbers/{id}/assign", assign));
  }
}

const { name, rates } = company.carrier;
const carrier = await done(
  client.PUT("/v1/carriers/by-name/{name}", {
    params: { path: { name } },
    body: { name, config: company.carrier.config },
  }),
);
const path = { id: carrier.id };
const kept = await allOf((cursor) =>
  done(client.GET("/v1/carriers/{id}/rates", { params: { path, query: { cursor, limit: 200 } } })),
);
const wanted = new Map(Object.entries(rates).map(([prefix, price]) => [prefix, Math.round(Number(price) * 1e6)]));
if (kept.length !== wanted.size || kept.some((rate) => wanted.get(rate.prefix) !== rate.price)) {
  const sheet = ["prefix,price", ...Object.entries(rates).map((rate) => rate.join(","))].join("\n") + "\n";
  const headers = { "Content-Type": "text/csv" };
  await done(client.PUT("/v1/carriers/{id}/rates", { params: { path }, headers, body: sheet, bodySerializer: String }));
}

for (const { caller, number } of company.explain) {
  const body = { caller: phones.get(caller)?.number, number };
  const why = await done(client.POST("/v1/routes/explain", { params: { query: { tenant_id } }, body }));
  console.error(`${body.caller} calls ${number}: ${why.result}`);
}
console.log(JSON.stringify({ tenant: tenant_id, requests }));
