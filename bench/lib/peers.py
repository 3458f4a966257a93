"""Measures authmig beside other tools; bench/peers says how. Standard library only."""

import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

CACHE = pathlib.Path(os.environ["AUTHMIG_BENCH_CACHE"])
PSQL = os.environ["AUTHMIG_BENCH_PSQL"]
PORT = int(os.environ["AUTHMIG_TEST_PORT"])
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
LIB = pathlib.Path("bench/lib").resolve()
ROUND_TRIP = 0.020
OPERATIONS = ["fresh", "no-op", "status", "verify", "rollback"]


def url(port, database="bench"):
    return f"postgres://postgres@127.0.0.1:{port}/{database}"


def sql(database, *statements):
    commands = [word for statement in statements for word in ("-c", statement)]
    subprocess.run([PSQL, "-qX", url(PORT, database), *commands], check=True, stderr=subprocess.DEVNULL)


def new_database(name="bench"):
    # The old one is put aside: ext4 makes files slowly where many have just been deleted.
    sql("postgres", f"""
        do $$ begin
            if exists (select from pg_database where datname = '{name}') then
                perform pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}';
                execute format('alter database {name} rename to %I', '{name} before ' || clock_timestamp());
            end if;
        end $$""", f"create database {name} template template0")


# --- what the others apply -------------------------------------------------------


def published():
    """The five files of the published SQL, by name; authmig's predecessor."""
    folder = pathlib.Path("tests/it/published")
    roles = "".join(
        f"do $$ begin create role {role}; exception when duplicate_object then null; end $$;\n"
        for role in ("anon", "authenticated", "service"))
    grants = (folder / "05-grants.sql").read_text().replace("issue_tokens(text)", "issue_tokens(text, text)")
    return {
        "01-extensions": (folder / "01-extensions.sql").read_text() + ";\n",
        "02-auth_schema": (folder / "02-auth_schema.sql").read_text(),
        "03-api_schema": "create schema api;\n",
        "04-roles": roles,
        "05-grants": grants,
    }


def without_transaction(text, path="default"):
    """For tools that put a transaction around a file of their own, and have this path."""
    text = re.sub(r"\A\s*begin;|^commit;\s*\Z", "", text, flags=re.M)
    if "set search_path to auth;" not in text:
        return text
    # Their own tables are found by the path.
    return text.replace("set search_path to auth;", "set local search_path to auth;") + f"\nset local search_path to {path};\n"


UNDO = {
    "05-grants": "revoke all on schema auth from anon, service;",
    "04-roles": "select 1;",
    "03-api_schema": "drop schema api;",
    "02-auth_schema": "drop schema auth cascade;",
    "01-extensions": "drop extension pgcrypto;",
}


class Tool:
    """A tool: where it is, and what it is started with for each operation."""

    def __init__(self, name, version, commands, files, prepare=lambda: None, environment=None):
        self.name, self.version, self.commands, self.files = name, version, commands, files
        self.prepare, self.environment = prepare, environment or (lambda port: {})


def words_of(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except OSError:
        return ""
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return found.group(0) if found else "?"


def tools(work):
    """Each tool that is here; for one that is not, its name alone. What the commands need
    is bound where they are made: this function goes on while they are used."""
    files = published()

    def folder(name, names):
        path = work / name
        path.mkdir(parents=True)
        for file, text in names.items():
            (path / file).write_text(text)
        return path

    binary = str((TARGET / "release/authmig").resolve())
    database = lambda *words: lambda port: [binary, *words, "--database-url", url(port) + "?sslmode=disable"]
    yield "authmig", Tool("authmig", words_of([binary, "--version"]), {
        "fresh": database("migrate"), "no-op": database("migrate"), "status": database("status"),
        "verify": database("verify"), "rollback": database("rollback", "--all", "--yes", "--discard-data"),
    }, [binary])

    # authmig's engine with the SQL that the others apply. Under other names: who has no manifest
    # for them compares nothing, and what `auth_schema` and `grants` bring along is not there.
    engine = folder("engine", {
        f"{name[:3]}published_{name[3:]}.{part}.sql": text
        for name in files for part, text in (
            ("up", "set local search_path to public;\n" + without_transaction(files[name], "public")), ("down", UNDO[name]),
            ("verify", "select 1;"))})
    program = str((TARGET / "release/examples/folder").resolve())
    database = lambda *words: lambda port: [program, *words, "--database-url", url(port) + "?sslmode=disable"]
    yield "engine", Tool("authmig, published SQL", words_of([binary, "--version"]), {
        "fresh": database("migrate"), "no-op": database("migrate"), "status": database("status"),
    }, [binary], environment=lambda port: {"BENCH_MIGRATIONS": str(engine)})

    # What the objects themselves cost, whoever sends them: a message a file, nothing compared or tried.
    exported = work / "exported"
    subprocess.run([binary, "export", str(exported)], check=True, stdout=subprocess.DEVNULL)
    scripts = [file.read_text() for file in sorted(exported.glob("*.up.sql"))]
    statements = [word for script in scripts for word in ("-c", script)]
    yield "psql -1", Tool("psql -1", words_of([PSQL, "--version"]),
                          {"fresh": lambda port: [PSQL, "-Xq1", url(port), *statements]}, [PSQL])

    plain = folder("loop", {f"{name}.sql": text for name, text in files.items()})
    for kind in ("file", "table"):
        loop = str(LIB / f"loop-{kind}")
        command = lambda port, loop=loop: ["bash", loop, PSQL, url(port), str(plain)]
        forget = lambda: (plain / "applied").unlink(missing_ok=True)
        yield f"loop-{kind}", Tool(f"loop-{kind}", words_of([PSQL, "--version"]),
                                   {"fresh": command, "no-op": command}, [PSQL], forget)

    node = CACHE / "dbmate/node_modules"
    dbmate = next(iter(node.glob("@dbmate/*/bin/dbmate")), None)
    if dbmate:
        path = folder("dbmate", {
            f"{name[:2]}_{name[3:]}.sql":
                f"-- migrate:up\n{without_transaction(text)}\n-- migrate:down\n{UNDO[name]}\n"
            for name, text in files.items()})
        run = lambda word, path=path: lambda port: [str(dbmate), "--no-dump-schema", "--migrations-dir", str(path),
                                         "--url", url(port) + "?sslmode=disable", word]
        yield "dbmate", Tool("dbmate", words_of([str(dbmate), "--version"]),
                             {"fresh": run("migrate"), "no-op": run("migrate"), "status": run("status")}, [str(dbmate)])
    else:
        yield "dbmate", None

    graphile = CACHE / "graphile-migrate/node_modules/graphile-migrate/dist/cli.js"
    if graphile.exists() and shutil.which("node"):
        path = work / "graphile"
        (path / "migrations").mkdir(parents=True)
        (path / ".gmrc").write_text("{}")
        base = {"ROOT_DATABASE_URL": url(PORT, "postgres"), "SHADOW_DATABASE_URL": url(PORT, "bench_shadow")}
        tool = lambda word, path=path: lambda port: [shutil.which("node"), str(graphile), word, "--config", str(path / ".gmrc")]
        environment = lambda port: {**base, "DATABASE_URL": url(port)}
        # The tool itself writes what it will apply: its files name each other by their hashes.
        ready = True
        new_database()
        new_database("bench_shadow")
        for name, text in files.items():
            (path / "migrations/current.sql").write_text(without_transaction(text))
            done = subprocess.run(tool("commit")(PORT), cwd=path, env={**os.environ, **environment(PORT)},
                                  capture_output=True)
            ready = ready and done.returncode == 0
        yield "graphile-migrate", ready and Tool(
            "graphile-migrate", words_of([shutil.which("node"), str(graphile), "--version"]),
            {"fresh": tool("migrate"), "no-op": tool("migrate"), "status": tool("status")},
            [str(graphile.parent.parent)], environment=lambda port, path=path: {**environment(port), "PWD": str(path)}) or None
    else:
        yield "graphile-migrate", None

    if shutil.which("sqitch"):
        path = folder("sqitch/deploy", {f"{name}.sql": text for name, text in files.items()}).parent
        folder("sqitch/revert", {f"{name}.sql": UNDO[name] for name in files})
        plan = "%syntax-version=1.0.0\n%project=bench\n\n" + "".join(
            f"{name} 2026-01-01T00:00:0{index}Z bench <bench@localhost> # {name}\n" for index, name in enumerate(files))
        (path / "sqitch.plan").write_text(plan)
        (path / "sqitch.conf").write_text(f"[core]\n\tengine = pg\n[engine \"pg\"]\n\tclient = {PSQL}\n"
                                          "[user]\n\tname = bench\n\temail = bench@localhost\n")
        run = lambda *words, path=path: lambda port: [shutil.which("sqitch"), "--chdir", str(path), *words, url(port).replace("postgres:", "db:pg:", 1)]
        yield "sqitch", Tool("sqitch", words_of(["sqitch", "--version"]), {
            "fresh": run("deploy"), "no-op": run("deploy"), "status": run("status"),
            "verify": run("verify"), "rollback": run("revert", "-y")}, [])
    else:
        yield "sqitch", None

    refinery = CACHE / "refinery/bin/refinery"
    if refinery.exists():
        path = folder("refinery", {f"V{int(name[:2])}__{name[3:]}.sql": without_transaction(text) for name, text in files.items()})
        run = lambda port, path=path: [str(refinery), "migrate", "-e", "BENCH_URL", "-p", str(path)]
        yield "refinery", Tool("refinery", words_of([str(refinery), "--version"]), {"fresh": run, "no-op": run},
                               [str(refinery)], environment=lambda port: {"BENCH_URL": url(port)})
    else:
        yield "refinery", None

    sqlx = CACHE / "sqlx/bin/sqlx"
    if sqlx.exists():
        path = folder("sqlx", {
            f"{int(name[:2])}_{name[3:]}.{end}.sql": text for name in files
            for end, text in (("up", without_transaction(files[name])), ("down", UNDO[name]))})
        run = lambda *words, path=path: lambda port: [str(sqlx), "migrate", *words, "--source", str(path), "--database-url", url(port) + "?sslmode=disable"]
        yield "sqlx", Tool("sqlx", words_of([str(sqlx), "--version"]), {
            "fresh": run("run"), "no-op": run("run"), "status": run("info"),
            "rollback": run("revert", "--target-version", "0")}, [str(sqlx)])
    else:
        yield "sqlx", None


# --- measuring -------------------------------------------------------------------


# What the tools say, to be shown if one fails.
OUTPUT = tempfile.TemporaryFile()
NOWHERE = OUTPUT.fileno()


def start(command, environment):
    folder = environment.get("PWD")
    variables = {name: value for name, value in os.environ.items()
                 if not name.startswith(("AUTHMIG_", "PG")) and name != "DATABASE_URL"} | environment
    if folder:
        return subprocess.Popen(command, env=variables, cwd=folder, stdin=NOWHERE, stdout=NOWHERE, stderr=NOWHERE).pid
    actions = [(os.POSIX_SPAWN_DUP2, NOWHERE, number) for number in (0, 1, 2)]
    return os.posix_spawnp(command[0], command, variables, file_actions=actions)


def run(command, environment=None):
    """Seconds, and the status."""
    began = time.perf_counter()
    _, status, _ = os.wait4(start(command, environment or {}), 0)
    return time.perf_counter() - began, os.waitstatus_to_exitcode(status)


def memory(command, environment):
    """Peak resident memory of the largest process, in KiB; needs GNU time."""
    program = shutil.which("time")
    if not program:
        return None
    with tempfile.NamedTemporaryFile() as file:
        run([program, "-f", "%M", "-o", file.name, *command], environment)
        last = file.read().split()
        return int(last[-1]) if last else None


class Messages:
    """Where the messages of a client begin; the first one has no letter in front of its length."""

    def __init__(self):
        self.head, self.left, self.letter = b"", 0, 0

    def begins(self, data):
        begins, at = False, 0
        while at < len(data):
            if self.left:
                step = min(self.left, len(data) - at)
                self.left -= step
                at += step
                continue
            begins |= not self.head
            self.head += data[at:at + 1]
            at += 1
            if len(self.head) == self.letter + 4:
                self.left = int.from_bytes(self.head[self.letter:], "big") - 4
                # What asks for TLS is 8 bytes long, and the real startup follows.
                self.letter = 0 if not self.letter and self.left == 4 else 1
                self.head = b""
        return begins


class Proxy:
    """In front of the server: counts connections and turns, or delays each direction."""

    def __init__(self, delay=0.0):
        self.delay, self.connections, self.turns = delay, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=500)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            self.connections += 1
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        if self.delay:
            time.sleep(self.delay)  # a connection is a round trip, too
        server = socket.create_connection(("127.0.0.1", PORT))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        said = {"last": "server"}
        for source, sink, name in ((client, server, "client"), (server, client, "server")):
            threading.Thread(target=self.copy, args=(source, sink, name, said), daemon=True).start()

    def copy(self, source, sink, name, said):
        late = []
        ready = threading.Condition()
        messages = Messages()

        def forward():
            while True:
                with ready:
                    while not late:
                        ready.wait()
                    due, data = late.pop(0)
                time.sleep(max(0.0, due - time.perf_counter()))
                try:
                    sink.sendall(data) if data else sink.shutdown(socket.SHUT_WR)
                except OSError:
                    return
                if not data:
                    return

        if self.delay:
            threading.Thread(target=forward, daemon=True).start()
        while True:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            # The end of an answer can be late: it does not make two turns of one message.
            begins = name == "client" and messages.begins(data)
            if begins and data != b"X\0\0\0\4" and said["last"] == "server":
                self.turns += 1
            if data:
                said["last"] = name
            if self.delay:
                with ready:
                    late.append((time.perf_counter() + self.delay / 2, data))
                    ready.notify()
            else:
                try:
                    sink.sendall(data) if data else sink.shutdown(socket.SHUT_WR)
                except OSError:
                    return
            if not data:
                return

    def counts(self):
        time.sleep(0.05)
        counts = self.connections, self.turns
        self.connections = self.turns = 0
        return counts


def steps(tool):
    """The operations that the tool has, in an order in which each has something to do."""
    return [operation for operation in OPERATIONS if operation in tool.commands]


def ratios(tool, port, rounds):
    """By operation: the median of time over that of psql just before, and of the time."""
    found = {operation: [] for operation in steps(tool)}
    environment = tool.environment(port)
    baseline = [PSQL, "-X", url(port), "-c", "select 1"]
    for _ in range(rounds):
        new_database()
        tool.prepare()
        run(baseline)
        for operation in steps(tool):
            before, _ = run(baseline)
            OUTPUT.seek(0)
            OUTPUT.truncate()
            taken, status = run(tool.commands[operation](port), environment)
            if status:
                print(os.pread(NOWHERE, 10_000, 0).decode(errors="replace"), file=sys.stderr)
                raise RuntimeError(f"{tool.name}: {operation} ended with {status}")
            found[operation].append((taken / before, taken, before))
    return {operation: (statistics.median(each[0] for each in runs), statistics.median(each[1] for each in runs))
            for operation, runs in found.items()}, statistics.median(
                each[2] for runs in found.values() for each in runs)


def on_the_wire(tool):
    proxy = Proxy()
    environment = tool.environment(proxy.port)
    new_database()
    tool.prepare()
    found = {}
    for operation in steps(tool):
        run(tool.commands[operation](proxy.port), environment)
        found[operation] = proxy.counts()
    return found


def peak(tool):
    """Medians of five: how much of a file is mapped around what is read is not the same each time."""
    environment = tool.environment(PORT)
    sizes = {operation: [] for operation in steps(tool)}
    for _ in range(5):
        new_database()
        tool.prepare()
        for operation, found in sizes.items():
            found.append(memory(tool.commands[operation](PORT), environment))
    return {operation: statistics.median(found) for operation, found in sizes.items() if all(found)}


def at_once(tool, port, number, fresh):
    """How many of so many starts at once succeed, and how long it takes."""
    environment = tool.environment(port)
    new_database()
    tool.prepare()
    if not fresh:
        run(tool.commands["fresh"](port), environment)
    began = time.perf_counter()
    children = [start(tool.commands["fresh"](port), environment) for _ in range(number)]
    good = sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children)
    return good, time.perf_counter() - began


def size(paths):
    total = 0
    for path in map(pathlib.Path, paths):
        each = path.rglob("*") if path.is_dir() else [path.resolve()]
        total += sum(file.stat().st_size for file in each if file.is_file())
    return total


# --- the tables ------------------------------------------------------------------


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main():
    quick = "--quick" in sys.argv
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    rounds, slow_rounds = (5, 3) if quick else (21, 15)
    work = pathlib.Path(tempfile.mkdtemp())
    found, missing = [], []
    try:
        for name, tool in tools(work):
            if wanted and name not in wanted:
                continue
            (found if tool else missing).append(tool or name)
        measured, delayed, failed = {}, {}, []
        delaying = Proxy(ROUND_TRIP)
        for tool in list(found):
            print(f"{tool.name} {tool.version}", file=sys.stderr)
            try:
                measured[tool.name], base = ratios(tool, PORT, rounds)
                delayed[tool.name], slow_base = ratios(tool, delaying.port, slow_rounds)
            except RuntimeError as error:
                print(error, file=sys.stderr)
                failed.append(str(error))
                found.remove(tool)
        cell = lambda results, operation: (
            f"{results[operation][0]:.2f} ({results[operation][1] * 1000:.0f} ms)" if operation in results else "–")
        parts = []
        psql = words_of([PSQL, "--version"])
        server = words_of([os.environ["AUTHMIG_TEST_BIN"] + "/postgres", "--version"])
        cpus = os.cpu_count()
        parts.append(
            f"{time.strftime('%Y-%m-%d')}, {os.uname().sysname} {os.uname().machine} with {cpus} processors shared with "
            f"others, PostgreSQL {server} with fsync, TCP on loopback, no TLS, no password. Ratios of whole-process time to "
            f"`psql -X -c 'select 1'` (psql {psql}) run just before on the same database, medians of {rounds} pairs, {slow_rounds} with the delay; in "
            f"brackets the median time. psql itself took {base * 1000:.1f} ms, {slow_base * 1000:.0f} ms with the delay.")
        parts.append("### Local\n\n" + table(
            ["", *OPERATIONS], [[f"{tool.name} {tool.version}", *(cell(measured[tool.name], o) for o in OPERATIONS)] for tool in found]))
        parts.append("### Behind a round trip of 20 ms\n\n" + table(
            ["", *OPERATIONS], [[tool.name, *(cell(delayed[tool.name], o) for o in OPERATIONS)] for tool in found]))
        wires = {tool.name: on_the_wire(tool) for tool in found}
        parts.append("### Connections / round trips after connecting\n\n" + table(
            ["", *OPERATIONS], [[tool.name, *("{} / {}".format(*wires[tool.name][o]) if o in wires[tool.name] else "–" for o in OPERATIONS)]
                                for tool in found]))
        rows = []
        for tool in found:
            peaks = peak(tool)
            rows.append([tool.name, *(f"{peaks[o] / 1024:.1f}" if o in peaks else "–" for o in ("fresh", "no-op", "status", "verify")),
                         f"{size(tool.files) / 2**20:.1f}" if tool.files else "–"])
        parts.append("### Memory of the largest process, and size on disk, MiB\n\n" + table(
            ["", "fresh", "no-op", "status", "verify", "files"], rows))
        for title, port in (("", PORT), (", behind a round trip of 20 ms", delaying.port)):
            rows = []
            for tool in found:
                row = [tool.name]
                if "no-op" not in tool.commands:
                    continue
                for number, fresh in ((20, True), (200, True), (200, False)):
                    # A tool that takes a second a start is not started 200 times.
                    if number > 20 and measured[tool.name]["no-op"][1] > 0.1:
                        row.append("–")
                        continue
                    good, taken = at_once(tool, port, number, fresh)
                    row.append(f"{good}/{number} in {taken:.2f} s")
                rows.append(row)
            parts.append(f"### Starts at once{title}: how many ended with 0\n\n" + table(
                ["", "20, empty database", "200, empty database", "200, nothing to do"], rows))
        if missing or failed:
            parts.append("Not measured: " + "; ".join([*(f"{name} (not here)" for name in missing), *failed]) + ".")
        text = "\n\n".join(parts) + "\n"
        print(text)
        if "--write" in sys.argv:
            page = pathlib.Path("docs/performance.md")
            begin, end = "<!-- bench/peers -->\n", "<!-- /bench/peers -->"
            old = page.read_text()
            head, rest = old.split(begin)
            page.write_text(head + begin + "\n" + text + "\n" + end + rest.split(end)[1])
    finally:
        shutil.rmtree(work)


main()
