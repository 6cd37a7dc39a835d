//! A rendered mail: subject, text and HTML.

use askama::Template;
use serde::{Deserialize, Serialize};

use super::{
    Message,
    words::{self, Button},
};
use crate::model::language::Language;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    pub subject: String,
    pub text: String,
    pub html: String,
    // Mails that were queued by an earlier version have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
}

/// A table that comes with a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What its file is called.
    pub name: String,
    pub csv: String,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'a> {
    language: &'static str,
    subject: &'a str,
    greeting: &'a str,
    paragraphs: &'a [String],
    button: Option<&'a Button>,
    closing: &'a [String],
    signature: &'static str,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Text<'a> {
    greeting: &'a str,
    paragraphs: Vec<String>,
    button: Option<&'a Button>,
    closing: Vec<String>,
    signature: &'static str,
}

impl Letter {
    pub fn render(message: &Message<'_>, language: Language) -> Result<Self, askama::Error> {
        let words = words::of(message, language);
        let signature = "Dialplane";
        let html = Html {
            language: language.code(),
            subject: &words.subject,
            greeting: &words.greeting,
            paragraphs: &words.paragraphs,
            button: words.button.as_ref(),
            closing: &words.closing,
            signature,
        };
        let text = Text {
            greeting: &words.greeting,
            paragraphs: words.paragraphs.iter().map(|paragraph| wrapped(paragraph)).collect(),
            button: words.button.as_ref(),
            closing: words.closing.iter().map(|paragraph| wrapped(paragraph)).collect(),
            signature,
        };
        let attachment = message.attachment();
        Ok(Self { html: html.render()?, text: text.render()?, subject: words.subject, attachment })
    }
}

/// Breaks lines before column 76, as usual in text mails. A long word stays whole.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > 76 {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://pbx.test/reset?token=dpo_secret";

    fn all(name: &'static str) -> Vec<Message<'static>> {
        vec![
            Message::Welcome { name, tenant: name, link: LINK },
            Message::VerifyEmail { name, link: LINK },
            Message::ResetPassword { name, link: LINK },
            Message::PasswordChanged { name },
            Message::AddressTaken { sign_in_link: "https://pbx.test/sign-in", forgot_link: LINK },
            Message::SignInLocked { name },
            Message::EmergencyCall { number: "112", extension: name, location: name },
            Message::UsageAlert { name, measure: "calls", percent: 80, used: "80", most: "100", month: "2026-11" },
            Message::Report {
                name,
                report: name,
                since: "2026-11-16",
                until: "2026-11-22",
                calls: "120",
                before: "100",
                answered: "83.3 %",
                in_time: "90.0 %",
                file: "report-2026-11-16.csv",
                table: "key,calls\n",
            },
        ]
    }

    #[test]
    fn every_message_says_its_link_once_in_both_forms_and_languages() {
        for language in [Language::En, Language::De] {
            for message in all("Ada") {
                let letter = Letter::render(&message, language).unwrap();
                let plain = ["password_changed", "sign_in_locked", "emergency_call", "usage_alert", "report"];
                let links = usize::from(!plain.contains(&message.template()));
                for form in [&letter.text, &letter.html] {
                    assert_eq!(form.matches(LINK).count(), links, "{} {language:?}: {form}", message.template());
                    assert!(!form.contains("{{") && !form.contains("{%"), "{form}");
                }
                let long = letter.text.lines().find(|line| line.chars().count() > 76 && !line.contains("https://"));
                assert_eq!(long, None);
                assert!(letter.subject.chars().count() < 78, "{}", letter.subject);
                assert!(letter.html.contains(&format!("lang=\"{}\"", language.code())));
            }
        }
    }

    #[test]
    fn names_that_strangers_choose_carry_no_links() {
        for name in [
            "Visit http://evil.example/win now",
            "www.evil.example",
            "WWW.evil.example",
            "evil.example",
            "Win at evil.example/now",
            "mail me@evil.example",
            "javascript:alert(1)",
            "Ada\r\nBcc: x",
            "call tel:+4912345",
            "win at 192.0.2.66",
            "evil\u{3002}example",
            "evil\u{ff0e}example",
            "www evil",
            "http:\u{2215}\u{2215}evil",
        ] {
            for language in [Language::En, Language::De] {
                for message in [
                    Message::Welcome { name, tenant: "Win at evil.example/now", link: LINK },
                    Message::VerifyEmail { name, link: LINK },
                    Message::ResetPassword { name, link: LINK },
                    Message::SignInLocked { name },
                ] {
                    let letter = Letter::render(&message, language).unwrap();
                    let whole = [&*letter.subject, &*letter.text, &*letter.html].concat();
                    for part in ["evil", "javascript", "Bcc", "tel:", "192.0.2"] {
                        assert!(!whole.contains(part), "{name}: {whole}");
                    }
                }
            }
        }
        for name in ["Ada", "J.R. Smith", "St. John", "Ph.D Ada", "Dr. O Neil Jr.", "Åsa Öst"] {
            let letter = Letter::render(&Message::VerifyEmail { name, link: LINK }, Language::En).unwrap();
            assert!(letter.text.contains(&format!("Hello {name},")), "{name}: {}", letter.text);
        }
        let welcome = Message::Welcome { name: "Ada", tenant: "acme.test", link: LINK };
        assert!(Letter::render(&welcome, Language::En).unwrap().text.contains("at acme.test."));
    }

    #[test]
    fn names_are_text() {
        let name = "<b>Ada</b> & \"Eve\"";
        for message in all(name) {
            let letter = Letter::render(&message, Language::De).unwrap();
            assert!(!letter.html.contains("<b>"), "{}", letter.html);
        }
        let letter = Letter::render(&Message::PasswordChanged { name }, Language::En).unwrap();
        assert!(letter.text.contains(name) && letter.html.contains("&#60;b&#62;Ada"), "{}", letter.html);
    }
}
