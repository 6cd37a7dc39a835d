//! Reads static FreeSWITCH files into a tree. Includes and variables are resolved, but no command is run.
//!
//! A switch is lenient (`switch_xml_parse_str` in switch_xml.c), and so is this: an `&` that begins no reference stands for itself,
//! and of two attributes with one name the first counts. Each file is parsed by itself, and its errors are noted with their lines.

use std::{
    collections::HashMap,
    fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use quick_xml::{Reader, events::Event};

use crate::text::table_file;

const MOST_FILES: usize = 5000;
const MOST_BYTES: u64 = 8 << 20;
const MOST_DEPTH: usize = 20;

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
    /// Where it begins: a file's path within the folder, and its line.
    pub file: Arc<str>,
    pub line: usize,
}

impl Node {
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Elements with a name, at any depth.
    #[must_use]
    pub fn all<'a>(&'a self, name: &str) -> Vec<&'a Self> {
        let mut found = Vec::new();
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            found.extend(child.all(name));
        }
        found
    }

    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// `FILE:LINE`
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// Why files can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("{0} can't be read: {1}")]
    Io(PathBuf, io::Error),
    #[error(
        "{folder} has no FreeSWITCH configuration: name the folder that has freeswitch.xml, or the folders directory and dialplan{hint}"
    )]
    NoConfiguration { folder: PathBuf, hint: String },
    #[error(
        "the files in {0} have no users and no dialplan: name the folder that has freeswitch.xml, or the folders directory and dialplan"
    )]
    Empty(PathBuf),
    #[error("there are more than {MOST_FILES} files")]
    TooMuch,
}

/// Reads a tree of files.
pub struct Files {
    root: PathBuf,
    variables: HashMap<String, String>,
    count: usize,
    /// The files that are being read, each included by the one before it.
    reading: Vec<PathBuf>,
    /// Commands that a switch would run, files outside of the folder, and errors in files.
    pub refused: Vec<String>,
}

/// Elements whose children are complete without them. If a file is cut off inside one, the children read so far count.
const LISTS: [&str; 10] =
    ["", "include", "document", "section", "domain", "groups", "group", "users", "context", "configuration"];

impl Files {
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let mut variables = HashMap::new();
        // A switch sets it itself (switch_core_set_globals in switch_core.c), and includes use it.
        variables.insert("conf_dir".to_owned(), root.to_string_lossy().into_owned());
        Self { root: root.to_owned(), variables, count: 0, reading: Vec::new(), refused: Vec::new() }
    }

    /// The whole configuration: `freeswitch.xml` with what it includes, or the folders `directory` and `dialplan`.
    ///
    /// # Errors
    ///
    /// There is no configuration, its main file can't be read, or it is too large.
    pub fn read(&mut self) -> Result<Node, TreeError> {
        fs::read_dir(&self.root).map_err(|error| TreeError::Io(self.root.clone(), error))?;
        let main = self.root.join("freeswitch.xml");
        let mut all = Node::default();
        if main.is_file() {
            fs::File::open(&main).map_err(|error| TreeError::Io(main.clone(), error))?;
            all = self.file(&main, 0)?;
        } else {
            let mut found = false;
            for folder in ["directory", "dialplan"] {
                let mut section = Node { name: "section".into(), ..Node::default() };
                section.attributes.push(("name".into(), folder.into()));
                if self.root.join(folder).is_dir() {
                    found = true;
                    let root = self.root.clone();
                    self.include(&root, &format!("{folder}/*.xml"), "", 0, &mut section)?;
                }
                all.children.push(section);
            }
            if !found {
                return Err(TreeError::NoConfiguration { folder: self.root.clone(), hint: self.hint() });
            }
        }
        if all.all("user").is_empty() && all.all("extension").is_empty() {
            return Err(TreeError::Empty(self.root.clone()));
        }
        Ok(all)
    }

    /// Names folders nearby that have a configuration.
    fn hint(&self) -> String {
        let usual = ["/etc/freeswitch", "/usr/local/freeswitch/conf", "/usr/local/freeswitch/etc/freeswitch"];
        let close = fs::read_dir(&self.root).into_iter().flatten().flatten().map(|entry| entry.path());
        let candidates = close.chain(usual.into_iter().map(PathBuf::from));
        let mut found = Vec::new();
        for folder in candidates.take(1000) {
            let is_one = folder.join("freeswitch.xml").is_file()
                || (folder.join("directory").is_dir() && folder.join("dialplan").is_dir());
            let name = folder.display().to_string();
            if is_one && !found.contains(&name) {
                found.push(name);
            }
        }
        if found.is_empty() { String::new() } else { format!(". There is one in {}", found.join(", ")) }
    }

    fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    fn file(&mut self, path: &Path, depth: usize) -> Result<Node, TreeError> {
        self.count += 1;
        if self.count > MOST_FILES {
            return Err(TreeError::TooMuch);
        }
        let inside = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let place = self.reading.last().map_or_else(|| self.short(path), |by| self.short(by));
        if self.reading.contains(&inside) {
            self.refused.push(format!(
                "{place} includes {}, which is being read already: it is not read again",
                self.short(path)
            ));
            return Ok(Node::default());
        }
        if depth > MOST_DEPTH {
            self.refused.push(format!(
                "{place} includes {}, but is included {MOST_DEPTH} deep itself: it is not read",
                self.short(path)
            ));
            return Ok(Node::default());
        }
        self.reading.push(inside);
        let node = self.content(path, depth);
        self.reading.pop();
        node
    }

    fn content(&mut self, path: &Path, depth: usize) -> Result<Node, TreeError> {
        let short: Arc<str> = self.short(path).into();
        let read = fs::metadata(path)
            .and_then(|found| if found.len() > MOST_BYTES { Ok(None) } else { fs::read(path).map(Some) });
        let bytes = match read {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.refused.push(format!("{short} has more than 8 MiB: it is not read"));
                return Ok(Node::default());
            }
            Err(error) => {
                self.refused.push(format!("{short} can't be read: {error}"));
                return Ok(Node::default());
            }
        };
        let Ok(text) = table_file::text(&bytes) else {
            self.refused.push(format!("{short} is not XML"));
            return Ok(Node::default());
        };
        let mut reader = Reader::from_str(&text);
        // Comments of the stock files contain "--", which FreeSWITCH accepts.
        reader.config_mut().check_comments = false;
        reader.config_mut().allow_dangling_amp = true;
        let mut at = At { path, file: short, text: &text, offset: 0, line: 1 };
        let mut open = vec![Node::default()];
        let (before, mut has_markup) = (self.refused.len(), false);
        loop {
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    let line = at.line_at(reader.error_position());
                    self.refused.push(format!("{}:{line}: {error}; the rest of the file is ignored", at.file));
                    break;
                }
            };
            let start = at.line_at(reader.buffer_position());
            has_markup |= matches!(event, Event::Start(_) | Event::Empty(_) | Event::Comment(_));
            match event {
                Event::Start(element) => match self.element(&element, &at, start) {
                    Some(node) => open.push(node),
                    None => break,
                },
                Event::Empty(element) => match self.element(&element, &at, start) {
                    Some(node) => self.close(node, &mut open, &at, depth)?,
                    None => break,
                },
                Event::End(_) => {
                    // The reader refuses an end tag without a start tag, so there is one.
                    let node = open.pop().unwrap_or_default();
                    self.close(node, &mut open, &at, depth)?;
                }
                Event::Comment(comment) => self.comment(&comment, &at, start),
                Event::Eof => break,
                _ => {}
            }
        }
        if !has_markup && self.refused.len() == before {
            self.refused.push(format!("{} has no XML element: it is empty, cut off or of another kind", at.file));
        }
        // Elements that are still open were cut off.
        while open.len() > 1 {
            let node = open.pop().unwrap_or_default();
            let name =
                node.attribute("name").or(node.attribute("id")).map(|name| format!(" {name}")).unwrap_or_default();
            let what = format!("{}: <{}>{name} has no end tag", node.place(), node.name);
            if LISTS.contains(&node.name.as_str()) {
                self.refused.push(format!("{what}; its content up to the error is imported"));
                self.close(node, &mut open, &at, depth)?;
            } else {
                self.refused.push(format!("{what}; it is left out"));
            }
        }
        Ok(open.pop().unwrap_or_default())
    }

    /// `None`: the element and the rest of the file can't be read.
    fn element(&mut self, start: &quick_xml::events::BytesStart<'_>, at: &At<'_>, line: usize) -> Option<Node> {
        let name = start.name().0.to_owned();
        let mut attributes: Vec<(String, String)> = Vec::new();
        for attribute in start.attributes().with_checks(false) {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(error) => {
                    self.refused
                        .push(format!("{}:{line}: <{name}>: {error}; the rest of the file is ignored", at.file));
                    return None;
                }
            };
            let key = attribute.key.0.to_owned();
            if attributes.iter().any(|(known, _)| *known == key) {
                self.refused.push(format!("{}:{line}: <{name}> has {key} twice; the first one counts", at.file));
                continue;
            }
            let (value, has_bare) = dereferenced(&attribute.value);
            if has_bare {
                self.refused.push(format!(
                    "{}:{line}: <{name}> has an & in {key} that should be &amp;; it is read as &amp;",
                    at.file
                ));
            }
            attributes.push((key, self.expanded(&value)));
        }
        Some(Node { name, attributes, children: Vec::new(), file: at.file.clone(), line })
    }

    /// Fills in variables. One that is not set stays as written: a switch would replace it by nothing, which would make a different
    /// password.
    fn expanded(&self, value: &str) -> String {
        let mut out = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("$${") {
            out.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                rest = &rest[before.len()..];
                break;
            };
            match self.variables.get(name) {
                Some(value) => out.push_str(value),
                None => out.extend(["$${", name, "}"]),
            }
            rest = behind;
        }
        out + rest
    }

    fn close(&mut self, node: Node, open: &mut [Node], at: &At<'_>, depth: usize) -> Result<(), TreeError> {
        let Some(parent) = open.last_mut() else { return Ok(()) };
        if node.name == "include" {
            parent.children.extend(node.children);
            return Ok(());
        }
        if !node.name.eq_ignore_ascii_case("X-PRE-PROCESS") {
            parent.children.push(node);
            return Ok(());
        }
        let data = node.attribute("data").unwrap_or_default().to_owned();
        match node.attribute("cmd").map(str::to_ascii_lowercase).as_deref() {
            Some("set") => self.set(&data),
            Some("include") => {
                let folder = at.path.parent().unwrap_or(Path::new(".")).to_owned();
                self.include(&folder, &data, &node.place(), depth, parent)?;
            }
            other => self.refused.push(format!("{}: {} was not run", node.place(), other.unwrap_or("a directive"))),
        }
        Ok(())
    }

    fn set(&mut self, data: &str) {
        if let Some((name, value)) = data.split_once('=') {
            self.variables.insert(name.trim_end_matches(' ').to_owned(), value.trim_start_matches(' ').to_owned());
        }
    }

    /// Finds directives in a comment. A switch preprocesses files line by line before it parses comments (`preprocess` in
    /// switch_xml.c), so it runs them.
    fn comment(&mut self, comment: &str, at: &At<'_>, ends: usize) {
        let begins = ends - comment.matches('\n').count();
        for (line, text) in comment.lines().enumerate() {
            let place = format!("{}:{}", at.file, begins + line);
            let (command, data) = if let Some(found) = text.to_ascii_lowercase().find("<x-pre-process") {
                let directive = &text[found..];
                let quoted = |name: &str| {
                    let behind = &directive[directive.to_ascii_lowercase().find(name)? + name.len()..];
                    behind.split('"').nth(1).map(str::to_owned)
                };
                (quoted("cmd").unwrap_or_default(), quoted("data").unwrap_or_default())
            } else if line == 0 && text.starts_with('#') {
                let (command, data) = text[1..].split_once(' ').unwrap_or((&text[1..], ""));
                (command.to_owned(), data.split('"').nth(1).unwrap_or(data).trim().to_owned())
            } else {
                continue;
            };
            if command.eq_ignore_ascii_case("set") {
                let data = self.expanded(&data);
                self.refused.push(format!(
                    "{place}: a comment sets {}, which a switch follows too",
                    data.split('=').next().unwrap_or_default()
                ));
                self.set(&data);
            } else {
                self.refused.push(format!(
                    "{place}: a comment has the directive {command} {data}, which a switch would run; it was not run"
                ));
            }
        }
    }

    /// Includes the files that match a pattern, sorted by name.
    fn include(
        &mut self,
        folder: &Path,
        pattern: &str,
        place: &str,
        depth: usize,
        into: &mut Node,
    ) -> Result<(), TreeError> {
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        if pattern.contains("$${") {
            self.refused.push(format!("{place}{pattern} was not included: its variable is not set"));
            return Ok(());
        }
        if pattern.contains(['[', '{']) {
            self.refused.push(format!("{place}{pattern} was not included: only the wildcards * and ? are supported"));
            return Ok(());
        }
        let Ok(root) = self.root.canonicalize() else { return Ok(()) };
        let mut found = vec![PathBuf::new()];
        let path = folder.join(pattern);
        for part in path.components() {
            let Component::Normal(name) = part else {
                for path in &mut found {
                    path.push(part);
                }
                continue;
            };
            let name = name.to_string_lossy();
            if !name.contains(['*', '?']) {
                for path in &mut found {
                    path.push(&*name);
                }
                continue;
            }
            let mut next = Vec::new();
            for parent in &found {
                let Ok(inside) = parent.canonicalize() else { continue };
                if !inside.starts_with(&root) {
                    self.refused.push(format!("{place}{pattern} was not included: it is outside of the folder"));
                    return Ok(());
                }
                let entries = fs::read_dir(&inside).into_iter().flatten().flatten();
                let fitting = entries.filter(|entry| {
                    let file = entry.file_name();
                    file.to_str().is_some_and(|file| fits(name.as_bytes(), file.as_bytes()) && !file.starts_with('.'))
                });
                next.extend(fitting.map(|entry| parent.join(entry.file_name())));
            }
            next.sort();
            found = next;
        }
        for file in found {
            let Ok(inside) = file.canonicalize() else {
                self.refused.push(format!("{place}{pattern} was not found"));
                continue;
            };
            if !inside.starts_with(&root) {
                self.refused.push(format!("{place}{pattern} was not included: it is outside of the folder"));
                continue;
            }
            if inside.is_file() {
                into.children.extend(self.file(&file, depth + 1)?.children);
            }
        }
        Ok(())
    }
}

/// The file that is being read, and the position in it.
struct At<'a> {
    path: &'a Path,
    file: Arc<str>,
    text: &'a str,
    offset: usize,
    line: usize,
}

impl At<'_> {
    /// The line of a position. Positions must not decrease from call to call.
    fn line_at(&mut self, position: u64) -> usize {
        let position = usize::try_from(position).unwrap_or(usize::MAX).min(self.text.len());
        if let Some(passed) = self.text.as_bytes().get(self.offset..position) {
            self.line += memchr::memchr_iter(b'\n', passed).count();
            self.offset = position;
        }
        self.line
    }
}

/// A value with its references replaced, and whether it has an `&` that begins no reference.
fn dereferenced(value: &str) -> (String, bool) {
    let (mut out, mut has_bare) = (String::new(), false);
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.find(';').filter(|end| *end <= 10);
        let reference = |end: usize| &rest[before.len()..before.len() + end + 2];
        let meant = end.and_then(|end| Some((quick_xml::escape::unescape(reference(end)).ok()?, end)));
        if let Some((text, end)) = meant {
            out.push_str(&text);
            rest = &after[end + 1..];
        } else {
            out.push('&');
            has_bare = true;
            rest = after;
        }
    }
    (out + rest, has_bare)
}

/// Whether a name matches a pattern with `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        (Some((b'?', pattern)), Some((_, name))) => fits(pattern, name),
        (Some((wanted, pattern)), Some((byte, name))) => wanted == byte && fits(pattern, name),
        _ => false,
    }
}
