// The desk around the phone: who calls, what was said before, notes and the result of a call, and the calls of the last days.
import { ask, clock, el, find, icon, root, t } from "./phone-base.js";
import { showCallerPage, showScript } from "./phone-caller.js";
import { lookFor } from "./phone-return.js";

const RECENT = 20;
// So long after the last key, what is noted during a call is saved.
const SAVES_AFTER = 1500;
const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
const own = new Set((root.dataset.numbers ?? "").split(" ").filter(Boolean));

async function read(path) {
  const answer = await ask(path).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

// Calls with a number, the newest first.
async function callsWith(number, limit) {
  if (/^\+\d{6,}$/.test(number)) return (await read(`/v1/calls?party=${encodeURIComponent(number)}&limit=${limit}`))?.items ?? [];
  if (number.length < 3) return [];
  // Numbers with this one in them are found as well.
  const found = (await read(`/v1/calls?search=${encodeURIComponent(number)}&limit=50`))?.items ?? [];
  return found.filter((call) => [call.from, call.to, call.answered_by].some((side) => side?.number === number)).slice(0, limit);
}

// Whether somebody of this page called, and the other side.
function sides(call) {
  const isOut = own.has(call.from.number) || (call.from.agent_id === root.dataset.user);
  const other = isOut ? call.to : call.from;
  return { isOut, number: other.number ?? "", name: other.name ?? "" };
}

function when(call) {
  return format.format(new Date(call.started_at));
}

function line(call, names) {
  const { isOut, number, name } = sides(call);
  const isMissed = !isOut && call.state !== "answered";
  const shown = name && name !== number ? name : names?.(number) ?? number;
  const took = call.state === "answered" ? clock(call.talk_seconds) : t(`result.${call.state}`);
  return el("li", { class: isMissed ? "missed" : "" },
    icon(isMissed ? "phone-missed" : isOut ? "phone-outgoing" : "phone-incoming"),
    el("div", {},
      el("span", { class: "hidden" }, t(isOut ? "desk.out" : "desk.in")),
      number ? el("a", { href: `tel:${number}` }, shown || number) : el("span", {}, t("unknown")),
      el("p", { class: "quiet" }, [shown !== number && number, when(call), took, call.disposition].filter(Boolean).join(" · ")),
      call.notes && el("p", { class: "noted" }, call.notes)));
}

export async function showRecent(names) {
  const found = await read(`/v1/calls?limit=${RECENT}&agent_id=${root.dataset.user}`);
  const place = find("recent");
  if (!found) return;
  place.replaceChildren(...found.items.map((call) => line(call, names)));
  find("no-recent").hidden = found.items.length > 0;
}

export async function showNumbers() {
  const found = await read(`/v1/phone-numbers/agent/${root.dataset.user}`);
  const numbers = found?.numbers ?? [];
  find("numbers").replaceChildren(...numbers.map((one) => el("li", {}, el("span", { class: "mono" }, one.number),
    el("span", { class: "quiet" }, t("desk.used", { used: one.calls_made_today, limit: one.daily_limit })),
    el("meter", { min: 0, max: one.daily_limit || 1, value: one.calls_made_today, "aria-label": t("desk.used", { used: one.calls_made_today, limit: one.daily_limit }) }))));
  find("numbers-part").hidden = numbers.length === 0;
}

// The card of whoever is on the phone. It stays after the call, until it is put away or another call begins.
let shownFor = null;

export function isShown(call) {
  return shownFor?.call === call;
}

export async function showCard(call, party) {
  if (isShown(call)) return;
  if (shownFor?.isTyped && !shownFor.call.isOver) save();
  shownFor = { call };
  const mine = shownFor;
  find("card").hidden = false;
  find("card-name").textContent = party;
  find("card-number").textContent = call.number === party ? "" : call.number;
  find("card-facts").replaceChildren();
  find("card-history").replaceChildren();
  find("card-none").hidden = true;
  find("card-add").hidden = true;
  find("notes").value = call.notes ?? "";
  find("disposition").value = call.disposition ?? "";
  find("card-saved").textContent = "";
  find("save").disabled = Boolean(call.isOver);
  showCallerPage({ number: call.number, name: party === call.number ? "" : party });
  showScript(call, () => mine === shownFor);
  const isOutside = /^\+?\d{7,}$/.test(call.number);
  const [contact, history] = await Promise.all([
    isOutside ? read(`/v1/contacts/lookup?number=${encodeURIComponent(call.number)}`) : null,
    callsWith(call.number, 5),
  ]);
  if (mine !== shownFor) return null;
  mine.contact = contact;
  if (contact) {
    showCallerPage({ number: call.number, name: contact.name, external_id: contact.external_id });
    find("card-name").textContent = contact.name;
    find("card-number").textContent = call.number;
    const facts = [["desk.company", contact.company], ["desk.email", contact.email], ["desk.tags", contact.tags?.join(", ")],
      ["desk.contact_notes", contact.notes], ...Object.entries(contact.fields ?? {}).map(([name, value]) => [name, value, true])];
    find("card-facts").replaceChildren(...facts.filter(([, value]) => value)
      .flatMap(([name, value, isPlain]) => [el("dt", {}, isPlain ? name : t(name)), el("dd", {}, value)]));
    const open = el("a", { href: `/app/contacts/${contact.id}`, target: "_blank", rel: "noopener" }, t("desk.open_contact"));
    find("card-facts").append(el("dt", {}, t("desk.contact")), el("dd", {}, open));
  } else if (isOutside) {
    find("card-add").hidden = false;
  }
  find("card-history").replaceChildren(...history.map((one) => line(one)));
  find("card-none").hidden = history.length > 0;
  return contact;
}

// What was noted of a call so far.
export function noted(call) {
  if (!isShown(call)) return { notes: call.notes, disposition: call.disposition };
  return { notes: find("notes").value, disposition: find("disposition").value };
}

// The record that this phone's own leg is in. Its number and its time may be those of another call.
async function findRecord(call) {
  // A call that came back has another dialog now, and is the same call.
  const id = call.firstId ?? call.callId;
  const found = id && await read(`/v1/calls?sip_call_id=${encodeURIComponent(id)}&limit=2`);
  return found?.items.length === 1 ? found.items[0] : null;
}

// It comes some seconds after the call's end.
async function recordOf(call) {
  for (let turn = 0; turn < 20; turn += 1) {
    const found = await findRecord(call);
    if (found) return found;
    await new Promise((done) => { setTimeout(done, 1500); });
  }
  return null;
}

const textOf = (written) => written?.notes ?? "";
const isSame = (one, other) => textOf(one) === textOf(other) && (one?.disposition ?? "") === (other?.disposition ?? "");

// What is written about a call now: its record, or what is kept for that while the call is up. Null: nobody can say.
async function current({ call, record }) {
  const found = call.isOver && await findRecord(call);
  if (found) return found;
  if (!call.liveId && !call.isOver) {
    const live = await lookFor(call);
    if (live) call.takeLive(live);
  }
  const id = record?.id ?? call.liveId;
  return id ? read(`/v1/calls/${id}`) : null;
}

const inFields = () => ({ notes: find("notes").value.trim() || null, disposition: find("disposition").value || null });

// What others wrote before stays, and nothing that was typed is lost.
function joined(record, own) {
  const isIn = !textOf(record) || textOf(own).includes(textOf(record));
  const notes = isIn ? own.notes : [textOf(record), textOf(own)].filter(Boolean).join("\n");
  return { notes, disposition: own.disposition ?? record.disposition ?? null };
}

function show(mine, { notes, disposition }) {
  if (mine !== shownFor || isSame(inFields(), { notes, disposition })) return;
  find("notes").value = notes ?? "";
  find("disposition").value = disposition ?? "";
}

// After the call, what is noted belongs to its record.
export async function afterCall(call) {
  if (!isShown(call)) return;
  const mine = shownFor;
  if (mine.isTyped) await save();
  if (mine !== shownFor || mine.record?.version > 0) return;
  find("card-saved").textContent = t("desk.waits");
  find("save").disabled = true;
  const record = await recordOf(call);
  if (mine !== shownFor) return;
  if (!record) {
    find("card-saved").textContent = t("desk.no_record");
    return;
  }
  find("card-saved").textContent = "";
  mine.record = record;
  show(mine, joined(record, inFields()));
  find("save").disabled = false;
}

// What stands in the fields now, whatever they show when it has been saved.
async function save(mine = shownFor, isAsked = false) {
  if (!mine) return;
  clearTimeout(mine.timer);
  let own = inFields();
  const said = (text) => { if (mine === shownFor) find("card-saved").textContent = text; };
  mine.isTyped = false;
  if (!mine.record) {
    mine.record = await current(mine);
    if (!mine.record) {
      mine.isTyped = true;
      if (isAsked) said(t("desk.not_saved"));
      return;
    }
    const all = joined(mine.record, own);
    if (isSame(inFields(), own)) show(mine, all);
    own = all;
  }
  const patch = { ...own };
  if (mine.contact && !mine.record.contact_id) patch.contact_id = mine.contact.id;
  const write = (record) => ask(`/v1/calls/${record.id}`, "PATCH", patch, { "If-Match": `"v${record.version}"` }).catch(() => null);
  // Its record may have come since, or another leg's, which is no change by people.
  const again = async () => {
    const now = await current(mine);
    const isStill = now && isSame(now, mine.record);
    if (isStill) mine.record = now;
    return isStill;
  };
  if (mine.call.isOver) await again();
  let answer = await write(mine.record);
  if ((answer?.status === 412 || answer?.status === 404) && await again()) answer = await write(mine.record);
  if (answer?.ok) {
    mine.record = await answer.json();
    said(t("desk.saved"));
    if (mine.call.isOver) showRecent();
    return;
  }
  mine.isTyped = true;
  const problem = await answer?.json().catch(() => null);
  said(problem?.detail ?? t("desk.not_saved"));
}

// While the call is up, what is noted is kept by the platform and not by this tab.
function typed() {
  const mine = shownFor;
  if (!mine) return;
  mine.isTyped = true;
  clearTimeout(mine.timer);
  if (!mine.call.isOver) mine.timer = setTimeout(() => { if (mine === shownFor && !mine.call.isOver) save(); }, SAVES_AFTER);
}

export function openDesk() {
  find("save").addEventListener("click", () => save(shownFor, true));
  find("notes").addEventListener("input", typed);
  find("disposition").addEventListener("change", typed);
  find("put-away").addEventListener("click", () => { if (shownFor?.isTyped) save(); shownFor = null; find("card").hidden = true; });
}
