//! The parser's result: the parts of `struct switch_xml` that are used.

use super::text;

/// An element. Equality ignores character data, because answers have none and writing adds indentation.
#[derive(Debug, Clone, Default)]
pub struct Element {
    pub name: Vec<u8>,
    /// A value is `None` if there is none, or it is not in quotes.
    pub attributes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub text: Vec<u8>,
    pub children: Vec<Element>,
    /// How much of the parent's character data comes before it.
    pub offset: usize,
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.attributes == other.attributes && self.children == other.children
    }
}

impl Element {
    pub fn name(&self) -> String {
        text(&self.name)
    }

    /// `switch_xml_attr`: the first attribute with that name.
    pub fn bytes_of(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.attributes.iter().find(|(known, _)| known == name.as_bytes())?;
        Some(value.as_deref().unwrap_or_default())
    }

    pub fn attribute(&self, name: &str) -> Option<String> {
        self.bytes_of(name).map(text)
    }

    /// The children with that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name.as_bytes())
    }

    /// `switch_xml_child`: the first child with that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name.as_bytes())
    }

    /// The first element on the path of these names.
    pub fn down(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// This element and all its descendants.
    pub fn everything(&self) -> Vec<&Element> {
        std::iter::once(self).chain(self.children.iter().flat_map(Element::everything)).collect()
    }

    /// `name` and `value` of the children of a container: a user's `params/param`, `variables/variable`.
    pub fn pairs(&self, container: &str, tag: &str) -> Vec<(String, String)> {
        let Some(container) = self.child(container) else { return Vec::new() };
        let pair = |element: &Element| {
            (element.attribute("name").unwrap_or_default(), element.attribute("value").unwrap_or_default())
        };
        container.all(tag).map(pair).collect()
    }
}
