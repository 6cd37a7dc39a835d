//! Random bytes, and mutated requests that were recorded from a real FreeSWITCH.

use std::path::Path;

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::{
    harness::Node,
    wire::{self, MARK},
};

const COUNT: usize = 1_000;
/// Any seed will do: a failure prints the request itself.
const SEED: u64 = 0x0d1a_1b1a_4e00;

/// The bodies of the recorded fetches.
fn recorded() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "http"));
    files.sort();
    let requests = files.into_iter().map(|file| std::fs::read(file).unwrap());
    let body = |request: Vec<u8>| {
        let gap = memchr::memmem::find(&request, b"\r\n\r\n").map(|at| at + 4);
        let gap = gap.or_else(|| memchr::memmem::find(&request, b"\n\n").map(|at| at + 2)).unwrap();
        request[gap..].trim_ascii_end().to_vec()
    };
    let bodies = requests.filter(|request| memchr::memmem::find(request, b"section=").is_some()).map(body);
    bodies.filter(|body| body.len() > 20).collect()
}

/// Sends all of them, a few at once. Each answer must be well-formed.
async fn send_all(node: &Node, bodies: &[Vec<u8>]) -> [usize; 2] {
    const AT_ONCE: usize = 8;
    let mut kinds = [0, 0];
    for bodies in bodies.chunks(AT_ONCE) {
        let answers = futures_util::future::join_all(bodies.iter().map(|body| wire::fetch(node, body))).await;
        for answer in answers {
            kinds[usize::from(wire::is_not_found(&answer))] += 1;
        }
    }
    kinds
}

#[actix_web::test]
async fn recorded_requests_are_answered_as_they_are() {
    let node = wire::node().await;
    let recorded = recorded();
    assert!(recorded.len() > 30, "{}", recorded.len());
    let [ours, not_found] = send_all(&node, &recorded).await;
    assert!(ours > 10 && not_found > 10, "{ours} and {not_found}");
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_thousand_random_bodies_are_answered_decently() {
    let node = wire::node().await;
    let mut random = StdRng::seed_from_u64(SEED);
    let bodies = (0..COUNT).map(|_| {
        let mut body = vec![0; random.random_range(0..2_000)];
        random.fill_bytes(&mut body);
        // Some begin like a fetch, so that they get past the first checks.
        let starts = ["", "section=directory&", "section=dialplan&Event-Name=x&Hunt-Context=acme.test&", MARK];
        [starts.choose(&mut random).unwrap().as_bytes(), &body].concat()
    });
    send_all(&node, &bodies.collect::<Vec<_>>()).await;
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_thousand_mutated_requests_are_answered_decently() {
    let node = wire::node().await;
    let recorded = recorded();
    let mut random = StdRng::seed_from_u64(SEED);
    let mutated = (0..COUNT).map(|_| {
        let mut body = recorded.choose(&mut random).unwrap().clone();
        for _ in 0..random.random_range(1..5) {
            body = mutate(&body, &recorded, &mut random);
        }
        body
    });
    let [ours, not_found] = send_all(&node, &mutated.collect::<Vec<_>>()).await;
    assert!(ours > 100 && not_found > 100, "{ours} and {not_found}: all kinds are tried");
    wire::still_serves(node).await;
}

/// The same with whole requests, so that lengths may be wrong.
#[actix_web::test]
async fn a_thousand_mutated_heads_are_answered_or_hung_up_on() {
    let node = wire::node().await;
    let request = wire::post(&node, &recorded()[0]);
    let head = memchr::memmem::find(&request, b"\r\n\r\n").unwrap();
    let mut random = StdRng::seed_from_u64(SEED);
    let requests = (0..COUNT).map(|_| {
        let mut request = request.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..head);
            match random.random_range(0..3) {
                0 => request[at] = random.random(),
                1 => drop(request.remove(at)),
                _ => request.insert(at, *b"\r\n :;,\0\t/".choose(&mut random).unwrap()),
            }
        }
        // Whatever the length field says, this many bytes are sent.
        request.resize(request.len() + 9_000_000_usize.min(COUNT * 10), b' ');
        request
    });
    for requests in requests.collect::<Vec<_>>().chunks(8) {
        let exchanges = requests.iter().map(|request| wire::exchange(node.app.switch_address, request));
        for bytes in futures_util::future::join_all(exchanges).await {
            wire::answers(&bytes).iter().for_each(wire::assert_decent);
        }
    }
    wire::still_serves(node).await;
}

fn mutate(body: &[u8], others: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    const VALUES: &[&str] = &[
        "",
        MARK,
        "!eChO7mArK",
        "%24%24%7BeChO7mArK%7D",
        "%3C%21eChO7mArK",
        "x-pre-process",
        "%00",
        "%ff%fe",
        "\u{feff}",
        "1000",
        "1001",
        "acme.test",
        "sales",
        "_all_",
        "sip_auth",
        "publish-vm",
        "gateways",
        "change-password",
        "id",
        "number-alias",
        "public",
        "directory",
        "dialplan",
        "%2B12025550100",
        "*97",
        "*981000",
        "9196",
        "populate_database",
        "jsonrpc-authenticate",
    ];
    const NAMES: &[&str] = &[
        "section",
        "tag_name",
        "key_name",
        "key_value",
        "Event-Name",
        "action",
        "purpose",
        "key",
        "user",
        "domain",
        "group_name",
        "group",
        "VM-Action",
        "VM-User-Password",
        "Hunt-Context",
        "Hunt-Destination-Number",
        "Event-Calling-Function",
        "variable_user_name",
        "variable_domain_name",
        "sip_auth_realm",
        "context",
        MARK,
    ];
    let mut fields = body.split(|byte| *byte == b'&').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let at = random.random_range(0..fields.len());
    let field = |name: &[u8], value: &str| [name, b"=", value.as_bytes()].concat();
    let value = VALUES.choose(random).unwrap();
    match random.random_range(0..8) {
        0 => drop(fields.remove(at)),
        1 => fields.insert(at, fields[at].clone()),
        2 => fields[at] = field(fields[at].split(|byte| *byte == b'=').next().unwrap_or_default(), value),
        3 => fields.insert(at, field(NAMES.choose(random).unwrap().as_bytes(), value)),
        4 => fields.push(field(NAMES.choose(random).unwrap().as_bytes(), value)),
        5 => fields.swap(0, at),
        6 => {
            // The beginning of one request, and the end of another.
            let other = others.choose(random).unwrap();
            fields.truncate(at);
            fields.push(other[random.random_range(0..other.len())..].to_vec());
        }
        _ => {
            let mut body = body.to_vec();
            let at = random.random_range(0..body.len());
            body[at] = random.random();
            return body;
        }
    }
    fields.join(&b"&"[..])
}
