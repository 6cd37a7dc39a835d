//! Static FreeSWITCH files as a tree, with their includes and variables, and nothing of them run.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use quick_xml::{Reader, events::Event};

const MOST_FILES: usize = 5000;
const MOST_BYTES: u64 = 8 << 20;
const MOST_DEPTH: usize = 20;

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
}

impl Node {
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Elements of a name, at any depth.
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
}

/// Why files can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("{0} can't be read: {1}")]
    Io(PathBuf, io::Error),
    #[error("{0} is not well-formed: {1}")]
    Xml(PathBuf, String),
    #[error("more than {MOST_FILES} files, or includes {MOST_DEPTH} deep")]
    TooMuch,
}

/// Reads a tree of files.
pub struct Files {
    root: PathBuf,
    variables: HashMap<String, String>,
    count: usize,
    /// What was not done: commands that a switch would run, files outside of the folder.
    pub refused: Vec<String>,
}

impl Files {
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), variables: HashMap::new(), count: 0, refused: Vec::new() }
    }

    /// The whole configuration: `freeswitch.xml` with what it includes, or the folders `directory` and `dialplan`.
    pub fn read(&mut self) -> Result<Node, TreeError> {
        let main = self.root.join("freeswitch.xml");
        if main.is_file() {
            return self.file(&main, 0);
        }
        let mut all = Node::default();
        for pattern in ["directory/*.xml", "dialplan/*.xml"] {
            let root = self.root.clone();
            self.include(&root, pattern, 0, &mut all)?;
        }
        Ok(all)
    }

    fn file(&mut self, path: &Path, depth: usize) -> Result<Node, TreeError> {
        self.count += 1;
        if self.count > MOST_FILES || depth > MOST_DEPTH {
            return Err(TreeError::TooMuch);
        }
        let failed = |error| TreeError::Io(path.to_owned(), error);
        if fs::metadata(path).map_err(failed)?.len() > MOST_BYTES {
            return Err(TreeError::TooMuch);
        }
        let text = String::from_utf8_lossy(&fs::read(path).map_err(failed)?).into_owned();
        let wrong = |error: &dyn std::fmt::Display| TreeError::Xml(path.to_owned(), error.to_string());
        let mut reader = Reader::from_str(&text);
        // Comments of the stock files hold "--", which FreeSWITCH lets pass here.
        reader.config_mut().check_comments = false;
        let mut open = vec![Node::default()];
        loop {
            match reader.read_event().map_err(|error| wrong(&error))? {
                Event::Start(start) => {
                    let node = self.element(&start).map_err(|error| wrong(&error))?;
                    open.push(node);
                }
                Event::Empty(start) => {
                    let node = self.element(&start).map_err(|error| wrong(&error))?;
                    self.close(node, &mut open, path, depth)?;
                }
                Event::End(_) => {
                    // The reader refuses an end without its start.
                    let node = open.pop().unwrap_or_default();
                    self.close(node, &mut open, path, depth)?;
                }
                Event::Eof => break,
                _ => {}
            }
        }
        open.into_iter().next().ok_or_else(|| wrong(&"an element is not closed"))
    }

    fn element(&self, start: &quick_xml::events::BytesStart<'_>) -> Result<Node, String> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = quick_xml::escape::unescape(&attribute.value).map_err(|error| error.to_string())?;
            attributes.push((attribute.key.0.to_owned(), self.expanded(&value)));
        }
        Ok(Node { name: start.name().0.to_owned(), attributes, children: Vec::new() })
    }

    fn expanded(&self, value: &str) -> String {
        let mut out = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("$${") {
            out.push_str(before);
            let Some((name, behind)) = after.split_once('}') else { break };
            out.push_str(self.variables.get(name).map_or("", String::as_str));
            rest = behind;
        }
        out + rest
    }

    fn close(&mut self, node: Node, open: &mut [Node], path: &Path, depth: usize) -> Result<(), TreeError> {
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
        match node.attribute("cmd") {
            Some("set") => {
                if let Some((name, value)) = data.split_once('=') {
                    self.variables.insert(name.to_owned(), value.to_owned());
                }
                Ok(())
            }
            Some("include") => {
                let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
                let mut included = Node::default();
                self.include(&folder, &data, depth, &mut included)?;
                parent.children.extend(included.children);
                Ok(())
            }
            other => {
                self.refused.push(format!("{}: {} is not run", path.display(), other.unwrap_or("a directive")));
                Ok(())
            }
        }
    }

    /// The files that a pattern names, `*` in the last part alone, in the order of their names.
    fn include(&mut self, folder: &Path, pattern: &str, depth: usize, into: &mut Node) -> Result<(), TreeError> {
        let path = folder.join(pattern);
        let (parent, name) = (path.parent().unwrap_or(folder).to_owned(), path.file_name().unwrap_or_default());
        let name = name.to_string_lossy().into_owned();
        let Ok(inside) = parent.canonicalize() else { return Ok(()) };
        if !self.root.canonicalize().is_ok_and(|root| inside.starts_with(root)) {
            self.refused.push(format!("{pattern} is outside of the folder"));
            return Ok(());
        }
        let fits = |file: &str| match name.split_once('*') {
            Some((before, after)) => {
                file.len() >= before.len() + after.len() && file.starts_with(before) && file.ends_with(after)
            }
            None => file == name,
        };
        let entries = fs::read_dir(&inside).map_err(|error| TreeError::Io(inside.clone(), error))?;
        let mut files = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_str().is_some_and(fits) && entry.path().is_file())
            .map(|entry| entry.path())
            .collect::<Vec<_>>();
        files.sort();
        for file in files {
            into.children.extend(self.file(&file, depth + 1)?.children);
        }
        Ok(())
    }
}
