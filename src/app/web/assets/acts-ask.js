// What is asked before something is done to a call: whether, and where to.
const MOST = 8;

// What stands in a field may be dialled as it is, or names somebody.
const isDialled = (text) => /^[\d+*#\s()/.-]+$/.test(text);
const plain = (text) => text.replace(/[\s()/]|(?<=\d)-(?=\d)/g, "");

// Opens a dialog. `submit` returns why it was refused, or nothing.
function ask(dialog, what, submit) {
  const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
  const form = dialog.querySelector("form");
  const yes = form.querySelector('button[value="yes"]');
  part("what").textContent = what;
  part("error").textContent = "";
  yes.disabled = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (yes.disabled) return;
    yes.disabled = true;
    const wrong = await submit(part);
    yes.disabled = false;
    if (!wrong) { dialog.close(); return; }
    part("error").textContent = wrong;
    form.querySelector("input, select")?.focus();
  };
  part("no").onclick = () => dialog.close();
  dialog.showModal();
}

export function askToHangUp(what, text, submit) {
  const dialog = document.getElementById("ask-hangup");
  dialog.querySelector('[data-part="text"]').textContent = text;
  ask(dialog, what, submit);
}

// Keys that are pressed for the phone.
export function askForKeys(what, texts, submit) {
  const dialog = document.getElementById("ask-keys");
  const field = dialog.querySelector('[data-part="keys"]');
  field.value = "";
  ask(dialog, what, () => {
    const digits = field.value.replace(/\s/g, "");
    return digits ? submit({ digits }) : texts.missing;
  });
}

export function askForQueue(what, submit) {
  const dialog = document.getElementById("ask-queue");
  ask(dialog, what, (part) => submit({ queue_id: part("queue").value }));
}

// Whom a call can be sent to within the company, with what their phones do.
async function colleagues() {
  const answer = await fetch("/app/phone/colleagues", { headers: { Accept: "application/json" }, redirect: "manual" }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => []) : [];
}

// Asks where to. `texts`: title, label, hint, yes; `missing` is said if nothing may not be chosen; `word` names a phone's state.
export function askWhere(what, texts, word, submit) {
  const dialog = document.getElementById("ask-to");
  const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
  const [field, list] = [part("number"), part("hits")];
  let [all, hits, chosen] = [[], [], -1];
  for (const name of ["title", "label", "hint", "yes"]) part(name).textContent = texts[name];
  field.value = "";
  const show = (found) => {
    hits = found;
    chosen = -1;
    list.replaceChildren(...found.map((one, at) => {
      const item = document.createElement("li");
      item.id = `ask-to-hit-${at}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      const more = document.createElement("span");
      more.className = "quiet";
      more.textContent = [one.number, one.state && word(`softphone.presence.${one.state}`)].filter(Boolean).join(" · ");
      item.append(one.name || one.number, " ", more);
      item.onmousedown = (event) => { event.preventDefault(); pick(at); };
      return item;
    }));
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(found.length > 0));
    field.removeAttribute("aria-activedescendant");
  };
  const pick = (at) => { field.value = hits[at].number; show([]); field.focus(); };
  const complete = () => {
    const words = field.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (one) => words.every((word) => `${one.name} ${one.number}`.toLowerCase().includes(word));
    show(all.filter(fits).slice(0, MOST));
  };
  field.oninput = complete;
  field.onblur = () => show([]);
  field.onkeydown = (event) => {
    if (["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      if (!hits.length) { complete(); return; }
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : hits.length - (chosen < 0 ? 0 : 1))) % hits.length;
      [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
      field.setAttribute("aria-activedescendant", `ask-to-hit-${chosen}`);
      list.children[chosen].scrollIntoView({ block: "nearest" });
    }
    // The first Escape closes the suggestions, the second one the dialog.
    if (event.key === "Escape" && hits.length) { event.preventDefault(); event.stopPropagation(); show([]); }
    if (event.key === "Enter" && chosen >= 0) { event.preventDefault(); pick(chosen); }
  };
  const wanted = () => {
    const text = field.value.trim();
    if (!text || isDialled(text)) return plain(text);
    const named = all.filter((one) => one.name.toLowerCase() === text.toLowerCase());
    const found = named.length === 1 ? named : all.filter((one) => one.name.toLowerCase().includes(text.toLowerCase()));
    return found.length === 1 ? found[0].number : plain(text);
  };
  ask(dialog, what, async () => {
    const to = wanted();
    show([]);
    if (!to && texts.missing) return texts.missing;
    return submit({ to });
  });
  colleagues().then((found) => {
    if (!dialog.open) return;
    all = found;
    if (document.activeElement === field && field.value) complete();
  });
}
