//! Traces, as an OpenTelemetry collector gets them.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value::StringValue},
    trace::v1::Span,
};
use prost::Message as _;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{call_form, sign_in_form};

/// A collector: what is sent to `/v1/traces`.
fn collector() -> (String, Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            // A connection is used for several batches.
            loop {
                let (mut line, mut length, mut path) = (String::new(), 0, String::new());
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line.trim().is_empty() {
                        break;
                    }
                    if path.is_empty() {
                        path.clone_from(&line);
                    }
                    if let Some(found) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = found.trim().parse().unwrap();
                    }
                    line.clear();
                }
                if path.is_empty() {
                    break;
                }
                assert!(path.starts_with("POST /v1/traces "), "{path}");
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                if told.send(ExportTraceServiceRequest::decode(&*body).unwrap()).is_err() {
                    return;
                }
                reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        }
    });
    (url, heard)
}

struct Demo {
    child: Child,
    folder: std::path::PathBuf,
    said: Value,
}

impl Demo {
    fn start(collector: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-traces-{}", Uuid::now_v7().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_dialplane"))
            .args(["demo", "--json", "--switch-listen", "127.0.0.1:0", "--app-listen", "127.0.0.1:0", "--data-dir"])
            .arg(&folder)
            .env_remove("DATABASE_URL")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(folder.join("log")).unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {}", log()));
        Self { child, folder, said }
    }

    fn text(&self, pointer: &str) -> &str {
        self.said.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}: {}", self.said))
    }

    /// As a switch asks.
    fn posts(&self, url: &str, kind: &str, body: &str) {
        let login = format!("{}:{}", self.text("/switch/name"), self.text("/switch/token"));
        let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, login);
        let answer =
            ureq::post(url).header("Authorization", format!("Basic {basic}")).header("Content-Type", kind).send(body);
        assert_eq!(answer.unwrap().status(), 200, "{url}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn values(attributes: &[KeyValue]) -> HashMap<&str, String> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|value| value.value.clone()) {
        Some(StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.as_str(), text(one))).collect()
}

#[test]
fn a_call_is_one_trace_from_its_fetch_over_its_statements_to_its_record_and_a_request_has_its_own_id() {
    let (url, heard) = collector();
    let demo = Demo::start(&url);
    let (call, context) = (Uuid::new_v4(), demo.text("/tenant/context").to_owned());
    let form = |number: &str| {
        format!("{}&Unique-ID={call}&Channel-Call-UUID={call}&variable_call_uuid={call}", call_form(number, &context))
    };
    let number = demo.text("/extensions/0/number");
    demo.posts(demo.text("/switch_url"), "application/x-www-form-urlencoded", &form(number));
    demo.posts(demo.text("/switch_url"), "application/x-www-form-urlencoded", &sign_in_form(number, &context));
    demo.posts(&format!("{}?uuid=a_{call}", demo.text("/cdr_url")), "application/json", "{}");
    // Whose number it is, and who has this address, no collector is told.
    for path in [
        "/v1/phone-numbers/by-number/%2B12025550111",
        "/v1/admin/agents/by-email/ann@acme.example",
        "/links/dpo_pathsecret",
    ] {
        let client = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build());
        let told = client.get(format!("{}{path}", demo.text("/app_url"))).header("X-API-Key", demo.text("/api_key"));
        assert!(told.call().unwrap().status().is_client_error(), "{path}");
    }
    let asked = ureq::get(format!("{}/v1/tenants?limit=1", demo.text("/app_url")))
        .header("X-API-Key", demo.text("/api_key"))
        .call();
    let request = asked.unwrap().headers()["x-request-id"].to_str().unwrap().parse::<Uuid>().unwrap();

    let mut spans = Vec::<Span>::new();
    let find = |spans: &[Span], trace: Uuid, name: &str| {
        spans.iter().find(|span| span.trace_id == trace.as_bytes() && span.name == name).cloned()
    };
    let all = [(call, "fetch"), (call, "fill"), (call, "call record"), (request, "request")];
    while all.iter().any(|(trace, name)| find(&spans, *trace, name).is_none()) {
        let seen = || spans.iter().map(|span| format!("{} {:02x?}", span.name, span.trace_id)).collect::<Vec<_>>();
        let batch = heard
            .recv_timeout(Duration::from_mins(1))
            .unwrap_or_else(|_| panic!("call {call}, request {request}: {:#?}", seen()));
        for resource in batch.resource_spans {
            let service = values(&resource.resource.as_ref().unwrap().attributes)["service.name"].clone();
            assert_eq!(service, "dialplane");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let fetch = find(&spans, call, "fetch").unwrap();
    assert_eq!(values(&fetch.attributes)["kind"], "dialplan");
    assert_eq!(values(&fetch.attributes)["source"], "Filled");
    let fill = find(&spans, call, "fill").unwrap();
    assert_eq!(fill.parent_span_id, fetch.span_id);
    let statements =
        fill.events.iter().map(|event| format!("{} {:?}", event.name, values(&event.attributes))).collect::<Vec<_>>();
    assert!(statements.iter().any(|statement| statement.contains("select")), "{statements:#?}");
    let whole = format!("{spans:?}");
    for part in ["12025550111", "ann@acme", "dpo_pathsecret"] {
        assert!(!whole.contains(part), "{part}: {whole}");
    }
    for secret in [demo.text("/switch/token"), demo.text("/api_key"), demo.text("/extensions/0/sip_password")] {
        assert!(!whole.contains(secret), "{secret}");
    }
    // A sign-in is about no call, and is a trace of its own.
    assert!(spans.iter().all(|span| span.name != "fetch"
        || span.trace_id == call.as_bytes()
        || values(&span.attributes)["kind"] == "user"));
}

#[test]
fn a_share_of_traces_that_is_no_share_is_refused_by_name() {
    let refused = Command::new(env!("CARGO_BIN_EXE_dialplane"))
        .args(["tenant", "list"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .env("OTEL_TRACES_SAMPLER_ARG", "half")
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("OTEL_TRACES_SAMPLER_ARG") && said.contains("0 to 1"), "{said}");
}
