// The buttons at calls: a menu in each row, what is asked before, and what came of it, said beside the row.
import { answered, follow, send } from "./acts-base.js";
import { askForKeys, askForQueue, askToHangUp, askWhere } from "./acts-ask.js";
import { can, phone_of } from "./acts-can.js";

// How long what went well stays beside its row.
const STAYS = 8000;
// In their order, with their icons.
const ICONS = {
  hold: "pause", resume: "play", transfer: "phone-forwarded", consult: "user-plus", complete: "check", conference: "users", cancel: "rotate-cw", take_over: "headset", queue: "headphones", voicemail: "voicemail",
  park: "square-parking", pick_up: "phone-incoming", record: "mic", pause_recording: "pause", resume_recording: "play", stop_recording: "mic-off",
  mute: "mic-off", unmute: "mic", dtmf: "grip",
};
const MODES = { listen: "volume-2", whisper: "user-plus", barge: "merge" };
const narrow = window.matchMedia("(max-width: 720px)");

export class Acts {
  // `page`: the live page's root, `element`, `icon`, `call(key)`, `named(call)`, `links(call)`, and the `row(spot)` of a table.
  constructor(page) {
    Object.assign(this, page);
    const { acts, me, all, own, supervision, records } = this.root.dataset;
    this.words = JSON.parse(acts || "{}");
    const queues = Boolean(document.getElementById("ask-queue"));
    this.may = { me, all: all === "true", own, supervision, queues, records: records === "true" };
    this.isPlatform = this.root.dataset.platform === "true";
    this.opened = null;
    this.notes = new Map();
    addEventListener("scroll", () => { if (this.opened) this.place(this.opened); }, { capture: true, passive: true });
    addEventListener("resize", () => { if (this.opened) this.place(this.opened); });
  }

  can(call) { return can(call, this.may); }

  // The menu of a call's row. It is filled when it opens, and kept up to date while it is open.
  menu(key, name) {
    const { element, icon } = this;
    const list = element("ul");
    const summary = element("summary", { class: "icon-button", "aria-label": name }, icon("ellipsis-vertical"));
    const menu = element("details", { class: "menu acts-menu" }, summary, list);
    menu.addEventListener("toggle", () => {
      if (!menu.open) { if (this.opened === menu) this.opened = null; return; }
      this.opened = menu;
      menu.dataset.key = key;
      this.fill(list, key);
      this.place(menu);
    });
    menu.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      menu.open = true;
      this.fill(list, key);
      const places = [...list.querySelectorAll("a, button")];
      const at = places.indexOf(document.activeElement);
      (places[at < 0 ? (step > 0 ? 0 : places.length - 1) : (at + step + places.length) % places.length])?.focus();
    });
    return menu;
  }

  // Beside its button, in the window: the table would cut it off.
  place(menu) {
    const list = menu.querySelector("ul");
    const style = list.style;
    if (narrow.matches) {
      for (const name of ["position", "top", "bottom", "right", "left", "maxHeight", "overflowY"]) style[name] = "";
      return;
    }
    const box = menu.querySelector("summary").getBoundingClientRect();
    const [width, height] = [document.documentElement.clientWidth, window.innerHeight];
    // Left of the button, which stays in sight, and as far down as the window has room for all of it.
    const room = height - 64 - 12;
    const top = Math.max(64, Math.min(box.top, height - 12 - Math.min(list.scrollHeight + 2, room)));
    Object.assign(style, { position: "fixed", left: "auto", right: `${Math.max(8, width - box.left + 4)}px`, top: `${top}px`, bottom: "auto", maxHeight: `${room}px`, overflowY: "auto" });
  }

  // A call has changed: what is open shows what can be done now.
  changed(key) {
    if (this.opened?.isConnected && this.opened.dataset.key === key) {
      this.fill(this.opened.querySelector("ul"), key);
      this.place(this.opened);
    }
    if (this.bar?.dataset.key === key) this.fill(this.bar, key);
  }

  // All that can be done, on the page of one call.
  open_bar(bar, key) {
    this.bar = bar;
    bar.dataset.key = key;
    this.fill(bar, key);
  }

  entries(call) {
    const found = this.can(call);
    const phone = phone_of(call, this.may.me);
    const list = [];
    const add = (name, kind, more) => list.push({ name, kind, ...more });
    const does = (name, icon) => add(name, "does", { text: this.w(name), icon });
    const isBar = Boolean(this.bar);
    if (found.size && phone && !isBar) add("for", "text", { text: this.w("for").replace("{name}", this.named_leg(phone)) });
    for (const [name, icon] of Object.entries(ICONS)) if (found.has(name)) does(name, icon);
    if (found.has("hangup")) add("hangup", "does", { text: this.w("hangup"), icon: "phone-off", isBad: true });
    const asks = this.may.all && this.may.supervision && phone && phone.state !== "ringing" && phone.agent_id !== this.may.me;
    if (asks) add("supervise", "text", { text: this.w(`supervise.${this.may.supervision}`) });
    for (const [name, icon] of Object.entries(MODES)) if (found.has(name)) does(name, icon);
    for (const one of this.links(call)) add(one.href, "link", one);
    return list;
  }

  // Puts the entries in, and leaves alone those that are there: whoever stands on one stays there.
  fill(list, key) {
    const call = this.call(key);
    const entries = call ? this.entries(call) : [];
    const told = (entry) => JSON.stringify([entry.name, entry.text, entry.href]);
    const wanted = new Set(entries.map(told));
    let lost = false;
    let next = null;
    for (const item of [...list.children]) {
      if (wanted.has(item.told)) continue;
      if (item.contains(document.activeElement)) { lost = true; next = item.nextElementSibling; }
      item.remove();
    }
    const there = new Map([...list.children].map((item) => [item.told, item]));
    for (const [at, entry] of entries.entries()) {
      const item = there.get(told(entry)) ?? this.item(entry, key);
      item.told = told(entry);
      if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
    }
    if (lost) ((next?.isConnected ? next : list).querySelector("a, button") ?? list.parentElement.querySelector("summary"))?.focus();
  }

  item(entry, key) {
    const { element, icon } = this;
    const tag = this.bar ? "div" : "li";
    if (entry.kind === "text") return element(tag, { class: "about", text: entry.text });
    if (entry.kind === "link") return element(tag, {}, element("a", { href: entry.href, class: this.bar ? "button" : null }, icon(entry.icon), entry.text));
    const button = element("button", { type: "button", class: entry.isBad ? "danger" : null, "data-act": entry.name }, icon(entry.icon), entry.text);
    button.addEventListener("click", () => this.choose(key, entry.name, button));
    return element(tag, {}, button);
  }

  w(name) { return this.words[`act.${name}`] ?? name; }
  named_leg(leg) { return [leg.name, leg.extension ?? leg.number].filter((text, at, all) => text && all.indexOf(text) === at).join(" ") || "–"; }

  // Something was chosen: in a menu, or in another row that names the call. What comes of it is said beside `spot`.
  choose(key, name, button, spot = `calls\n${key}`) {
    const menu = button.closest("details.menu");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    const call = this.call(key);
    if (!call) { this.say(spot, this.w("over"), true); return; }
    // Beside an agent, that agent's phone is meant.
    const phone = (call.legs ?? []).find((leg) => leg.extension && leg.extension === button.dataset.extension) ?? phone_of(call, this.may.me);
    const what = this.named(call);
    const leg_id = phone?.id;
    const does = (fields) => this.does(spot, call, name, { action: name, leg_id, ...fields });
    if (name === "hangup") {
      // Somebody who may act on all calls ends it for all.
      const fields = { leg_id: this.may.all ? undefined : leg_id };
      askToHangUp(what, this.w(`ask.hangup_${this.may.all ? "all" : "own"}`), () => does(fields));
    } else if (name === "queue") {
      askForQueue(what, does);
    } else if (name === "dtmf") {
      askForKeys(what, { missing: this.w("ask.keys_missing") }, does);
    } else if (name === "transfer" || name === "consult") {
      const [title, yes] = name === "transfer" ? [this.w("ask.transfer"), this.w("ask.do_transfer")] : [this.w("ask.consult"), this.w("ask.do_consult")];
      const texts = { title, label: this.w("ask.to"), hint: this.w("ask.to_hint"), yes, missing: this.w("ask.missing") };
      askWhere(what, texts, (word) => this.words[word] ?? word, does);
    } else if (name === "voicemail") {
      const hint = phone ? this.w("ask.mailbox_hint").replace("{name}", this.named_leg(phone)) : this.w("ask.mailbox_needed");
      const texts = { title: this.w("ask.voicemail"), label: this.w("ask.mailbox"), hint, yes: this.w("ask.do_send"), missing: phone ? "" : this.w("ask.missing") };
      askWhere(what, texts, (word) => this.words[word] ?? word, does);
    } else if (name === "take_over") {
      this.does(spot, call, name, { action: "transfer", leg_id, to: this.may.own });
    } else if (name in MODES) {
      this.does(spot, call, name, { mode: name, leg_id });
    } else {
      does({ leg_id: name === "pick_up" ? undefined : leg_id });
    }
  }

  // Sends it. Returns what is wrong with what was typed, so that it can be corrected.
  async does(spot, call, name, fields) {
    this.say(spot, this.w("sending"));
    const path = `/app/live/calls/${call.id}/${fields.mode ? "supervise" : "act"}`;
    const told = await send(path, { ...fields, tenant_id: this.isPlatform ? call.tenant_id : "" });
    if (told.how === answered.done) {
      this.say(spot, told.said, false, told.job);
      if (told.job) this.follow(spot, call, told.job);
      return null;
    }
    const isTyped = told.status === 422 && (fields.to || fields.digits || fields.queue_id || name === "voicemail") && name !== "take_over";
    if (isTyped) { this.drop(spot); return told.said; }
    this.say(spot, told.said ?? this.w("failed"), true);
    return null;
  }

  follow(spot, call, job) {
    const query = this.isPlatform ? `?tenant_id=${call.tenant_id}` : "";
    follow(job.id, query, (now) => {
      if (this.notes.get(spot)?.job !== job.id) return false;
      this.say(spot, now.said, false, now.is_over ? null : now);
      return true;
    });
  }

  // Says it beside the row, and to screen readers. If the row is gone, above all of them.
  say(spot, text, isBad = false, job = null) {
    const before = this.notes.get(spot);
    if (before?.text === text && before?.job === job?.id) return;
    clearTimeout(before?.timer);
    document.getElementById(isBad ? "act-refused" : "act-said").textContent = text;
    document.getElementById(isBad ? "act-said" : "act-refused").textContent = "";
    const note = before ?? {};
    Object.assign(note, { text, job: job?.id, isBad });
    this.notes.set(spot, note);
    this.draw_note(spot, note);
    if (!isBad && !job && text !== this.w("sending")) note.timer = setTimeout(() => this.drop(spot), STAYS);
  }

  draw_note(spot, note) {
    const { element, icon } = this;
    const had = note.place?.contains(document.activeElement);
    const buttons = [];
    if (note.job) {
      const leave = element("button", { type: "button", class: "small", text: this.w("leave") });
      leave.addEventListener("click", async () => {
        leave.disabled = true;
        const told = await send(`/app/live/calls/${note.job}/act`, { action: "hangup" });
        leave.disabled = false;
        if (told.how !== answered.done) document.getElementById("act-refused").textContent = told.said ?? this.w("failed");
      });
      buttons.push(leave);
    }
    const close = element("button", { type: "button", class: "icon-button", "aria-label": this.w("close") }, icon("x"));
    close.addEventListener("click", () => this.drop(spot));
    const line = element("div", { class: `act-note${note.isBad ? " bad" : ""}` }, icon(note.isBad ? "triangle-alert" : "circle-check"), element("span", { text: note.text }), ...buttons, close);
    note.place ??= element("tr", { class: "note-row" });
    note.place.replaceChildren(element("td", { colspan: 12, "data-label": "" }, line));
    if (had) close.focus();
    const row = this.row(spot);
    const stray = document.getElementById("act-stray");
    if (row) {
      if (row.nextElementSibling !== note.place) row.after(note.place);
      row.note = note.place;
      stray.hidden = true;
    } else {
      note.place.remove();
      if (!note.isBad) { this.notes.delete(spot); return; }
      stray.hidden = false;
      stray.firstElementChild.textContent = note.text;
      note.isStray = true;
    }
  }

  // A row is gone, and what was said of it goes above the rest, if it matters.
  gone(spot) {
    const note = this.notes.get(spot);
    if (!note) return;
    if (note.isBad) this.draw_note(spot, note); else this.drop(spot);
  }

  drop(spot) {
    const note = this.notes.get(spot);
    if (!note) return;
    clearTimeout(note.timer);
    this.notes.delete(spot);
    const row = this.row(spot);
    if (note.place?.contains(document.activeElement)) row?.querySelector("summary, button, a")?.focus();
    note.place?.remove();
    if (row) row.note = null;
    if (note.isStray) document.getElementById("act-stray").hidden = true;
  }
}
