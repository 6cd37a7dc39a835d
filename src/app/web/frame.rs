//! What stands around every page: the bar and the navigation above it, the way to it, the foot below it. They are templates of their own,
//! which the compiler reads once; inherited, they would be compiled again with each page.

use askama::Template;

use super::Shell;

/// From the beginning of the body to the page's own part.
#[derive(Template)]
#[template(path = "web/frame/top.html")]
struct Top<'a> {
    s: &'a Shell,
}

/// What the page's own part begins with: the tenant that the visitor is in, the way to this page, what was just done.
#[derive(Template)]
#[template(path = "web/frame/above.html")]
struct Above<'a> {
    s: &'a Shell,
}

/// From the end of the page's own part to the end of the body.
#[derive(Template)]
#[template(path = "web/frame/foot.html")]
struct Foot<'a> {
    s: &'a Shell,
}

impl Shell {
    #[must_use]
    pub fn top(&self) -> impl Template + '_ {
        Top { s: self }
    }

    #[must_use]
    pub fn above(&self) -> impl Template + '_ {
        Above { s: self }
    }

    #[must_use]
    pub fn foot(&self) -> impl Template + '_ {
        Foot { s: self }
    }
}
