//! The groups of `src/` are like floors: an import points to its own group or to a lower one, no two files import each other, and SQL
//! is only in files named `store.rs` or `…_store.rs`. There are no exceptions.
//!
//! A folder's `mod.rs` and the files of that folder are one subject in several files, so imports between them are not counted.

#![allow(clippy::unwrap_used, reason = "a test that can't read the sources has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The groups, from the lowest to the highest.
const FLOORS: [&str; 10] =
    ["text", "model", "routing", "node", "http", "tenancy", "telephony", "people", "switch", "app"];

/// A path that a `use` line or other code names.
struct Import {
    line: usize,
    path: Vec<String>,
}

fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    walk(&root, &mut found);
    found.into_iter().map(|(path, text)| (path.strip_prefix(&root).unwrap().to_owned(), text)).collect()
}

/// The module of a file: `fetch/fill/call.rs` is `fetch::fill::call`.
fn module(file: &Path) -> Vec<String> {
    let mut parts = file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    if parts.last().is_some_and(|last| ["mod", "lib", "ground", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// The text without comments but with all lines: an example in a comment is not an import.
fn without_comments(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let code = if line.trim_start().starts_with("//") { "" } else { line.split(" // ").next().unwrap_or_default() };
        let _ = writeln!(all, "{code}");
        all
    })
}

/// The text without the file's tests, which are at its end: they may look at whoever uses the file.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// The paths of a use tree: `a::{b, c::{self, D}}` is `a::b`, `a::c` and `a::c::D`.
fn leaves(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let mut path = before.to_vec();
        let plain = tree.split(" as ").next().unwrap_or_default();
        let is_root = before.is_empty();
        let parts = plain.split("::").map(str::trim).enumerate();
        path.extend(
            parts.filter(|(at, part)| *part != "self" || (is_root && *at == 0)).map(|(_, part)| part.to_owned()),
        );
        found.push(path);
        return;
    };
    let mut path = before.to_vec();
    path.extend(tree[..open].split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()));
    let inner = &tree[open + 1..tree.rfind('}').unwrap()];
    let (mut depth, mut start) = (0, 0);
    for (at, character) in inner.char_indices().chain([(inner.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    leaves(&inner[start..at], &path, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// All paths of this crate that a file names.
fn imports(text: &str) -> Vec<Import> {
    let text = without_comments(text);
    let line_at = |at: usize| text[..at].matches('\n').count() + 1;
    let mut found = Vec::new();
    let mut uses = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let begins = text[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ')');
        let tree = &text[at + 4..];
        let own = ["crate::", "super::", "self::"].iter().any(|root| tree.starts_with(root));
        let Some(end) = tree.find(';').filter(|_| begins && own) else { continue };
        uses.push(at..at + 4 + end);
        let mut paths = Vec::new();
        leaves(&tree[..end], &[], &mut paths);
        found.extend(paths.into_iter().map(|path| Import { line: line_at(at), path }));
    }
    for (at, _) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        let is_inside = text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        if is_inside || uses.iter().any(|range| range.contains(&at)) {
            continue;
        }
        let named =
            text[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap_or_default();
        let path = named.split("::").filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect();
        found.push(Import { line: line_at(at), path });
    }
    found
}

/// The path from the crate's root.
fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = path;
    match rest.first().map(String::as_str) {
        Some("crate") => {
            base.clear();
            rest = &rest[1..];
        }
        Some("self") => rest = &rest[1..],
        _ => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
    }
    base.extend_from_slice(rest);
    base
}

fn floor(module: &[String]) -> Option<usize> {
    FLOORS.iter().position(|floor| module.first().is_some_and(|first| first == floor))
}

#[test]
fn every_source_stands_in_a_group() {
    for file in sources().keys() {
        let top = file.to_str().is_some_and(|name| ["lib.rs", "ground.rs", "main.rs"].contains(&name));
        assert!(top || floor(&module(file)).is_some(), "{} belongs to no group: {FLOORS:?}", file.display());
    }
}

#[test]
fn no_import_points_to_a_higher_group() {
    let mut wrong = String::new();
    for (file, text) in sources() {
        let module = module(&file);
        let Some(own) = floor(&module) else { continue };
        for import in imports(&text) {
            let path = absolute(&import.path, &module);
            if floor(&path).is_some_and(|other| other > own) {
                let _ = writeln!(
                    wrong,
                    "src/{}:{}: {} is above {}",
                    file.display(),
                    import.line,
                    path.join("::"),
                    FLOORS[own]
                );
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point up:\n{wrong}");
}

#[test]
fn no_two_files_import_each_other() {
    let sources = sources();
    let files = sources.keys().map(|file| (module(file), file.clone())).collect::<BTreeMap<_, _>>();
    let mut edges = BTreeMap::<(&Path, &Path), usize>::new();
    for (file, text) in &sources {
        let module = module(file);
        for import in imports(without_tests(text)) {
            let mut path = absolute(&import.path, &module);
            while !path.is_empty() && !files.contains_key(&path) {
                path.pop();
            }
            let Some(other) = files.get(&path) else { continue };
            let other_module = self::module(other);
            let one_subject = module.starts_with(&other_module) || other_module.starts_with(&module);
            if !one_subject {
                edges.entry((file.as_path(), other.as_path())).or_insert(import.line);
            }
        }
    }
    let wrong = edges
        .iter()
        .filter(|((a, b), _)| a < b && edges.contains_key(&(*b, *a)))
        .map(|((a, b), line)| format!("src/{}:{line} and src/{}:{}", a.display(), b.display(), edges[&(*b, *a)]))
        .collect::<BTreeSet<_>>();
    assert!(wrong.is_empty(), "files that import each other:\n{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn sql_stands_in_stores_alone() {
    let mut wrong = String::new();
    for (file, text) in sources() {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name == "store.rs" || name.ends_with("_store.rs") {
            continue;
        }
        let text = without_comments(&text);
        for (at, line) in text.lines().enumerate() {
            if line.contains("sqlx::query")
                || line.contains("query_scalar!(")
                || line.contains("query_as!(")
                || line.contains("raw_sql(")
            {
                let _ = writeln!(wrong, "src/{}:{}: {}", file.display(), at + 1, line.trim());
            }
        }
    }
    assert!(wrong.is_empty(), "SQL outside of a store:\n{wrong}");
}

/// Sentences are for people. A program that compares one breaks when somebody improves it. Errors have types, and refusals have codes.
#[test]
fn no_error_is_told_apart_by_its_sentence() {
    let said = ["to_string()", "message()", "english()", "german()", "detail()"];
    let compared =
        [" ==", " !=", ".starts_with(", ".ends_with(", ".contains(", ".strip_prefix(", ".strip_suffix(", ".find("];
    let mut wrong = String::new();
    for (file, text) in sources() {
        // Tests, which are at the end of a file, may check sentences.
        let code = without_comments(without_tests(&text));
        for (at, line) in code.lines().enumerate() {
            let tells = |said: &str| {
                compared.iter().any(|how| {
                    line.contains(&format!("error.{said}{how}")) || line.contains(&format!("why.{said}{how}"))
                })
            };
            let is_matched = ["match error.to_string()", "match why.", "match problem.detail"]
                .iter()
                .any(|how| line.contains(how) && !line.contains("match why.code"));
            if said.iter().any(|said| tells(said)) || is_matched {
                let _ = writeln!(wrong, "src/{}:{}: {}", file.display(), at + 1, line.trim());
            }
        }
    }
    assert!(wrong.is_empty(), "errors told apart by a sentence:\n{wrong}");
}

/// The OpenAPI document has one list of schemas: if two had the same name, the second would silently replace the first.
#[test]
fn no_two_shapes_of_the_api_have_one_name() {
    let mut seen = BTreeMap::<String, Vec<String>>::new();
    for (path, text) in sources() {
        let lines = text.lines().collect::<Vec<_>>();
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| {
            line.contains("utoipa::ToSchema,") || line.contains("ToSchema") && line.contains("derive")
        }) {
            let Some(kind) = lines[at..].iter().position(|line| line.contains("struct ") || line.contains("enum "))
            else {
                continue;
            };
            let given = lines[at..at + kind].iter().find_map(|line| line.trim().strip_prefix("#[schema(as = "));
            let word =
                |line: &str| line.split(|c: char| !c.is_alphanumeric()).find(|w| !w.is_empty()).map(str::to_owned);
            let declared = lines[at + kind].split("struct ").nth(1).or_else(|| lines[at + kind].split("enum ").nth(1));
            if declared.is_some_and(|name| name.starts_with('$')) {
                continue; // In a macro, which gets the name as an argument.
            }
            if declared.is_some_and(|name| name.contains('<')) {
                continue; // A generic one has its parameter in its name.
            }
            let name = given.and_then(word).or_else(|| declared.and_then(word)).unwrap();
            seen.entry(name).or_default().push(format!("src/{}:{}", path.display(), at + kind + 1));
        }
    }
    // The types that a macro makes of a name and a reader.
    let made = regex::Regex::new(r"(?m)^    ([A-Z]\w+), parse_\w+, ").unwrap();
    for (path, text) in sources() {
        for name in made.captures_iter(&text).map(|found| found[1].to_owned()) {
            seen.entry(name).or_default().push(format!("src/{}", path.display()));
        }
    }
    assert!(seen.len() > 100, "the shapes of the API are not found any more");
    let doubles = seen.into_iter().filter(|(_, places)| places.len() > 1).collect::<Vec<_>>();
    assert!(doubles.is_empty(), "give one of each another name with #[schema(as = …)]: {doubles:#?}");
}
