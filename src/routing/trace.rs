//! Why a call goes where it goes: each rule that was tried, and whether it matched.

/// One rule that was tried.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Tried {
    pub rule: &'static str,
    pub matched: bool,
    pub detail: String,
}

/// The rules tried so far. A trace that is off costs nothing.
#[derive(Debug, Default)]
pub struct Trace {
    tried: Option<Vec<Tried>>,
}

impl Trace {
    #[must_use]
    pub fn off() -> Self {
        Self { tried: None }
    }

    #[must_use]
    pub fn on() -> Self {
        Self { tried: Some(Vec::new()) }
    }

    pub fn note(&mut self, rule: &'static str, matched: bool, detail: impl FnOnce() -> String) {
        if let Some(tried) = &mut self.tried {
            tried.push(Tried { rule, matched, detail: detail() });
        }
    }

    #[must_use]
    pub fn tried(self) -> Vec<Tried> {
        self.tried.unwrap_or_default()
    }
}
