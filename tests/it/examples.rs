//! The examples work: each file is read by the tool that it is for, and what it makes
//! authmig do is done.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use crate::support::server::{Server, free_port};
use crate::support::tools::tool;
use crate::support::{Run, TestDb, finish, first_line, role, setting, until, versions};

const SQL_API: &str = include_str!("../../docs/sql-api.md");

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(example(path)).unwrap()
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{}{}", said[0], said[1]);
    said[0].clone()
}

/// A YAML file as JSON, by way of Python.
fn yaml(path: &str) -> Option<Value> {
    // It comes with this one, and is not a program.
    tool("kubernetes-validate")?;
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let python = tool("kubernetes-validate")?.with_file_name("python3");
    let python = if python.exists() { python } else { PathBuf::from("python3") };
    let text = succeeds(Command::new(python).args(["-c", script]).arg(example(path)));
    Some(serde_json::from_str(&text).unwrap())
}

/// A list of words.
fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Secrets as a container finds them, in a folder.
struct Secrets(tempfile::TempDir);

impl Secrets {
    fn of(url: &str) -> Secrets {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        };
        for name in ["url", "migrate_url", "database_url"] {
            write(name, url);
        }
        for name in ["jwt-secret", "jwt_secret"] {
            write(name, "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=");
        }
        Secrets(folder)
    }

    /// authmig as the container starts it: these words and variables, its secrets here.
    fn run(&self, db: &TestDb, arguments: &[String], environment: &BTreeMap<String, String>) -> Run {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut command = db.command(&arguments);
        command.env_remove("DATABASE_URL");
        for (name, value) in environment {
            let file = value.rsplit('/').next().unwrap();
            command.env(name, self.0.path().join(file));
        }
        finish(command.spawn().unwrap())
    }
}

#[test]
fn the_compose_file_is_one_and_its_migrate_service_migrates() {
    let Some(check) = tool("check-jsonschema") else { return };
    let file = example("superstack/compose.yaml");
    succeeds(Command::new(check).args(["--builtin-schema", "vendor.compose-spec"]).arg(file));
    let Some(compose) = yaml("superstack/compose.yaml") else { return };
    let services = &compose["services"];
    assert_eq!(services["postgrest"]["depends_on"]["migrate"]["condition"], "service_completed_successfully");
    assert_eq!(services["postgrest"]["environment"]["PGRST_DB_SCHEMAS"], "api,auth");
    let migrate = &services["migrate"];
    let environment: BTreeMap<String, String> =
        serde_json::from_value(migrate["environment"].clone()).unwrap();
    let db = TestDb::new();
    let run = Secrets::of(&db.url()).run(&db, &words(&migrate["command"]), &environment).exits(0);
    assert!(run.stdout.contains("the JWT secret that was given is stored"), "{}", run.stdout);
    // Every secret is a file of that folder, and env.example names none of them.
    for (name, secret) in compose["secrets"].as_object().unwrap() {
        assert_eq!(secret["file"], format!("secrets/{name}"));
        assert!(text("superstack/README.md").contains(&format!("secrets/{name}")), "{name}");
    }
    let names = text("superstack/env.example");
    for line in names.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split('=').next().unwrap();
        assert!(text("superstack/compose.yaml").contains(&format!("${{{name}:-")), "{name}");
        assert!(!name.contains("PASSWORD") && !name.contains("SECRET"), "{name}");
    }
}

#[test]
fn each_service_of_the_compose_file_can_read_its_secrets_and_nobody_else() {
    let Some(_) = tool("openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let read_me = text("superstack/README.md");
    let block = read_me.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<_> =
        block.lines().filter(|line| !line.starts_with("cp ") && !line.starts_with("docker ")).collect();
    // Whatever the umask is.
    let script = format!("set -e; umask 077\n{}", lines.join("\n"));
    succeeds(Command::new("sh").args(["-c", &script]).current_dir(folder.path()));
    let mode = |path: &Path| {
        let metadata = std::fs::metadata(path).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
    };
    let secrets = folder.path().join("secrets");
    assert_eq!(mode(&secrets), 0o700);
    // Compose mounts them one by one, with the mode that they have.
    let files: Vec<_> = std::fs::read_dir(&secrets).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 5);
    for file in files {
        assert_eq!(mode(&file), 0o644, "{}", file.display());
        assert!(std::fs::metadata(&file).unwrap().len() > 0, "{}", file.display());
    }
}

#[test]
fn the_authenticator_of_the_compose_file_can_log_in() {
    let server = Server::guarded(
        "local all all trust\nhost all authenticator all scram-sha-256\nhost all all all trust\n",
        "log_statement = all",
        &[],
    );
    let secret = tempfile::NamedTempFile::new().unwrap();
    let path = format!("{}:{}", setting("AUTHMIG_TEST_CLIENTS"), std::env::var("PATH").unwrap());
    let mut script = Command::new(example("superstack/postgres/00-authenticator.sh"));
    script
        .env("PATH", path)
        .env("POSTGRES_DB", "postgres")
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", server.port.to_string());
    // One that is empty, or cannot be read, is no password.
    for file in [secret.path().to_owned(), secret.path().join("nowhere")] {
        let output = script.env("AUTHENTICATOR_PASSWORD_FILE", &file).output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(file.to_str().unwrap()), "{said}");
    }
    std::fs::write(secret.path(), "it's a s3cret").unwrap();
    succeeds(script.env("AUTHENTICATOR_PASSWORD_FILE", secret.path()));
    let db = TestDb::new();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    db.authmig(&["migrate", "--database-url", &url]).exits(0);
    let own = url.replace("postgres@", "authenticator:it's%20a%20s3cret@");
    // It logs in; that it may not read the ledger is as it should be.
    let run = db.authmig(&["status", "--database-url", &own]).exits(1);
    assert!(run.stderr.contains("permission denied for schema authmig"), "{}", run.stderr);
    let log = std::fs::read_to_string(format!("{}/log", server.folder)).unwrap();
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn caddy_makes_the_access_cookie_the_header_that_postgrest_reads() {
    let Some(caddy) = tool("caddy") else { return };
    succeeds(
        Command::new(&caddy)
            .args(["validate", "--adapter", "caddyfile", "--config"])
            .arg(example("superstack/Caddyfile")),
    );
    let mut proxy = Proxy::start(caddy.clone(), &text("superstack/Caddyfile"), &CADDY);
    proxy.serves_a_browser("access_token");
    let (answer, asked) = proxy.ask("/rpc/issue_tokens", "");
    assert!(answer.starts_with("HTTP/1.1 404 ") && asked.is_none(), "{answer}");
    // As the page about the SQL shows it.
    let block = section("The proxy", "```caddyfile\n");
    for cookie in ["access_token", "__Host-access_token"] {
        let block = block.replace(")access_token=", &format!("){cookie}="));
        let site = format!("{{$SITE}} {{\n{block}}}\n");
        Proxy::start(caddy.clone(), &site, &CADDY).serves_a_browser(cookie);
    }
    let clear = section("Changing path, domain or names", "```caddyfile\n");
    let block = block.replace("header_up -Authorization\n", &format!("header_up -Authorization\n{clear}"));
    Proxy::start(caddy, &format!("{{$SITE}} {{\n{block}}}\n"), &CADDY).clears_the_old_cookies();
}

#[test]
fn nginx_does_so_too() {
    let Some(nginx) = tool("nginx") else { return };
    let block = section("The proxy", "```nginx\n");
    for cookie in ["access_token", "__Host-access_token"] {
        let block = block.replace(")access_token=", &format!("){cookie}="));
        Proxy::start(nginx.clone(), &block, &NGINX).serves_a_browser(cookie);
    }
    let clear = section("Changing path, domain or names", "```nginx\n");
    let mark = "proxy_set_header Authorization \"\";\n";
    Proxy::start(nginx, &block.replace(mark, &format!("{mark}{clear}")), &NGINX).clears_the_old_cookies();
}

/// The first block with this fence in a section of the page about the SQL.
fn section(heading: &str, fence: &str) -> &'static str {
    let section = SQL_API.split(&format!("# {heading}\n")).nth(1).unwrap();
    section.split(fence).nth(1).unwrap().split("```").next().unwrap()
}

/// How a proxy is started: what comes before and after the text, and the arguments before its file.
struct Kind {
    around: [&'static str; 2],
    arguments: &'static [&'static str],
    site: &'static str,
}

const CADDY: Kind = Kind {
    around: ["{\n\tadmin off\n}\n", ""],
    arguments: &["run", "--adapter", "caddyfile", "--config"],
    site: "http://",
};

/// One process, so that it needs no user of its own.
const NGINX: Kind = Kind {
    around: [
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
         http {
             access_log off;
             client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
        ",
        "}",
    ],
    arguments: &["-e", "stderr", "-p", ".", "-c"],
    site: "",
};

/// A proxy in front of a server of this test, which is what PostgREST would be asked.
struct Proxy {
    child: std::process::Child,
    port: u16,
    requests: mpsc::Receiver<String>,
    _folder: tempfile::TempDir,
}

impl Proxy {
    fn start(program: PathBuf, text: &str, kind: &Kind) -> Proxy {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = backend.local_addr().unwrap().to_string();
        let (asked, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in backend.incoming() {
                if asked.send(answer(stream.unwrap())).is_err() {
                    return;
                }
            }
        });
        let port = free_port();
        let site = format!("{}127.0.0.1:{port}", kind.site);
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        let text = text.replace("postgrest:3000", &upstream);
        let text = text.replace("server {", &format!("server {{\n    listen {site};"));
        std::fs::write(&config, [kind.around[0], &text, kind.around[1]].concat()).unwrap();
        let child = Command::new(program)
            .args(kind.arguments)
            .arg(&config)
            .current_dir(folder.path())
            .env("SITE", site)
            .env("HOME", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Proxy { child, port, requests, _folder: folder }
    }

    /// The answer to a request with these header lines, and what the server was asked.
    fn ask(&mut self, path: &str, lines: &str) -> (String, Option<String>) {
        let mut stream = None;
        until(|| {
            assert!(self.child.try_wait().unwrap().is_none(), "the proxy has ended");
            stream = TcpStream::connect(("127.0.0.1", self.port)).ok();
            stream.is_some()
        });
        let mut stream = stream.unwrap();
        let host = format!("127.0.0.1:{}", self.port);
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let asked = match answer.split(' ').nth(1) {
            Some("200") => self.requests.recv().ok(),
            _ => self.requests.try_recv().ok(),
        };
        (answer, asked)
    }

    /// The Authorization header that PostgREST gets with a request of these header lines.
    fn authorization(&mut self, path: &str, lines: &str) -> Option<String> {
        let request = self.ask(path, lines).1.unwrap();
        assert!(request.starts_with(&format!("post {path} ")), "{request}");
        let values: Vec<_> =
            request.lines().filter_map(|line| line.strip_prefix("authorization: ")).collect();
        assert!(values.len() <= 1, "{request}");
        values.first().map(|&value| value.to_owned())
    }

    /// On the routes that set cookies, beside those that PostgREST sets.
    fn clears_the_old_cookies(&mut self) {
        for (path, count) in
            [("/rpc/login", 2), ("/rpc/refresh_tokens", 2), ("/rpc/logout", 2), ("/todos", 0)]
        {
            let answer = self.ask(path, "").0;
            let old = |line: &&str| {
                line.to_lowercase().starts_with("set-cookie: ")
                    && line.ends_with("_token=; Path=/old; Secure; Max-Age=0")
            };
            assert_eq!(answer.lines().filter(old).count(), count, "{path}: {answer}");
            let own = answer.lines().filter(|line| line.ends_with(": theme=dark")).count();
            assert_eq!(own, 1, "{path}: {answer}");
        }
    }

    fn serves_a_browser(&mut self, cookie: &str) {
        let cookies = format!("Cookie: a=b; {cookie}=e30.e30.x_-y; refresh_token=x\r\n");
        for path in ["/rpc/refresh_tokens", "/rpc/logout"] {
            for lines in [cookies.clone(), format!("{cookies}Authorization: Bearer old\r\n")] {
                assert_eq!(self.authorization(path, &lines), None, "{path}");
            }
            let (_, request) = self.ask(path, &cookies);
            let request = request.unwrap();
            assert!(request.contains("; refresh_token=x\r\n"), "{request}");
            assert!(request.contains("\ncontent-profile: auth\r\n"), "{request}");
        }
        for lines in ["", &*cookies, &format!("{cookies}Authorization: Bearer old\r\n")] {
            assert_eq!(self.authorization("/rpc/login", lines), None);
        }
        for path in ["/todos", "/rpc/own_function"] {
            assert_eq!(self.authorization(path, &cookies).as_deref(), Some("bearer e30.e30.x_-y"));
            for (header, expected) in [
                (format!("{cookie}=only"), Some("bearer only")),
                (format!("a=b;{cookie}=x"), Some("bearer x")),
                (format!("{cookie}="), None),
                (format!("{cookie}=; b=c"), None),
                (format!("my_{cookie}=x; a={cookie}=x"), None),
                ("refresh_token=x".to_owned(), None),
            ] {
                let found = self.authorization(path, &format!("Cookie: {header}\r\n"));
                assert_eq!(found.as_deref(), expected, "{header}");
            }
            assert_eq!(self.authorization(path, ""), None);
            for own in ["Bearer own", "Basic eDp5"] {
                let lines = format!("{cookies}Authorization: {own}\r\n");
                assert_eq!(self.authorization(path, &lines), Some(own.to_lowercase()));
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Reads a request, answers 200, and gives its head back in lower case.
fn answer(mut stream: TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
    let mut body = vec![0; length(&head)];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: theme=dark\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    format!("{}{}", head.to_lowercase(), String::from_utf8(body).unwrap())
}

fn length(head: &str) -> usize {
    head.to_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0)
}

#[test]
fn the_kubernetes_files_are_valid_and_their_containers_do_what_they_say() {
    let Some(validate) = tool("kubernetes-validate") else { return };
    let db = TestDb::new();
    for (file, kind) in [
        ("kubernetes/job.yaml", "Job"),
        ("kubernetes/initcontainer.yaml", "Deployment"),
        ("kubernetes/readonly-wait.yaml", "Deployment"),
    ] {
        succeeds(Command::new(&validate).arg("--strict").arg(example(file)));
        let Some(object) = yaml(file) else { return };
        assert_eq!(object["kind"], kind);
        let pod = &object["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        let all =
            ["initContainers", "containers"].map(|key| pod[key].as_array().cloned().unwrap_or_default());
        let all = all.concat();
        for container in &all {
            assert!(container["resources"]["limits"]["memory"].is_string(), "{file}");
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{file}");
        }
        let authmig = all.iter().find(|container| container["name"] == "authmig").unwrap();
        let environment: BTreeMap<_, _> = authmig["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| [&entry["name"], &entry["value"]].map(|text| text.as_str().unwrap().to_owned()))
            .map(|[name, value]| (name, value))
            .collect();
        Secrets::of(&db.url()).run(&db, &words(&authmig["args"]), &environment).exits(0);
        for container in all.iter().filter(|container| container["name"] == "postgrest") {
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                assert_eq!(container[probe]["httpGet"]["port"], "admin", "{file}");
            }
        }
    }
}

#[test]
fn a_role_with_the_grants_of_the_read_me_can_wait_and_nothing_more() {
    let db = TestDb::new();
    let reader = role(&db, "login");
    let (name, port) = (&db.name, db.port());
    let url = format!("postgres://{reader}@127.0.0.1:{port}/{name}");
    let mut waiting = db.command(&["status", "--wait", "1m", "--database-url", &url]).spawn().unwrap();
    let line = first_line(&mut waiting);
    assert!(line.contains("pending"), "{line}");
    let read_me = text("kubernetes/README.md");
    let block = read_me.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let grants = block.lines().skip(1).collect::<String>().replace("authmig_reader", &reader);
    db.authmig(&["migrate"]).exits(0);
    // Until somebody grants it that, it may not even see that there is nothing to wait for.
    let run = db.authmig(&["status", "--database-url", &url]).exits(1);
    assert!(run.stderr.contains("grant usage on schema authmig to"), "{}", run.stderr);
    let run = db.authmig(&["status", "--wait", "100ms", "--database-url", &url]).exits(1);
    assert!(run.stderr.contains("waiting: the history of this database may not be read"), "{}", run.stderr);
    db.sql(&grants);
    finish(waiting).exits(0);
    db.authmig(&["migrate", "--database-url", &url]).exits(0);
    let run = db.authmig(&["verify", "--database-url", &url]);
    assert_ne!(run.code, 0, "{}", run.stdout);
}

/// Runs a script of a CI job: bash as CI starts it, authmig on its path.
fn job(db: &TestDb, script: &str, folder: &Path, environment: &[(&str, &str)]) -> std::process::Output {
    let authmig = db.command(&[]);
    let home = Path::new(authmig.get_program()).parent().unwrap();
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-e", "-c", script]).current_dir(folder);
    command.env("PATH", path).env("DATABASE_URL", db.url()).envs(environment.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_github_workflow_is_one_and_its_jobs_run() {
    let Some(check) = tool("check-jsonschema") else { return };
    let path = "github-actions/migrate.yaml";
    succeeds(Command::new(check).args(["--builtin-schema", "vendor.github-workflows"]).arg(example(path)));
    let Some(workflow) = yaml(path) else { return };
    let folder = tempfile::tempdir().unwrap();
    let db = TestDb::new();
    let steps = |name: &str| workflow["jobs"][name]["steps"].as_array().unwrap().clone();
    let script = |step: &Value| step["run"].as_str().unwrap().to_owned();

    let plan = steps("plan");
    let output = job(&db, &script(&plan[0]), folder.path(), &[]);
    assert!(output.status.success());
    let text = std::fs::read_to_string(folder.path().join("plan.txt")).unwrap();
    assert!(text.contains("create table auth.refresh_token") && text.contains("\ndry run: "), "{text}");
    assert_eq!(db.history(), [0; 0]);
    // The rest of the job is GitHub's own program; what it is given can be made here.
    let comment = script(&plan[1]);
    let made: Vec<_> = comment.lines().take_while(|line| !line.starts_with("gh ")).collect();
    assert!(job(&db, &made.join("\n"), folder.path(), &[]).status.success());
    let text = std::fs::read_to_string(folder.path().join("comment.md")).unwrap();
    assert!(text.starts_with("### authmig: plan for staging\n```\n"), "{text}");
    assert!(text.ends_with("; nothing was changed\n```\n") && text.len() < 65_536, "{text}");

    for step in steps("migrate") {
        let output = job(&db, &script(&step), folder.path(), &[]);
        assert!(output.status.success());
    }
    assert_eq!(db.history(), versions());
    db.sql("drop index auth.refresh_token_subject");
    let output = job(&db, &script(&steps("migrate")[1]), folder.path(), &[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\n::error title=authmig verify%3A objects::"));
}

#[test]
fn the_gitlab_pipeline_is_one_and_its_jobs_run() {
    let (Some(check), Some(_), Some(_)) = (tool("check-jsonschema"), tool("jq"), tool("curl")) else {
        return;
    };
    let path = "gitlab-ci/.gitlab-ci.yml";
    succeeds(Command::new(check).args(["--builtin-schema", "vendor.gitlab-ci"]).arg(example(path)));
    let Some(pipeline) = yaml(path) else { return };
    let folder = tempfile::tempdir().unwrap();
    let db = TestDb::new();

    // GitLab itself, as far as the job speaks to it.
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v4", api.local_addr().unwrap());
    let note = std::thread::spawn(move || answer(api.accept().unwrap().0));
    let environment = [
        ("CI_API_V4_URL", &*url),
        ("CI_PROJECT_ID", "7"),
        ("CI_MERGE_REQUEST_IID", "8"),
        ("COMMENT_TOKEN", "t0ken"),
        ("no_proxy", "*"),
    ];
    let script = words(&pipeline["plan"]["script"]).join("\n");
    let output = job(&db, &script, folder.path(), &environment);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let request = note.join().unwrap();
    assert!(request.starts_with("post /api/v4/projects/7/merge_requests/8/notes "), "{request}");
    let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let body = body["body"].as_str().unwrap();
    assert!(body.starts_with("### authmig: plan for staging\n```\n"), "{body}");
    assert!(body.ends_with("; nothing was changed\n```"), "{body}");
    assert_eq!(db.history(), [0; 0]);

    let migrate = &pipeline["migrate"];
    let script = words(&migrate["script"]).join("\n");
    assert!(job(&db, &script, folder.path(), &[]).status.success());
    let report = migrate["artifacts"]["reports"]["junit"].as_str().unwrap();
    let report = std::fs::read_to_string(folder.path().join(report)).unwrap();
    assert!(roxmltree::Document::parse(&report).unwrap().descendants().any(|n| n.has_tag_name("testcase")));
}

#[test]
fn the_systemd_unit_is_one_and_starts_what_it_should() {
    let Some(analyze) = tool("systemd-analyze") else { return };
    let db = TestDb::new();
    let unit = text("systemd/authmig.service");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authmig.service");
    let authmig = db.command(&[]);
    let program = authmig.get_program().to_str().unwrap();
    std::fs::write(&path, unit.replace("/usr/local/bin/authmig", program)).unwrap();
    succeeds(Command::new(&analyze).args(["verify", "--man=no"]).arg(&path));

    let line = |key: &str| {
        let start = format!("{key}=");
        unit.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
    };
    let arguments: Vec<_> = line("ExecStart").split(' ').skip(1).map(str::to_owned).collect();
    let environment = line("Environment")
        .split(' ')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Secrets::of(&db.url()).run(&db, &arguments, &environment).exits(0);
    assert_eq!(db.history(), versions());
}

#[test]
fn every_folder_of_examples_is_listed() {
    let list = text("README.md");
    for entry in std::fs::read_dir(example("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || list.contains(&format!("[{name}]({name})")), "{name}");
    }
}
