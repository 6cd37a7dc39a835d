// The live view: what goes on right now, as /v1/events tells it. Changes are drawn once a frame, and only the cells that differ.
import { Acts } from "./acts.js";

const root = document.getElementById("live");
const words = JSON.parse(root.dataset.words);
const isPlatform = root.dataset.platform === "true";
const lang = document.documentElement.lang;
// The server's clock, as far as this one differs from it by more than what a page takes to load.
const drift = Number(root.dataset.now) - Date.now();
const now = () => Date.now() + (Math.abs(drift) > 5000 ? drift : 0);
const clock = new Intl.DateTimeFormat(lang, { timeStyle: "medium" });
// More rows than this are counted and not drawn.
const MOST_ROWS = 400;
const word = (name) => words[name] ?? name;

function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "text") made.textContent = value;
    else if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${root.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

// A telephone number in groups, as lists show it. Country codes have the lengths that the ITU gave them (E.164).
const TWO = new Set("20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98".split(" "));
function formatted(number) {
  if (!/^\+\d+$/.test(number ?? "")) return number ?? "";
  const digits = number.slice(1);
  const size = /^[17]/.test(digits) ? 1 : TWO.has(digits.slice(0, 2)) ? 2 : 3;
  const parts = [`+${digits.slice(0, size)}`];
  for (let rest = digits.slice(size); rest;) {
    const length = rest.length <= 4 ? rest.length : rest.length === 5 ? 2 : 3;
    parts.push(rest.slice(0, length));
    rest = rest.slice(length);
  }
  return parts.join("\u00a0");
}

// How long it has been: 0:07, 12:34, 1:02:03.
function lasted(at) {
  const seconds = Math.max(0, Math.floor((now() - at) / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${hours ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}
const ticking = document.getElementsByClassName("tick");
function tick(at) {
  if (!at) return element("span", { class: "quiet", text: "–" });
  const made = element("time", { class: "tick", datetime: at });
  made.since = Date.parse(at);
  made.textContent = lasted(made.since);
  return made;
}
setInterval(() => {
  if (document.hidden || root.classList.contains("stale")) return;
  for (const time of ticking) {
    const text = lasted(time.since);
    if (time.textContent !== text) time.textContent = text;
  }
}, 1000);

const state = (name) => element("span", { class: `state ${name}`, text: word(name) });
const link = (href, text) => (href ? element("a", { href, text }) : document.createTextNode(text));
const nothing = () => element("span", { class: "quiet", text: "–" });

// A table whose rows have keys. What changed is noted, and drawn with the next frame.
const tables = {};
let asked = 0;
function draw() {
  if (!asked) asked = requestAnimationFrame(() => {
    asked = 0;
    for (const table of Object.values(tables)) table.draw();
    figures();
  });
}
class Table {
  constructor(name, columns, sought, more = {}) {
    this.body = root.querySelector(`[data-rows="${name}"]`);
    this.empty = root.querySelector(`[data-empty="${name}"]`);
    this.counted = root.querySelector(`[data-count="${name}"]`);
    this.hidden = root.querySelector(`[data-hidden="${name}"]`);
    this.labels = [...(this.body?.closest("table")?.querySelectorAll("th") ?? [])].map((head) => head.dataset.label ?? head.textContent);
    Object.assign(this, { name, columns, sought, more });
    this.items = new Map();
    this.rows = new Map();
    this.dirty = new Set();
    this.whole = false;
    this.wanted = "";
    tables[name] = this;
  }
  put(key, item) { this.items.set(key, item); this.dirty.add(key); draw(); }
  drop(key) { if (this.items.delete(key)) { this.dirty.add(key); draw(); } }
  // Only these are there.
  only(pairs) {
    this.items = new Map(pairs);
    this.whole = true;
    draw();
  }
  again() { this.whole = true; draw(); }
  fits(item) { return !this.wanted || this.sought(item).toLowerCase().includes(this.wanted); }
  draw() {
    if (!this.body || (!this.whole && !this.dirty.size)) return;
    if (this.whole) {
      const stood = this.body.contains(document.activeElement) ? document.activeElement : null;
      const next = stood?.closest("[data-key]")?.nextElementSibling;
      const shown = [];
      for (const [key, item] of this.items) {
        if (shown.length >= MOST_ROWS) break;
        if (this.fits(item)) shown.push(key);
      }
      const kept = new Set(shown);
      for (const [key, row] of this.rows) if (!kept.has(key)) this.remove(key, row);
      // What is said of a row stands below it.
      const order = shown.map((key) => this.row(key)).flatMap((row) => (row.note ? [row, row.note] : [row]));
      for (const [at, row] of order.entries()) {
        if (this.body.children[at] !== row) this.body.insertBefore(row, this.body.children[at] ?? null);
      }
      // A browser forgets who stands on what is moved. Whoever stood on a row that is gone goes on at the next one.
      if (stood && stood !== document.activeElement) {
        if (stood.isConnected) stood.focus({ preventScroll: true });
        else if (next?.isConnected) next.querySelector("a, summary, button")?.focus();
      }
    } else {
      let room = false;
      for (const key of this.dirty) {
        const item = this.items.get(key);
        const row = this.rows.get(key);
        if (item && this.fits(item)) {
          if (row) this.row(key);
          else if (this.rows.size < MOST_ROWS) this.body.append(this.row(key));
        } else if (row) {
          // Whoever stands on a row that goes away goes on at the next one.
          const next = (row.note ?? row).nextElementSibling ?? row.previousElementSibling;
          const stood = row.contains(document.activeElement) || row.note?.contains(document.activeElement);
          this.remove(key, row);
          if (stood) next?.querySelector("a, summary, button")?.focus();
          room = true;
        }
      }
      if (room && this.items.size > this.rows.size) { this.dirty.clear(); this.whole = true; this.draw(); return; }
    }
    this.whole = false;
    this.dirty.clear();
    if (this.empty) this.empty.hidden = this.rows.size > 0;
    if (this.empty) this.empty.textContent = this.wanted && this.items.size ? word("no_match") : this.empty.dataset.text;
    const table = this.body.closest("table");
    if (table) table.hidden = this.rows.size === 0;
    if (this.counted) this.counted.textContent = String(this.items.size);
    const left = this.items.size - this.rows.size;
    if (this.hidden) {
      this.hidden.hidden = left <= 0 || Boolean(this.wanted);
      this.hidden.textContent = word("further").replace("{count}", left);
    }
  }
  remove(key, row) {
    row.remove();
    row.note?.remove();
    this.rows.delete(key);
    acts.gone(`${this.name}\n${key}`);
  }
  row(key) {
    const item = this.items.get(key);
    let row = this.rows.get(key);
    if (!row) {
      row = element(this.more.tag ?? "tr", { class: this.more.class });
      row.dataset.key = key;
      row.told = [];
      for (const at of this.columns.keys()) {
        const cell = element(this.more.tag ? "div" : "td", { class: this.columns[at].class });
        if (!this.more.tag) cell.dataset.label = this.columns[at].class === "acts" ? "" : this.labels[at] ?? "";
        row.append(cell);
      }
      this.rows.set(key, row);
    }
    for (const [at, column] of this.columns.entries()) {
      const told = column.told(item);
      // A menu that somebody has open stays as it is.
      if (row.told[at] === told || row.children[at].querySelector("details.menu[open]")) continue;
      row.told[at] = told;
      const cell = row.children[at];
      const stood = cell.contains(document.activeElement) ? document.activeElement : null;
      cell.replaceChildren(...[column.show(item)].flat().filter(Boolean));
      // Whoever stood on something in it stands on what took its place.
      const same = stood?.dataset.act ? `[data-act="${stood.dataset.act}"]` : stood?.matches("summary") ? "summary" : "a, button";
      if (stood) (cell.querySelector(same) ?? row.querySelector("a, summary, button"))?.focus({ preventScroll: true });
    }
    return row;
  }
}
const column = (told, show, name) => ({ told: (item) => JSON.stringify(told(item) ?? null), show, class: name });

// What a party is called.
function party(leg) {
  if (!leg) return null;
  const number = leg.extension ?? formatted(leg.number);
  const name = leg.name && leg.name !== leg.number && leg.name !== leg.extension ? leg.name : "";
  return { name: name || number || word("withheld"), number: name ? number : "", href: leg.agent_id && !isPlatform ? `/app/agents/${leg.agent_id}` : "" };
}
function shown(one) {
  return element("span", { class: "party" }, link(one.href, one.name), one.number ? element("small", { text: one.number }) : null);
}
const legs = (call) => call.legs ?? [];
const caller = (call) => legs(call).find((leg) => leg.caller);
const called = (call) => legs(call).filter((leg) => !leg.caller);
const agent = (call) => legs(call).find((leg) => leg.agent_id);
const ICONS = { inbound: "phone-incoming", outbound: "phone-outgoing", internal: "arrow-left-right" };
const call_key = (call) => `${call.tenant_id} ${call.id}`;

// A switch, or whose something is: only the platform sees that.
const tenants = new Map(Object.entries(JSON.parse(root.dataset.tenants)));
const of_tenant = column((one) => one.tenant_id, (one) => link(`/platform/tenants/${one.tenant_id}`, tenants.get(one.tenant_id) ?? one.tenant_id.slice(0, 8)));
const of_switch = column((one) => one.switch, (one) => element("span", { class: "mono", text: one.switch ?? "–" }));
const placed = isPlatform ? [of_tenant, of_switch] : [];

// Where one can go on from a call.
function links(call) {
  const list = [];
  const add = (href, icon, text) => list.push({ href, icon, text: word(text) });
  if (isPlatform) { add(`/platform/tenants/${call.tenant_id}`, "building-2", "open_tenant"); return list; }
  if (!only) list.push({ href: `/app/calls/${call.id}`, icon: "eye", text: acts.w("open_call") });
  if (root.dataset.all !== "true") return list;
  const to = agent(call);
  const outside = legs(call).find((leg) => /^\+\d+$/.test(leg.number ?? ""))?.number;
  if (to) add(`/app/agents/${to.agent_id}`, "users", "open_agent");
  if (call.queue_id) add(`/app/queues/${call.queue_id}`, "headphones", "open_queue");
  if (outside) add(`/app/calls?party=${encodeURIComponent(outside)}`, "phone-call", "open_calls");
  return list;
}
const named = (call) => [party(caller(call)), ...called(call).map(party)].filter(Boolean).map((one) => [one.name, one.number].filter(Boolean).join(" ")).join(" → ") || "–";
// The only call that the page is about, if it is about one.
const only = root.dataset.call;
const acts = new Acts({
  root, element, icon, links, named,
  call: (key) => calls.items.get(key),
  row: (spot) => { const [table, key] = spot.split("\n"); return tables[table]?.rows.get(key); },
});
const act = (key, name, spot) => {
  const button = element("button", { type: "button", class: "small", text: acts.w(name), "data-act": name });
  button.addEventListener("click", () => acts.choose(key, name, button, spot));
  return button;
};

const calls = new Table("calls", [
  column((call) => [call.direction, call.state], (call) => [element("span", { class: "way-of", title: word(call.direction) }, icon(ICONS[call.direction] ?? "phone"), element("span", { class: "hidden", text: word(call.direction) })), state(call.state)], "what"),
  column((call) => [legs(call).map(party), call.dialled], (call) => {
    const from = party(caller(call));
    const to = called(call).map(party);
    const second = to.length ? to : [{ name: formatted(call.dialled) || "–", number: "", href: "" }];
    return element("span", { class: "pair-of" }, from ? shown(from) : nothing(), icon("arrow-right"), ...second.slice(0, 3).map(shown), second.length > 3 ? element("small", { text: `+${second.length - 3}` }) : null);
  }, "who"),
  ...placed,
  column((call) => call.queue, (call) => (call.queue ? link(isPlatform ? "" : `/app/queues/${call.queue_id}`, call.queue) : nothing())),
  column((call) => call.dialled, (call) => (call.dialled ? element("span", { class: "tel", text: formatted(call.dialled) }) : nothing()), "tel"),
  column((call) => call.since, (call) => tick(call.since), "tel"),
  column((call) => call.began_at, (call) => tick(call.began_at), "tel"),
  // What stands in the menu is looked up when it opens.
  ...(only ? [] : [column((call) => party(caller(call))?.name, (call) => acts.menu(call_key(call), `${word("actions")}: ${party(caller(call))?.name ?? ""}`), "acts")]),
], (call) => [word(call.state), word(call.direction), call.dialled, call.queue, call.switch, tenants.get(call.tenant_id), ...legs(call).flatMap((leg) => [leg.number, leg.name, leg.extension])].filter(Boolean).join(" "));

const queue_names = new Map();
// The call that an agent is in, and what a supervisor can do there with one click.
const agent_key = (one) => `${one.tenant_id} ${one.extension}`;
// Of somebody with several extensions, the row names one, and the call may be at another.
const leg_of = (one, call) => legs(call).find((leg) => leg.state !== "ringing" && leg.extension && (leg.extension === one.extension || (one.agent_id && leg.agent_id === one.agent_id)));
function call_of(one) {
  for (const call of calls.items.values()) if (call.tenant_id === one.tenant_id && leg_of(one, call)) return call;
  return null;
}
const supervises = (call) => { const found = acts.can(call); return ["listen", "whisper", "barge", "take_over"].filter((name) => found.has(name)); };
function in_call(one) {
  const call = call_of(one);
  if (!call) return nothing();
  const own = leg_of(one, call);
  const other = legs(call).find((leg) => leg.id !== own.id);
  const spot = `agents\n${agent_key(one)}`;
  const buttons = supervises(call).map((name) => act(call_key(call), name, spot));
  for (const button of buttons) {
    button.dataset.extension = own.extension;
    button.setAttribute("aria-label", `${button.textContent}: ${one.name ?? one.extension}`);
  }
  return element("div", { class: "with" }, other ? shown({ ...party(other), href: `/app/calls/${call.id}` }) : link(`/app/calls/${call.id}`, word(call.state)), buttons.length ? element("div", { class: "row-actions" }, ...buttons) : null);
}
// Their rows change with their calls.
function mark_agents(...all) {
  const [keys, people] = [new Set(), new Set()];
  for (const call of all) for (const leg of legs(call ?? {})) {
    keys.add(`${call.tenant_id} ${leg.extension}`);
    if (leg.agent_id) people.add(leg.agent_id);
  }
  if (keys.size) for (const [key, one] of agents.items) if (keys.has(key) || people.has(one.agent_id)) agents.dirty.add(key);
}

// Why an agent is as they are, and who chose it.
function why(one) {
  const text = [one.cause && word(one.cause), one.reason, one.set_by && word("set_by").replace("{name}", one.set_by)].filter(Boolean).join(" · ");
  return text ? element("small", { class: "why", text }) : null;
}
// What managers set for agents.
const reasons = JSON.parse(root.dataset.reasons);
async function set_status(one, status, reason) {
  const path = `/v1/agents/${one.agent_id}/status${whose.has("tenant_id") ? `?tenant_id=${one.tenant_id}` : ""}`;
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRF-Token": root.dataset.csrf };
  const answer = await fetch(path, { method: "PUT", headers, body: JSON.stringify(reason ? { status, reason } : { status }) }).catch(() => null);
  const problem = answer?.ok ? null : await answer?.json().catch(() => null);
  const notice = document.getElementById("refused");
  notice.hidden = Boolean(answer?.ok);
  notice.firstElementChild.textContent = answer?.ok ? "" : problem?.detail ?? word("not_changed");
  const now = answer?.ok ? (await answer.json()).now : null;
  if (now) agents.put(agent_key(now), now);
}
function choices(one) {
  if (root.dataset.maySet !== "true" || !one.agent_id) return null;
  const menu = element("details", { class: "menu" });
  const list = element("ul");
  for (const status of ["available", "busy", "away", "offline"]) {
    for (const reason of [null, ...reasons.filter((known) => known.status === status).map((known) => known.name)]) {
      const button = element("button", { type: "button", "data-status": status, "data-reason": reason ?? "" }, element("span", { class: `dot ${status}` }), reason ? `${word(status)}: ${reason}` : word(status));
      button.addEventListener("click", () => { menu.open = false; menu.firstElementChild.focus(); set_status(one, status, reason); });
      list.append(element("li", {}, button));
    }
  }
  menu.append(element("summary", { class: "icon-button", "aria-label": `${word("change_status")}: ${one.name ?? one.extension ?? ""}` }, icon("ellipsis-vertical")), list);
  return menu;
}
const agents = new Table("agents", [
  column((one) => [one.name, one.extension, one.agent_id], (one) => element("span", { class: "party" }, link(one.agent_id && !isPlatform ? `/app/agents/${one.agent_id}` : "", one.name ?? one.extension ?? "–"), one.extension ? element("small", { text: one.extension }) : null)),
  column((one) => [one.state, one.reason, one.cause, one.set_by], (one) => [state(one.state), why(one)]),
  ...(isPlatform ? [of_tenant] : []),
  column((one) => one.since, (one) => tick(one.since), "tel"),
  column((one) => (one.queues ?? []).map((id) => queue_names.get(id)), (one) => element("span", { text: (one.queues ?? []).map((id) => queue_names.get(id) ?? "–").join(", ") || "–" })),
  ...(isPlatform ? [] : [column((one) => { const call = call_of(one); return call && [call.id, call.state, legs(call).map(party), supervises(call)]; }, in_call, "in-call")]),
  column((one) => [one.agent_id, one.name, one.tenant_id], choices, "acts"),
], (one) => [one.name, one.extension, word(one.state), one.reason, one.cause && word(one.cause)].filter(Boolean).join(" "));

// A queue: who waits, and how its agents are.
const ORDER = ["available", "ringing", "on_call", "wrap_up", "busy", "away", "offline", "unknown"];
const percent = new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: 0 });
function day(today) {
  if (!today.calls) return word("no_call_today");
  const level = today.service_level === null ? "–" : percent.format(today.service_level);
  return word("of_today").replace("{calls}", today.calls).replace("{level}", level).replace("{abandoned}", today.abandoned);
}
function head(queue) {
  const waiting = queue.waiting ?? [];
  const counts = ORDER.map((name) => [name, (queue.agents ?? []).filter((one) => one.state === name).length]).filter(([, count]) => count);
  const chips = counts.map(([name, count]) => element("span", { class: `state ${name}`, text: `${count} ${word(name)}` }));
  return [
    element("h3", {}, link(isPlatform ? "" : `/app/queues/${queue.queue_id}`, queue.name ?? "–")),
    element("div", { class: "waits" }, element("b", { text: waiting.length }), ` ${word("waiting_now")}`, waiting.length ? element("span", { class: "longest" }, `${word("longest")} `, tick(waiting[0].since)) : null),
    queue.today ? element("p", { class: "quiet of-today", text: day(queue.today) }) : null,
    chips.length ? element("div", { class: "chips" }, ...chips) : element("p", { class: "quiet", text: word("no_agents") }),
  ];
}
function line(queue) {
  const waiting = queue.waiting ?? [];
  if (!waiting.length) return [];
  const rows = waiting.slice(0, 10).map((one, at) => element("li", {}, element("span", { class: "place", text: at + 1 }), shown({ name: one.name || formatted(one.number) || word("withheld"), number: one.name ? formatted(one.number) : "", href: "" }), one.offered_to ? element("small", { text: `${word("rings_at")} ${one.offered_to}` }) : null, tick(one.since)));
  const more = waiting.length - rows.length;
  return [element("ol", { class: "line" }, ...rows), more > 0 ? element("p", { class: "quiet", text: word("further").replace("{count}", more) }) : null];
}
const queues = new Table("queues", [
  column((one) => [one.name, one.waiting?.[0]?.since, one.waiting?.length, (one.agents ?? []).map((agent) => agent.state), one.today], head),
  column((one) => (one.waiting ?? []).map((waiting) => [waiting.since, waiting.number, waiting.name, waiting.offered_to]), line),
], (one) => [one.name, ...(one.waiting ?? []).flatMap((waiting) => [waiting.name, waiting.number])].filter(Boolean).join(" "), { tag: "article", class: "paper queue" });

const phones = new Table("registrations", [
  column((one) => [one.extension, one.name, one.sip_username], (one) => element("span", { class: "party" }, link(one.extension_id && !isPlatform ? `/app/extensions/${one.extension_id}` : "", one.name ?? one.sip_username), element("small", { text: one.extension ?? one.domain }))),
  column((one) => one.device, (one) => element("span", { text: one.device ?? "–" })),
  ...placed,
  column((one) => [one.address, one.transport], (one) => element("span", { class: "mono", text: `${one.address} ${(one.transport ?? "").toUpperCase()}` })),
  column((one) => one.since, (one) => tick(one.since), "tel"),
  column((one) => [one.reachable, one.round_trip_ms], (one) => {
    const known = one.reachable === null ? nothing() : state(one.reachable ? "reachable" : "unreachable");
    return one.round_trip_ms === null ? known : element("span", {}, known, " ", element("small", { text: `${Math.max(1, Math.round(one.round_trip_ms))} ms` }));
  }),
], (one) => [one.name, one.extension, one.sip_username, one.device, one.address, one.transport, one.switch].filter(Boolean).join(" "));
const phone_key = (one) => `${one.tenant_id} ${one.domain} ${one.sip_username} ${one.call_id}`;

const parked_key = (one) => `${one.tenant_id} ${one.slot} ${one.call_id}`;
const parked = new Table("parked", [
  column((one) => one.slot, (one) => element("span", { class: "number", text: one.slot })),
  column((one) => [one.name, one.number], (one) => shown({ name: one.name || formatted(one.number) || word("withheld"), number: one.name ? formatted(one.number) : "", href: "" })),
  ...placed,
  column((one) => one.since, (one) => tick(one.since), "tel"),
  ...(isPlatform ? [] : [column((one) => one.call_id, (one) => {
    const call = { tenant_id: one.tenant_id, id: one.call_id };
    if (!one.call_id || !root.dataset.own) return null;
    const button = act(call_key(call), "pick_up", `parked\n${parked_key(one)}`);
    button.setAttribute("aria-label", `${button.textContent}: ${one.slot}`);
    return button;
  }, "acts")]),
], (one) => [one.slot, one.name, one.number].filter(Boolean).join(" "));

const rooms = new Table("conferences", [
  column((one) => one.name, (one) => link(isPlatform ? "" : `/app/conferences/${one.conference_id}`, one.name ?? "–")),
  column((one) => one.members, (one) => element("span", { class: "numbers" }, ...(one.members ?? []).slice(0, 12).map((member) => element("span", { class: "member" }, member.name || formatted(member.number) || word("withheld"), member.muted ? ` (${word("muted")})` : null)), (one.members ?? []).length > 12 ? element("span", { class: "quiet", text: `+${one.members.length - 12}` }) : null)),
  ...placed,
  column((one) => one.since, (one) => tick(one.since), "tel"),
], (one) => [one.name, ...(one.members ?? []).map((member) => member.name ?? member.number)].filter(Boolean).join(" "));

// Who takes part in the only call of the page.
const parties = new Table("legs", [
  column((leg) => party(leg), (leg) => shown(party(leg))),
  column((leg) => [leg.state, leg.muted], (leg) => [state(leg.state === "up" ? "talking" : leg.state), leg.muted ? ` ${word("muted")}` : null]),
  column((leg) => leg.since, (leg) => tick(leg.since), "tel"),
  column((leg) => leg.recording, (leg) => (leg.recording ? icon("mic") : nothing())),
], () => "");
const concerns = (call) => !only || call.id === only;
function one_call() {
  const call = [...calls.items.values()][0];
  parties.only(legs(call ?? {}).map((leg) => [leg.id, leg]));
  const bar = root.querySelector('[data-part="bar"]');
  if (call && !acts.bar) acts.open_bar(bar, call_key(call));
  if (!call && !unknown.length) over();
}
// It is over: its page is the record's, which comes some seconds later.
let is_over = false;
async function over() {
  if (is_over) return;
  is_over = true;
  acts.bar?.replaceChildren();
  parties.only([]);
  document.getElementById("act-said").textContent = acts.w("over");
  for (let turn = 0; turn < 30; turn += 1) {
    const answer = await fetch(`/v1/calls/${only}?${whose}`, { headers: { Accept: "application/json" } }).catch(() => null);
    // 202: only what people wrote about it is there yet.
    if (answer?.status === 200) { window.location.reload(); return; }
    await new Promise((done) => { setTimeout(done, 2000); });
  }
  calls.empty.textContent = acts.w("no_record");
}

const gateways = new Table("gateways", [
  column((one) => one.carrier, (one) => link(`/platform/carriers/${one.carrier_id}`, one.carrier ?? one.carrier_id.slice(0, 8))),
  of_switch,
  column((one) => [one.up, one.state], (one) => [element("span", { class: `state ${one.up ? "up" : "down"}`, text: word(one.up ? "up" : "down") }), element("span", { class: "mono quiet", text: ` ${one.state ?? ""}` })]),
  column((one) => one.since, (one) => tick(one.since), "tel"),
], (one) => [one.carrier, one.switch, one.state].filter(Boolean).join(" "));

const switches = new Table("switches", [
  column((one) => one.name, (one) => link(`/platform/switches/${one.id}`, one.name), ""),
  column((one) => one.unknown, (one) => (one.unknown ? [state("unheard"), " ", tick(one.unknown)] : state("heard"))),
  column((one) => one.calls, (one) => element("span", { text: one.unknown ? "–" : one.calls }), "tel"),
  column((one) => one.phones, (one) => element("span", { text: one.unknown ? "–" : one.phones }), "tel"),
  column((one) => one.gateways, (one) => element("span", { text: one.unknown ? "–" : one.gateways }), "tel"),
], (one) => one.name);
const known = JSON.parse(root.dataset.switches);
let unknown = [];
function per_switch() {
  if (!known.length) return;
  const count = (table, test = () => true) => {
    const found = new Map();
    for (const one of table.items.values()) if (test(one)) found.set(one.switch_id, (found.get(one.switch_id) ?? 0) + 1);
    return found;
  };
  const [of_calls, of_phones, up, all] = [count(calls), count(phones), count(gateways, (one) => one.up), count(gateways)];
  for (const one of known) {
    const lost = unknown.find((lost) => lost.switch_id === one.id);
    const item = { ...one, unknown: lost?.since, calls: of_calls.get(one.id) ?? 0, phones: of_phones.get(one.id) ?? 0, gateways: `${up.get(one.id) ?? 0} / ${all.get(one.id) ?? 0}` };
    if (JSON.stringify(switches.items.get(one.id)) !== JSON.stringify(item)) {
      switches.items.set(one.id, item);
      switches.dirty.add(one.id);
    }
  }
  switches.draw();
}

// The figures above, from the tables below.
let heard = false;
function figure(name, text) {
  const place = root.querySelector(`[data-figure="${name}"]`);
  if (place && place.textContent !== String(text)) place.textContent = text;
}
function figures() {
  if (!heard) return;
  const waiting = [...queues.items.values()].flatMap((queue) => queue.waiting ?? []);
  const oldest = waiting.map((one) => one.since).sort()[0];
  const states = [...agents.items.values()].map((one) => one.state);
  figure("calls", calls.items.size);
  figure("waiting", waiting.length);
  figure("available", states.filter((name) => name === "available").length);
  figure("working", states.filter((name) => ["on_call", "ringing", "wrap_up"].includes(name)).length);
  figure("phones", phones.items.size);
  figure("unreachable", [...phones.items.values()].filter((one) => one.reachable === false).length);
  figure("down", [...gateways.items.values()].filter((one) => !one.up).length);
  const longest = root.querySelector('[data-figure="longest"]');
  if (longest && longest.dataset.at !== (oldest ?? "")) {
    longest.dataset.at = oldest ?? "";
    longest.replaceChildren(oldest ? tick(oldest) : "–");
  }
  per_switch();
}

// What was said last, and by whom it is not known.
function say(data) {
  heard = true;
  unknown = data.unknown ?? [];
  for (const queue of data.queues ?? []) queue_names.set(queue.queue_id, queue.name);
  if (data.calls) calls.only(data.calls.filter(concerns).sort((one, other) => (one.began_at < other.began_at ? -1 : 1)).map((call) => [call_key(call), call]));
  if (data.queues) queues.only(data.queues.sort((one, other) => (one.name ?? "").localeCompare(other.name ?? "", lang)).map((queue) => [queue.queue_id, queue]));
  if (data.agents) agents.only(data.agents.sort((one, other) => (one.name ?? "").localeCompare(other.name ?? "", lang)).map((one) => [agent_key(one), one]));
  if (data.registrations) phones.only(data.registrations.map((one) => [phone_key(one), one]));
  if (data.calls) {
    agents.again();
    for (const key of calls.items.keys()) acts.changed(key);
    if (only) one_call();
  }
  if (data.gateways) gateways.only(data.gateways.map((one) => [`${one.carrier_id} ${one.switch_id}`, one]));
  const notice = document.getElementById("unknown");
  notice.hidden = unknown.length === 0;
  const since = unknown.map((one) => one.since).sort()[0];
  notice.firstElementChild.textContent = since ? word("unknown_since").replace("{time}", clock.format(new Date(since))) : "";
}
const BY_TOPIC = {
  "call:state:changed": (data) => {
    if (!concerns(data)) return;
    const was = calls.items.get(call_key(data));
    calls.put(call_key(data), data);
    acts.changed(call_key(data));
    mark_agents(was, data);
    if (only) one_call();
    if ((was?.state === "parked") !== (data.state === "parked") || data.state === "connected") look();
  },
  "call:ended": (data) => {
    if (["parked", "connected"].includes(calls.items.get(call_key(data))?.state)) look();
    mark_agents(calls.items.get(call_key(data)));
    calls.drop(call_key(data));
    acts.changed(call_key(data));
    if (data.id === only) over();
  },
  "agent:status:updated": (data) => agents.put(`${data.tenant_id} ${data.extension}`, data),
  "queue:update": (data) => { queue_names.set(data.queue_id, data.name); queues.put(data.queue_id, data); },
  "registration:changed": (data) => {
    const kept = new Set(data.phones.map(phone_key));
    for (const [key, one] of phones.items) if (one.tenant_id === data.tenant_id && one.sip_username === data.sip_username && !kept.has(key)) phones.drop(key);
    for (const one of data.phones) phones.put(phone_key(one), one);
  },
  "gateway:changed": (data) => {
    const key = `${data.carrier_id} ${data.switch_id}`;
    gateways.put(key, { ...gateways.items.get(key), ...data, since: data.at });
  },
};

// Conferences and parked calls are asked for: when a call says so, and now and then.
let looking = 0;
const whose = new URLSearchParams(root.dataset.query);
whose.delete("topics");
async function lists() {
  looking = 0;
  if (document.hidden || !tables.parked.body) return;
  for (const [table, path, key] of [[parked, "parked", parked_key], [rooms, "conferences", (one) => `${one.conference_id} ${one.switch_id}`]]) {
    try {
      const items = await all(path);
      if (!items) return;
      table.only(items.map((one) => [key(one), one]));
    } catch {
      return;
    }
  }
}
// The whole of a list, page by page.
async function all(path) {
  const items = [];
  let after = "";
  do {
    const answer = await fetch(`/v1/live/${path}?${whose}&limit=500${after}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) return null;
    const page = await answer.json();
    items.push(...page.items);
    after = page.next_cursor ? `&cursor=${encodeURIComponent(page.next_cursor)}` : "";
  } while (after && items.length < 10000);
  return items;
}
function look() { if (!looking) looking = setTimeout(lists, 400); }
setInterval(look, 5000);

// One stream for the page. It goes on after the last message that it had; a new one of the whole comes if that is too long ago.
const told = document.getElementById("link");
function linked(name, since) {
  told.className = `state ${name}`;
  told.textContent = word(name);
  root.classList.toggle("stale", Boolean(since));
  const notice = document.getElementById("lost");
  notice.hidden = !since;
  if (since) notice.firstElementChild.textContent = word("lost_since").replace("{time}", clock.format(new Date(since)));
}
let source = null;
let lost = 0;
let cursor = "";
let again = 1000;
let retry = 0;
function listen() {
  leave();
  if (document.hidden) return;
  source = new EventSource(`/v1/events?${root.dataset.query}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
  source.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.cursor) cursor = message.cursor;
    if (message.type === "ended") return;
    away = 0;
    if (lost || !heard) { lost = 0; again = 1000; linked("is_live"); look(); }
    if (message.type === "snapshot") say(message.data);
    if (message.type === "event") BY_TOPIC[message.topic]?.({ ...message.data, at: message.at });
  };
  const mine = source;
  source.onerror = async () => {
    if (mine !== source) return;
    lost ||= away || Date.now();
    linked("is_lost", lost);
    if (source.readyState !== EventSource.CLOSED) return;
    // It was refused. Whoever is signed out goes to sign in; everything else passes.
    const me = await fetch("/v1/auth/me").catch(() => null);
    if (me?.status === 401) { window.location.assign("/sign-in"); return; }
    if (mine !== source) return;
    clearTimeout(retry);
    retry = setTimeout(listen, again);
    again = Math.min(again * 2, 30000);
  };
}
function leave() {
  clearTimeout(retry);
  source?.close();
  source = null;
}
addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
// A browser has six connections to a host without HTTP/2, and nobody looks at a hidden tab: its stream ends, and goes on when it is seen.
const GLANCE = 5000;
let away = 0;
let leaving = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) {
    leaving = setTimeout(() => { away = Date.now(); leave(); }, GLANCE);
    return;
  }
  if (!source) listen();
  look();
});

const filter = document.getElementById("q");
filter?.addEventListener("input", () => {
  for (const table of Object.values(tables)) {
    table.wanted = filter.value.trim().toLowerCase();
    table.again();
  }
});
filter?.form?.addEventListener("submit", (event) => event.preventDefault());
listen();
look();
