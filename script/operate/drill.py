"""Shared by the drills: several nodes on one database, haproxy in front of them, and requests as switches, people and operators send them."""

import base64, http.client, json, os, signal, subprocess, sys, threading, time, urllib.parse

DOMAIN = "t0.bench.test"
HAPROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 2
    option redispatch
    # As switches do: a connection for each fetch.
    option httpclose
listen switches
    bind 127.0.0.1:{port}
    balance roundrobin
    retry-on conn-failure empty-response
    option httpchk GET /readyz/switches
    http-check expect status 200
    default-server check inter 1s fall 2 rise 1
"""


class Node:
    """A node on the ports `base` + number (switches) and `base` + 10 + number (people)."""

    def __init__(self, folder, url, base, number):
        self.number, self.url, self.log = number, url, f"{folder}/log{number}"
        self.switch, self.app = base + number, base + 10 + number
        self.data, self.settings = f"{folder}/data{number}", f"{folder}/{number}.toml"
        self.process = None
        os.makedirs(self.data, exist_ok=True)
        with open(self.settings, "w") as settings:
            settings.write(f'switch_listen = "127.0.0.1:{self.switch}"\napp_listen = "127.0.0.1:{self.app}"\n'
                           # Longer than haproxy needs to notice.
                           "drain_seconds = 4\nfill_connections = 4\napi_connections = 4\n")

    def words(self, program, *words):
        return [program, "--config", self.settings, "--data-dir", self.data, *words]

    def environment(self):
        return {**{name: value for name, value in os.environ.items() if not name.startswith("DIALPLANE_")}, "DATABASE_URL": self.url}

    def start(self, program):
        """Starts it, and returns how many seconds it took until it was ready."""
        began = time.monotonic()
        with open(self.log, "w") as log:
            words = self.words(program, "serve")
            self.process = subprocess.Popen(words, env=self.environment(), stdout=subprocess.DEVNULL, stderr=log)
        while '"message":"ready"' not in self.said():
            if self.process.poll() is not None or time.monotonic() - began > 60:
                sys.exit(f"node {self.number} did not start: {self.said()[-2000:]}")
            time.sleep(0.02)
        return time.monotonic() - began

    def said(self):
        with open(self.log) as log:
            return log.read()

    def stop(self):
        """Stops it as systemd does. It first tells haproxy, and drains."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            if self.process.wait(60) != 0:
                sys.exit(f"node {self.number} ended with {self.process.returncode}: {self.said()[-2000:]}")

    def command(self, program, *words):
        done = subprocess.run(self.words(program, *words), env=self.environment(), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"dialplane {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def ask(self, key, method, path, body=None):
        """Asks the API, and returns the answer and its Dialplane-Visible. Anything but success ends the drill."""
        connection = http.client.HTTPConnection("127.0.0.1", self.app, timeout=60)
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path} on node {self.number}: {answer.status} {text.decode()}")
        return json.loads(text or b"null"), answer.headers["Dialplane-Visible"]


def fetch(port, login, user):
    """The fetch of a call to a user. Returns status and text, or 0 and the error."""
    fields = {"section": "directory", "tag_name": "domain", "key_name": "name", "key_value": DOMAIN, "Event-Name": "REQUEST_PARAMS",
              "action": "user_call", "key": "id", "user": user, "domain": DOMAIN}
    basic = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode(), "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/fs/xml", urllib.parse.urlencode(fields), basic)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def start_haproxy(folder, port, nodes):
    with open(f"{folder}/haproxy.cfg", "w") as settings:
        settings.write(HAPROXY.format(port=port))
        settings.writelines(f"    server node{node.number} 127.0.0.1:{node.switch}\n" for node in nodes)
    return subprocess.Popen(["haproxy", "-f", f"{folder}/haproxy.cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_load(node, program, port, login, extensions, connections, *limit):
    """Fetches as fast as this many connections can, each for one fetch: `--seconds` or `--requests`. Prints JSON at its end."""
    words = node.words(program, "--json", "bench", "--url", f"http://127.0.0.1:{port}/fs/xml", "--credentials", login, "--kind", "user-call",
                       "--domain", "t%d.bench.test", "--domains", str(extensions // 1000), "--users", "1000", "--order", "random",
                       "--connections", str(connections), *limit)
    return subprocess.Popen(words, env=node.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


class Watch:
    """Fetches some users again and again, on each of some ports. `marks` are texts; each answer has one of them."""

    def __init__(self, ports, login, users, marks):
        self.seen, self.going, self.login, self.users, self.marks = [], True, login, users, marks
        self.threads = [threading.Thread(target=self.run, args=(port,), daemon=True) for port in ports]
        for thread in self.threads:
            thread.start()

    def run(self, port):
        at = 0
        while self.going:
            began = time.monotonic()
            status, text = fetch(port, self.login, self.users[at % len(self.users)])
            mark = next((mark for mark in self.marks if f'"{mark}"' in text), None)
            self.seen.append((began, port, status, mark, text if status != 200 else ""))
            at += 1
            time.sleep(0.01)

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join()
