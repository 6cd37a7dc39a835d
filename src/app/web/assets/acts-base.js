// Sends the product's own forms, and follows calls that one of them began.
export const answered = { done: "done", refused: "refused", failed: "failed" };

// Sends a form. Returns what was answered: `{ how, said, … }` in the visitor's language; `failed` if nobody knows what became of it.
export async function send(path, fields) {
  const body = new URLSearchParams({ csrf: document.body.dataset.csrf ?? "" });
  for (const [name, value] of Object.entries(fields)) if (value) body.set(name, value);
  let answer;
  try {
    // A switch has eight seconds to show that something was done.
    answer = await fetch(path, { method: "POST", body, headers: { Accept: "application/json" }, redirect: "manual", signal: AbortSignal.timeout(30000) });
  } catch {
    return { how: answered.failed };
  }
  // Signed out, or signed in again in another tab: the page is of another session.
  if (answer.status === 401 || answer.type === "opaqueredirect") {
    window.location.reload();
    return { how: answered.failed };
  }
  const told = await answer.json().catch(() => null);
  if (!told?.said) return { how: answered.failed };
  return { ...told, status: answer.status, how: answer.ok ? answered.done : answered.refused };
}

const wait = (time) => new Promise((done) => { setTimeout(done, time); });

// Asks how far a call is that was begun, until it is over or `tell` wants no more.
export async function follow(id, query, tell) {
  for (;;) {
    await wait(document.hidden ? 5000 : 1000);
    const answer = await fetch(`/app/call-jobs/${id}${query}`, { headers: { Accept: "application/json" }, redirect: "manual" }).catch(() => null);
    if (answer?.type === "opaqueredirect" || answer?.status === 404 || answer?.status === 403) return;
    const job = answer?.ok ? await answer.json().catch(() => null) : null;
    if (job && tell(job) === false) return;
    if (job?.is_over) return;
  }
}
