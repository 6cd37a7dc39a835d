// The agent's status: what they choose, how they are right now, since when, and the time after a call.
import { ask, clock, el, find, root, t } from "./phone-base.js";
import { say } from "./phone-show.js";
import { takeMessage, takeMessages } from "./phone-chat.js";
import { showWaits, takeQueue, takeQueues } from "./phone-queues.js";

const reasons = JSON.parse(root.dataset.reasons);
const path = `/v1/agents/${root.dataset.user}`;
const CHOICES = ["available", "busy", "away", "offline"];
const MORE = 300;
let now = null;

function timer() {
  const place = find("status-timer");
  if (!now?.since) {
    place.textContent = "";
    return;
  }
  const left = now.until ? (Date.parse(now.until) - Date.now()) / 1000 : null;
  // After a call, what counts is how long it lasts still.
  place.textContent = left !== null ? clock(Math.max(0, Math.ceil(left))) : clock(Math.max(0, Math.floor((Date.now() - Date.parse(now.since)) / 1000)));
  if (left !== null && left < -3) read();
}

function show(agent) {
  const isSetByOther = now && agent?.set_by && (now.set_by !== agent.set_by || now.state !== agent.state || now.reason !== agent.reason);
  if (isSetByOther) say(t("status.changed_by", { name: agent.set_by, status: [t(`agent.${agent.state}`), agent.reason].filter(Boolean).join(": ") }));
  now = agent;
  const name = agent?.state ?? "unknown";
  const state = find("status-state");
  state.className = `state ${name}`;
  state.textContent = t(`agent.${name}`);
  const why = [agent?.cause && t(`cause.${agent.cause}`), agent?.reason, agent?.set_by && t("status.set_by", { name: agent.set_by })];
  find("status-why").textContent = why.filter(Boolean).join(" · ");
  find("status-wrap-up").hidden = name !== "wrap_up";
  timer();
}

function said(text) {
  const place = find("status-said");
  place.textContent = text;
  place.hidden = !text;
}

async function put(what, body) {
  const answer = await ask(`${path}/${what}`, "PUT", body).catch(() => null);
  if (answer?.ok) {
    said("");
    take(await answer.json());
    return;
  }
  const problem = await answer?.json().catch(() => null);
  said(problem?.detail ?? t("status.not_set"));
}

// Without a switch that is heard, what was chosen is all that is known.
function take(status) {
  show(status.now ?? { state: status.status, reason: status.reason, cause: status.cause, since: status.since, set_by: status.set_by });
}

async function read() {
  const answer = await ask(`${path}/status`).catch(() => null);
  if (answer?.ok) take(await answer.json());
}

function choose(status, reason) {
  const menu = find("status-menu");
  menu.open = false;
  menu.querySelector("summary").focus();
  put("status", reason ? { status, reason } : { status });
}

function choices() {
  const all = CHOICES.flatMap((status) => [null, ...reasons.filter((one) => one.status === status).map((one) => one.name)].map((reason) => [status, reason]));
  find("status-choices").replaceChildren(...all.map(([status, reason]) => el("li", {},
    el("button", { type: "button", "data-status": status, "data-reason": reason ?? "", onclick: () => choose(status, reason) },
      el("span", { class: `dot ${status}` }), reason ? `${t(`agent.${status}`)}: ${reason}` : t(`agent.${status}`)))));
}

let takeCall = () => {};
let source;
function listen() {
  source = new EventSource(`/v1/events?topics=agent:status:updated,queue:update,message:received,call:state:changed&agent_id=${root.dataset.user}`);
  source.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "snapshot") {
      const own = message.data.agents.find((one) => one.agent_id === root.dataset.user);
      if (own) show(own);
      else read();
      takeQueues(message.data.queues);
      for (const call of message.data.calls ?? []) takeCall(call);
      takeMessages();
    }
    if (message.type === "event" && message.topic === "queue:update") takeQueue(message.data);
    else if (message.type === "event" && message.topic === "message:received") takeMessage(message.data);
    else if (message.type === "event" && message.topic === "call:state:changed") takeCall(message.data);
    else if (message.type === "event") show(message.data);
  };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000); };
}

export function openStatus(onCall) {
  takeCall = onCall;
  choices();
  find("wrap-up-end").addEventListener("click", () => put("wrap-up", { seconds: 0 }));
  find("wrap-up-more").addEventListener("click", () => {
    const left = now?.until ? Math.max(0, Math.ceil((Date.parse(now.until) - Date.now()) / 1000)) : 0;
    put("wrap-up", { seconds: Math.min(3600, left + MORE) });
  });
  setInterval(() => { timer(); showWaits(); }, 1000);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
  read();
  listen();
}
