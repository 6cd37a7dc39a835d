// The line: a WebSocket to the switch, and a registration that is retried always.
import JsSIP from "./jssip.js";
import { keep, kept } from "./phone-base.js";

const HEARTBEAT = 20000;
const ANSWER = 5000;

// Tells `state` (connecting, registered, lost, refused), and `invited` for a call that comes in.
export class Line extends EventTarget {
  constructor(account) {
    super();
    this.account = account;
    this.state = "offline";
    this.failures = 0;
    // Counts connections: the switch finds a dialog only over the one that it began over.
    this.epoch = 0;
    this.socket = new JsSIP.WebSocketInterface(account.websocket_url);
    this.socket.via_transport = this.firstVia();
    this.ua = new JsSIP.UA({
      sockets: [this.socket],
      uri: `sip:${account.sip_username}@${account.domain}`,
      authorization_user: account.sip_username,
      password: account.sip_password,
      display_name: account.display_name || account.number,
      register: true,
      register_expires: 120,
      // A refresh that finds no connection ends the call (sofia-sip takes the transport's error for a final 503), so there are as few as can be: the
      // switch's own. Whether a page is there, its sound says.
      session_timers: false,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 8,
      user_agent: "Dialplane",
    });
    this.listen();
  }

  // A proxy with TLS in front of a plain WebSocket needs another Via than the switch's own TLS, and the switch drops requests with the
  // wrong one without a word. Which of them it is shows at the first REGISTER; on the pages' own host, a proxy is likely.
  firstVia() {
    const url = new URL(this.account.websocket_url);
    if (url.protocol === "ws:") return "WS";
    return kept.via[url.href] ?? (url.host === window.location.host ? "WS" : "WSS");
  }

  otherVia() {
    if (new URL(this.account.websocket_url).protocol === "ws:") return;
    this.socket.via_transport = this.socket.via_transport === "WS" ? "WSS" : "WS";
  }

  listen() {
    const { ua } = this;
    ua.on("connecting", () => { if (this.state === "offline") this.become("connecting"); });
    ua.on("connected", () => {
      this.epoch += 1;
      this.expectAnswer();
      // A transaction of the socket before may still have failed the registration a moment ago.
      this.again(3000);
    });
    ua.on("disconnected", () => {
      this.forget();
      if (this.state !== "offline") this.become("lost");
    });
    ua.on("registered", () => {
      clearTimeout(this.patience);
      clearTimeout(this.retry);
      this.failures = 0;
      kept.via[new URL(this.account.websocket_url).href] = this.socket.via_transport;
      keep();
      this.beat();
      this.become("registered");
    });
    ua.on("registrationExpiring", () => ua.register());
    // JsSIP does not try again by itself.
    ua.on("registrationFailed", ({ response, cause }) => {
      if (this.state === "offline" || !ua.isConnected()) return;
      clearTimeout(this.patience);
      this.failures += 1;
      const status = response?.status_code ?? 0;
      const refused = [401, 403, 404, 407].includes(status);
      this.become(refused ? "refused" : "lost", { status, cause });
      this.again(Math.min(30000, (refused ? 5000 : 2000) * this.failures));
    });
    ua.on("newRTCSession", (event) => this.dispatchEvent(new CustomEvent("session", { detail: event })));
  }

  // The name in the contact that this page registers.
  get page() {
    return this.ua.contact?.uri?.user ?? null;
  }

  become(state, detail = {}) {
    if (this.state === state && state !== "refused") return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }

  start() {
    this.become("connecting");
    this.ua.start();
    this.online = () => this.reconnect();
    window.addEventListener("online", this.online);
  }

  // Ends the registration and the connection. Calls are ended before.
  stop() {
    this.become("offline");
    this.forget();
    window.removeEventListener("online", this.online);
    this.ua.stop();
  }

  forget() {
    clearTimeout(this.patience);
    clearTimeout(this.retry);
    clearTimeout(this.heart);
    // It asked over the connection that is gone, and would drop the next one.
    clearTimeout(this.pulse);
  }

  again(wait) {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => {
      if (this.state !== "offline" && this.ua.isConnected() && !this.ua.isRegistered()) this.ua.register();
    }, wait);
  }

  // Connected, but REGISTER is not answered: the other Via, over a new socket.
  expectAnswer() {
    clearTimeout(this.patience);
    this.patience = setTimeout(() => {
      if (this.ua.isRegistered()) return;
      this.otherVia();
      this.drop();
    }, ANSWER);
  }

  // A socket can be dead without a sign: the switch is asked whether it is there.
  beat() {
    clearTimeout(this.heart);
    clearTimeout(this.pulse);
    this.heart = setTimeout(() => {
      if (!this.ua.isConnected()) return;
      let answered = false;
      const alive = () => { answered = true; };
      this.ua.sendOptions(new JsSIP.URI("sip", null, this.account.domain), undefined, { eventHandlers: { succeeded: alive, failed: ({ response }) => { if (response) alive(); } } });
      this.pulse = setTimeout(() => {
        if (answered) this.beat();
        else if (this.ua.isConnected()) this.drop();
      }, ANSWER);
    }, HEARTBEAT);
  }

  // Gives up this socket; JsSIP opens another.
  drop() {
    const told = this.socket.ondisconnect;
    this.socket.disconnect();
    told?.(true, 1006, "no answer");
  }

  // The computer slept: what was open before is dead, whether the browser knows it or not.
  wake() {
    if (this.state === "offline") return;
    if (this.ua.isConnected()) this.drop();
    this.reconnect();
  }

  reconnect() {
    if (this.state !== "offline" && !this.ua.isConnected()) this.ua.transport.connect();
  }
}
