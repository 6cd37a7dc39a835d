"""The calls of script/operate/calls-drill: phones over UDP, one FreeSWITCH, and what Dialplane says of them."""

import asyncio, atexit, hashlib, http.client, json, os, re, shutil, signal, statistics, subprocess, sys, threading, time, urllib.parse, uuid

FOLDER, MEMORY, FREESWITCH, PROGRAM = sys.argv[1:]
SIP, EVENTS, PASSWORD = 17060, 17021, "of-the-drill"
setting = lambda name, usual: int(os.environ.get(name, usual))
JOBS, RATE, SECONDS, CALLS = setting("JOBS", 100), setting("RATE", 20), setting("SECONDS_EACH", 300), setting("CALLS", 50)
NODES = setting("NODES", 1)
FIRST, SECOND = 17081, 17083
# For how many seconds Postgres answers nothing, instead of being killed.
AWAY = setting("AWAY", 0)
# How long a call of the storm is up, in seconds.
LASTS = 5
demo = json.load(open(f"{FOLDER}/demo.json"))
DOMAIN = "drill.test"
SDP = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 101\r\n"
       "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n")


def ask(method, path, body=None, port=FIRST):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, None if body is None else json.dumps(body), {"X-API-Key": demo["api_key"], "Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()[:300]}")
    return json.loads(text or b"null")


def listen(tenant, heard):
    """What a client is told of ended calls: when each event came."""
    connection = http.client.HTTPConnection("127.0.0.1", FIRST)
    connection.request("GET", f"/v1/events?topics=call:ended&tenant_id={tenant}", None, {"X-API-Key": demo["api_key"], "Accept": "text/event-stream"})
    answer = connection.getresponse()
    for line in answer:
        if line.startswith(b"data:"):
            heard.append(time.perf_counter())
    heard.append(None)


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Phone(asyncio.DatagramProtocol):
    """A phone at a socket of its own. It answers every call at once."""

    def __init__(self, user, secret):
        self.user, self.secret, self.answers, self.rung, self.invited, self.dialogs = user, secret, {}, {}, None, {}

    def connection_made(self, transport):
        self.transport, self.port = transport, transport.get_extra_info("sockname")[1]

    def send(self, text):
        self.transport.sendto(text.encode(), ("127.0.0.1", SIP))

    def request(self, method, uri, call, number, to, more="", body="", branch=None):
        tag = self.dialogs.get(call, {}).get("tag", call[:8])
        self.send(f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch={branch or 'z9hG4bK' + uuid.uuid4().hex}\r\n"
                  f"From: <sip:{self.user}@{DOMAIN}>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\n"
                  f"Contact: <sip:{self.user}@127.0.0.1:{self.port}>\r\nMax-Forwards: 70\r\n{more}"
                  + ("Content-Type: application/sdp\r\n" if body else "") + f"Content-Length: {len(body)}\r\n\r\n{body}")

    def datagram_received(self, data, _):
        head, _, _ = data.decode(errors="replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        field = lambda name: [line.split(":", 1)[1].strip() for line in lines if line.lower().startswith(name.lower() + ":")]
        if not field("Call-ID"):
            return
        call = field("Call-ID")[0]
        if first.startswith("SIP/2.0"):
            status, method = int(first.split()[1]), field("CSeq")[0].split()[1]
            waits = self.answers.get((call, method))
            if status > 100 and method == "INVITE" and 180 <= status < 200:
                self.rung.setdefault(call, time.perf_counter())
            if status >= 200 and waits is not None and not waits.done():
                waits.set_result((status, field))
            return
        method, uri = first.split()[:2]
        if method == "ACK":
            return
        back = "".join(f"Via: {via}\r\n" for via in field("Via")) + f"From: {field('From')[0]}\r\n"
        to = field("To")[0] if "tag=" in field("To")[0] else field("To")[0] + f";tag={call[:8]}"
        back += f"To: {to}\r\nCall-ID: {call}\r\nCSeq: {field('CSeq')[0]}\r\nContact: <sip:{self.user}@127.0.0.1:{self.port}>\r\n"
        empty = "Content-Length: 0\r\n\r\n"
        if method == "INVITE":
            if self.invited is not None and not self.invited.done():
                self.invited.set_result(time.perf_counter())
            self.send(f"SIP/2.0 180 Ringing\r\n{back}{empty}")
            self.send(f"SIP/2.0 200 OK\r\n{back}Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}")
        else:
            self.send(f"SIP/2.0 200 OK\r\n{back}{empty}")

    async def transact(self, method, uri, call, to, body="", more=""):
        """Sends a request, answers the challenge, and returns the final answer."""
        for number in (1, 2):
            branch = "z9hG4bK" + uuid.uuid4().hex
            waits = self.answers[call, method] = asyncio.get_running_loop().create_future()
            for tried in range(6):
                self.request(method, uri, call, number, to, more, body, branch)
                try:
                    status, field = await asyncio.wait_for(asyncio.shield(waits), 0.5 * 2 ** tried)
                    break
                except asyncio.TimeoutError:
                    if method == "INVITE" and call in self.rung:
                        status, field = await asyncio.wait_for(waits, 30)
                        break
            else:
                raise RuntimeError(f"no answer to {method} of {self.user}")
            if method == "INVITE":
                self.acknowledge(uri, call, number, field, status, branch)
            if status not in (401, 407):
                return status, field
            challenge = (field("WWW-Authenticate") + field("Proxy-Authenticate"))[0]
            realm, nonce = (re.search(f'{name}="([^"]*)"', challenge)[1] for name in ("realm", "nonce"))
            told = md5(f"{md5(f'{self.user}:{realm}:{self.secret}')}:{nonce}:00000001:c:auth:{md5(f'{method}:{uri}')}")
            name = "Authorization" if status == 401 else "Proxy-Authorization"
            more = (f'{name}: Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{told}", algorithm=MD5, '
                    'cnonce="c", nc=00000001, qop=auth\r\n')
        return status, field

    def acknowledge(self, uri, call, number, field, status, branch):
        to = field("To")[0]
        if status < 300:
            uri = re.search("<([^>]*)>", field("Contact")[0])[1]
            self.dialogs[call] = {"uri": uri, "to": to, "number": number, "tag": call[:8]}
            branch = None
        self.request("ACK", uri, call, number, to, branch=branch)

    async def register(self):
        status, _ = await self.transact("REGISTER", f"sip:{DOMAIN}", uuid.uuid4().hex, f"<sip:{self.user}@{DOMAIN}>", more="Expires: 3600\r\n")
        if status != 200:
            raise RuntimeError(f"REGISTER of {self.user}: {status}")

    async def dial(self, number):
        call = uuid.uuid4().hex
        uri = f"sip:{number}@{DOMAIN}"
        status, _ = await self.transact("INVITE", uri, call, f"<{uri}>", SDP)
        return call, status

    async def hang_up(self, call):
        dialog = self.dialogs.pop(call)
        waits = self.answers[call, "BYE"] = asyncio.get_running_loop().create_future()
        self.dialogs[call] = dialog
        for tried in range(6):
            self.request("BYE", dialog["uri"], call, dialog["number"] + 1, dialog["to"])
            try:
                await asyncio.wait_for(asyncio.shield(waits), 0.5 * 2 ** tried)
                break
            except asyncio.TimeoutError:
                pass
        for kept in ((call, "BYE"), (call, "INVITE")):
            self.answers.pop(kept, None)
        self.dialogs.pop(call)


class Switch:
    """A FreeSWITCH with this repository's settings."""

    def __init__(self):
        self.conf = f"{FOLDER}/conf"
        shutil.copytree("freeswitch-conf", self.conf)
        values = {"dialplane_url": demo["switch_url"], "dialplane_cdr_url": demo["cdr_url"], "sip_ip": "127.0.0.1", "rtp_ip": "127.0.0.1",
                  "dialplane_credentials": f"{demo['switch']['name']}:{demo['switch']['token']}", "ext_sip_ip": "127.0.0.1", "ext_rtp_ip": "127.0.0.1",
                  "internal_sip_port": str(SIP), "external_sip_port": "17062", "ws_binding": "", "wss_binding": "", "event_socket_port": str(EVENTS),
                  "event_socket_password": PASSWORD, "log_level": "err", "sessions_per_second": "1000", "max_sessions": "2000"}
        lines = open(f"{self.conf}/site.xml").read().splitlines()
        with open(f"{self.conf}/site.xml", "w") as site:
            for line in lines:
                name = re.search(r'data="([a-z_]+)=', line)
                if name and name[1] in values:
                    line = f'<X-PRE-PROCESS cmd="set" data="{name[1]}={values[name[1]]}"/>'
                site.write(line + "\n")
        for name in ("db", "run", "storage"):
            os.makedirs(f"{FOLDER}/switch/{name}")

    def start(self):
        at = f"{FOLDER}/switch"
        self.process = subprocess.Popen(
            [FREESWITCH, "-nonat", "-nf", "-nc", "-np", "-conf", self.conf, "-log", MEMORY, "-temp", MEMORY, "-db", f"{at}/db", "-run", f"{at}/run",
             "-storage", f"{at}/storage"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.process.kill)

    async def ask(self, command):
        reader, writer = await asyncio.open_connection("127.0.0.1", EVENTS)
        try:
            await reader.readuntil(b"\n\n")
            writer.write(f"auth {PASSWORD}\n\n".encode())
            await reader.readuntil(b"\n\n")
            writer.write(f"api {command}\n\n".encode())
            head = (await reader.readuntil(b"\n\n")).decode()
            return (await reader.readexactly(int(re.search(r"Content-Length: (\d+)", head)[1]))).decode()
        finally:
            writer.close()

    async def calls(self):
        """The first legs of the calls that are up."""
        rows = json.loads(await self.ask("show channels as json")).get("rows", [])
        # Whoever hung up is only there until the record is posted.
        return {row["call_uuid"] or row["uuid"] for row in rows if row["callstate"] != "HANGUP"}

    async def until_it_answers(self):
        while True:
            try:
                if "UP" in await self.ask("status") and "RUNNING" in await self.ask("sofia status"):
                    return
            except (OSError, asyncio.IncompleteReadError, TypeError):
                pass
            await asyncio.sleep(0.1)


async def live(port=FIRST):
    """The ids of the calls that a node shows as up; `None` if it says that it does not know."""
    ids, cursor = set(), ""
    while True:
        page = await asyncio.to_thread(ask, "GET", "/v1/live/calls?limit=500" + (f"&cursor={cursor}" if cursor else ""), None, port)
        if page["unknown"]:
            return None
        ids |= {call["id"] for call in page["items"]}
        cursor = page.get("next_cursor")
        if not cursor:
            return ids


async def until(test, what, seconds=60):
    began = time.perf_counter()
    async def holds():
        try:
            return await test()
        except RuntimeError:
            # A database that is just back.
            return False
    while not await holds():
        if time.perf_counter() - began > seconds:
            sys.exit(f"this did not happen within {seconds} s: {what}")
        await asyncio.sleep(0.02)
    return time.perf_counter() - began


def told(name, times):
    times = sorted(1000 * each for each in times)
    print(f"{name}: {len(times)} calls, median {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99) - 1]:.1f} ms, slowest {times[-1]:.1f} ms")


def postmaster():
    """What the first node's own Postgres says of itself: its pid first, and the folder of its socket in the fifth line."""
    for root, _, files in os.walk(f"{FOLDER}/data"):
        if "postmaster.pid" in files:
            return open(f"{root}/postmaster.pid").read().splitlines()
    sys.exit("the node has no Postgres of its own")


def postgres():
    return int(postmaster()[0])


def database():
    return f"postgres://dialplane@{urllib.parse.quote(postmaster()[4], safe='')}/dialplane"


def second_node():
    """A node with the same Postgres."""
    known = os.environ | {"DATABASE_URL": database(), "DIALPLANE_KEY_FILE": f"{FOLDER}/data/secret.key"}
    words = [PROGRAM, "serve", "--data-dir", f"{FOLDER}/second", "--switch-listen", "127.0.0.1:17082", "--app-listen", f"127.0.0.1:{SECOND}"]
    node = subprocess.Popen(words, env=known, stdout=subprocess.DEVNULL, stderr=open(f"{FOLDER}/second.log", "w"))
    atexit.register(node.kill)
    return node


async def holder():
    """The node that holds the link to the switch, while its lease lasts."""
    words = ["psql", database(), "-Atc", "select holder from event_sockets where held_until > now()"]
    return (await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True)).stdout.strip()


async def second_dies(second, switch, callers, called, tenant):
    """The node that holds the link is killed with calls up."""
    first = int(os.environ["FIRST_NODE"])
    # A node that sleeps for longer than its lease, which is two seconds, loses the link, if it had it.
    os.kill(first, signal.SIGSTOP)
    await asyncio.sleep(4)
    async def is_taken(): return (await holder()) != ""
    await until(is_taken, "the second node has the link")
    os.kill(first, signal.SIGCONT)
    up = await asyncio.gather(*(callers[number].dial(called[number].number) for number in range(CALLS)))
    async def all_up(): return all([len(await live(port) or ()) == CALLS for port in (FIRST, SECOND)])
    await until(all_up, "both nodes show all calls")
    killed, holds = time.perf_counter(), await holder()
    second.kill()
    second.wait()
    async def is_right(): return await live() == await switch.calls()
    right = await until(is_right, "the first node shows the calls")
    async def is_back(): return (await holder()) not in ("", holds)
    await until(is_back, "the first node has the link again")
    back = time.perf_counter() - killed
    one = next(iter(await live()))
    await asyncio.to_thread(ask, "POST", f"/v1/live/calls/{one}/actions?tenant_id={tenant}", {"action": "hangup"})
    async def is_over(): return one not in await live() and await live() == await switch.calls()
    await until(is_over, "the call that the first node hung up is over")
    print(f"second node killed with {CALLS} calls up, which had the link: the first shows them after {right:.2f} s, has the link after "
          f"{back:.2f} s, and hung one up {time.perf_counter() - killed:.2f} s after the kill")
    for number, (call, _) in enumerate(up):
        if call in callers[number].dialogs:
            try:
                await asyncio.wait_for(callers[number].hang_up(call), 2)
            except asyncio.TimeoutError:
                pass
    async def none(): return await live() == set()
    await until(none, "no call is up")
    if right > 5 or back > 5:
        sys.exit("that took more than five seconds")


async def go_away(seconds):
    """Postgres answers nothing for so long."""
    first = postgres()
    all = [first, *map(int, subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True).stdout.split())]
    for pid in all:
        os.kill(pid, signal.SIGSTOP)
    print(f"Postgres stopped for {seconds} s")
    await asyncio.sleep(seconds)
    for pid in all:
        os.kill(pid, signal.SIGCONT)


async def main():
    loop = asyncio.get_running_loop()
    tenant = ask("POST", "/v1/tenants", {"domain": DOMAIN})["id"]
    one = ask("GET", "/v1/switches")["items"][0]["id"]
    switch = Switch()
    switch.start()
    await asyncio.wait_for(switch.until_it_answers(), 60)
    ask("PUT", f"/v1/switches/{one}/event-socket", {"address": f"127.0.0.1:{EVENTS}", "password": PASSWORD})
    pairs = RATE * (LASTS + 1)
    phones = []
    for number in range(2000, 2000 + 2 * pairs):
        made = await asyncio.to_thread(ask, "POST", f"/v1/tenants/{tenant}/extensions", {"number": str(number)})
        _, phone = await loop.create_datagram_endpoint(lambda: Phone(made["sip_username"], made["sip_password"]), ("127.0.0.1", 0))
        phone.id, phone.number = made["id"], str(number)
        phones.append(phone)
    for at in range(0, len(phones), 20):
        await asyncio.gather(*(phone.register() for phone in phones[at:at + 20]))
    async def knows(): return len((await asyncio.to_thread(ask, "GET", f"/v1/live/registrations?tenant_id={tenant}&limit=500"))["items"]) == len(phones)
    await until(knows, "all registrations are in the live view")
    callers, called = phones[:pairs], phones[pairs:]

    took, dialled = [], []
    for number in range(JOBS):
        caller, callee = callers[number % pairs], called[number % pairs]
        caller.invited = loop.create_future()
        began = time.perf_counter()
        job = await asyncio.to_thread(ask, "POST", f"/v1/calls?tenant_id={tenant}", {"extension_id": caller.id, "to": callee.number})
        took.append(await asyncio.wait_for(caller.invited, 10) - began)
        await asyncio.sleep(0.15)
        await asyncio.to_thread(ask, "POST", f"/v1/live/calls/{job['id']}/actions?tenant_id={tenant}", {"action": "hangup"})
    told("POST /v1/calls to the agent's INVITE", took)
    for number in range(JOBS):
        caller, callee = callers[number % pairs], called[number % pairs]
        callee.invited = loop.create_future()
        began = time.perf_counter()
        call, status = await caller.dial(callee.number)
        if status != 200:
            sys.exit(f"a call got {status}")
        dialled.append(await callee.invited - began)
        await caller.hang_up(call)
    told("dialled to the other phone's INVITE", dialled)

    # Of the storm.
    second = second_node() if NODES > 1 else None
    async def second_knows(): return await live(SECOND) == set()
    async def knows_too():
        try: return await second_knows()
        except OSError: return False
    if second: await until(knows_too, "the second node knows what goes on")
    since, made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1)), 0
    await asyncio.sleep(2)
    async def recorded():
        answer = await asyncio.to_thread(ask, "GET", f"/v1/calls/count?tenant_id={tenant}&since={since}")
        return answer["count"] - made, answer["is_more"]
    failed, samples, wrong, missed, most, refused, away = [], 0, [], 0, 0, [], None
    async def one_call(number):
        caller, callee = callers[number % pairs], called[number % pairs]
        call, status = await caller.dial(callee.number)
        if status != 200:
            return failed.append(status)
        await asyncio.sleep(LASTS)
        await caller.hang_up(call)
    async def sample(port=FIRST):
        nonlocal samples, missed, most
        while True:
            before = await switch.calls()
            try:
                shown = await live(port)
            except (RuntimeError, OSError) as error:
                refused.append(str(error))
                await asyncio.sleep(0.5)
                continue
            after = await switch.calls()
            samples += 1
            most = max(most, len(before))
            if shown is None:
                missed += 1
            elif not (before & after) <= shown or not shown <= (before | after):
                # Events take a moment: what is still wrong a quarter of a second later is wrong.
                await asyncio.sleep(0.25)
                again = await live(port)
                lost, dead = (before & after) - shown, shown - (before | after)
                still = await switch.calls()
                if again is not None and ((lost & still) - again or (dead & again) - still):
                    wrong.append((round(time.perf_counter() - began), len(lost), len(dead)))
            await asyncio.sleep(0.5)
    began = time.perf_counter()
    sampling = [asyncio.create_task(sample(port)) for port in ((FIRST, SECOND) if second else (FIRST,))]
    heard = []
    threading.Thread(target=listen, args=(tenant, heard), daemon=True).start()
    running = []
    killed = False
    for number in range(RATE * SECONDS):
        running.append(asyncio.create_task(one_call(number)))
        if not killed and number > RATE * SECONDS // 2:
            killed = True
            if AWAY:
                away = asyncio.create_task(go_away(AWAY))
            else:
                os.kill(postgres(), signal.SIGKILL)
                print(f"Postgres killed after {number} calls")
        await asyncio.sleep(max(0, began + (number + 1) / RATE - time.perf_counter()))
    outcome = await asyncio.gather(*running, return_exceptions=True)
    lost = [each for each in outcome if isinstance(each, BaseException)]
    made = len(running) - len(lost) - len(failed)
    print(f"{len(running)} dialled, {len(failed)} refused {sorted(set(failed))}, {len(lost)} without an answer")
    kept = f"{FOLDER}/switch/storage/cdr"
    async def brought():
        """The records that the switch could not post, brought as docs/calls.md says."""
        if AWAY and any(os.scandir(kept)):
            words = [PROGRAM, "record", "import", kept, "--data-dir", f"{FOLDER}/data"]
            done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True)
            print(f"dialplane record import: {done.stdout.strip() or done.stderr.strip()}")
    told_of = [at for at in heard if at]
    gaps = [after - before for before, after in zip(told_of, told_of[1:])] or [0]
    print(f"a client of /v1/events was told of {len(told_of)} ended calls, at most {max(gaps):.1f} s apart{', and its stream ended' if None in heard else ''}")
    # A record is tried three times, five seconds each, before it goes to disk.
    if AWAY: await asyncio.sleep(20)
    await brought()
    async def all_recorded(): return (await recorded())[0] >= 0
    late = await until(all_recorded, "each call has its record")
    await asyncio.sleep(3)
    more = (await recorded())[0]
    legs, cursor = 0, ""
    while cursor is not None:
        page = ask("GET", f"/v1/calls?tenant_id={tenant}&since={since}&limit=500" + (f"&cursor={cursor}" if cursor else ""))
        legs += sum(call["legs"] for call in page["items"])
        cursor = page.get("next_cursor")
    unreadable = len(ask("GET", "/v1/unreadable-records")["items"])
    for each in sampling: each.cancel()
    print(f"{RATE} new calls a second for {SECONDS} s, at most {most} up: {len(running)} dialled, {len(failed)} refused, {len(lost)} without an answer; "
          f"{samples} samples, {len(wrong)} wrong, {missed} said that it is unknown, {len(refused)} not answered{': ' + refused[0] if refused else ''}")
    print(f"records: {made + more} of {made} calls, {legs} of {2 * made} legs, the last {late:.1f} s after the last hang-up; {unreadable} unreadable")

    if second: await second_dies(second, switch, callers, called, tenant)
    up = await asyncio.gather(*(callers[number].dial(called[number].number) for number in range(CALLS)))
    if any(status != 200 for _, status in up):
        sys.exit(f"before the kill: {up}")
    async def all_up(): return len(await live() or ()) == CALLS
    await until(all_up, "all calls are in the live view")
    switch.process.kill()
    switch.process.wait()
    async def said(): return await live() in (None, set())
    unknown = await until(said, "the live view says that the switch is gone")
    switch.start()
    await asyncio.wait_for(switch.until_it_answers(), 60)
    async def right(): return await live() == set()
    again = await until(right, "the live view is right again")
    print(f"switch killed with {CALLS} calls up: said after {unknown:.2f} s; right {again:.2f} s after the new switch answered, with no call")
    switch.process.terminate()
    switch.process.wait()
    if wrong or (failed and not AWAY) or lost or more or legs != 2 * made or unreadable:
        sys.exit(f"not well: {wrong[:5]} {failed[:5]} {lost[:3]}")
    print("well")


asyncio.run(main())
