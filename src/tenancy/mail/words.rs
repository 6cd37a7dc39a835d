//! The wording of mails, in each language.

use super::Message;
use crate::model::language::Language;

/// What a letter says, before it has a form.
pub struct Words {
    pub subject: String,
    pub greeting: String,
    pub paragraphs: Vec<String>,
    pub button: Option<Button>,
    pub closing: Vec<String>,
}

pub struct Button {
    pub label: &'static str,
    pub link: String,
}

/// What a message says.
pub fn of(message: &Message<'_>, language: Language) -> Words {
    match language {
        Language::En => english(message),
        Language::De => german(message),
    }
}

/// A name that is safe in a mail to an unconfirmed address. Strangers choose names, and with a web address in one they could
/// make us send their link. `None` if it contains an address or a line break. (Whoever changes a password has confirmed theirs.)
fn harmless(name: &str) -> Option<&str> {
    // Some programs take other dots for a dot (RFC 3490, section 3.1), and wide letters for letters.
    let is_wide =
        name.chars().any(|c| matches!(c, '\u{3002}' | '\u{ff00}'..='\u{ff64}' | '\u{2024}' | '\u{2044}' | '\u{2215}'));
    let lower = name.to_lowercase();
    let dotted = name.split(|c: char| c.is_whitespace() || c == ',' || c == '(' || c == ')').any(|word| {
        let parts = word.trim_end_matches('.').split('.').collect::<Vec<_>>();
        // `J.R.` and `St.` are names, `evil.example` is not.
        let names_host = parts.last().is_some_and(|last| last.chars().take_while(|c| c.is_alphabetic()).count() > 1);
        let is_address = parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok());
        parts.len() > 1 && (names_host || is_address)
    });
    let marks = ["://", "www", "/", "@", ":"].iter().any(|mark| lower.contains(mark));
    (!dotted && !marks && !is_wide && !name.chars().any(char::is_control)).then_some(name)
}

/// A company's name that is safe in a mail. It may be a domain, as many companies are named after theirs.
fn company(name: &str) -> Option<&str> {
    harmless(name).or_else(|| crate::text::Domain::parse(name).ok().map(|_| name))
}

fn button(label: &'static str, link: &str) -> Button {
    Button { label, link: link.to_owned() }
}

fn english(message: &Message<'_>) -> Words {
    let hello = |name: &str| harmless(name).map_or("Hello,".to_owned(), |name| format!("Hello {name},"));
    match message {
        Message::Welcome { name, tenant, link } => Words {
            subject: company(tenant).map_or("Your telephone account".into(), |at| format!("Your telephone account at {at}")),
            greeting: hello(name),
            paragraphs: vec![
                company(tenant).map_or("You have a telephone account. Choose a password to get started.".into(), |at| {
                    format!("You have a telephone account at {at}. Choose a password to get started.")
                }),
                "Once you are signed in, you find your extensions and the settings for your phone there.".into(),
            ],
            button: Some(button("Choose a password", link)),
            closing: vec!["The link works once, for 7 days. If you did not expect this mail, you can ignore it.".into()],
        },
        Message::VerifyEmail { name, link } => Words {
            subject: "Confirm your e-mail address".into(),
            greeting: hello(name),
            paragraphs: vec!["Confirm that this address is yours, and your account is ready.".into()],
            button: Some(button("Confirm the address", link)),
            closing: vec!["The link works once, for a day. If you did not sign up, you can ignore this mail.".into()],
        },
        Message::ResetPassword { name, link } => Words {
            subject: "Set a new password".into(),
            greeting: hello(name),
            paragraphs: vec!["Somebody asked for a new password for your account. If that was you:".into()],
            button: Some(button("Set a new password", link)),
            closing: vec!["The link works once, for one hour. If it was not you, your password stays as it is.".into()],
        },
        Message::PasswordChanged { name } => Words {
            subject: "Your password was changed".into(),
            greeting: format!("Hello {name},"),
            paragraphs: vec![
                "The password of your account was just changed, and you were signed out everywhere else.".into(),
                "If that was not you, request a new password at once and tell your administrator.".into(),
            ],
            button: None,
            closing: vec![],
        },
        Message::AddressTaken { sign_in_link, forgot_link } => Words {
            subject: "You already have an account".into(),
            greeting: "Hello,".into(),
            paragraphs: vec![
                "Somebody signed up with this address, which already has an account. Nothing was changed.".into(),
                format!("To sign in: {sign_in_link}"),
                "If you forgot your password:".into(),
            ],
            button: Some(button("Set a new password", forgot_link)),
            closing: vec!["If it was not you, you can ignore this mail.".into()],
        },
        Message::SignInLocked { name } => Words {
            subject: "Somebody tried to sign in to your account".into(),
            greeting: hello(name),
            paragraphs: vec![
                "Somebody tried several times to sign in to your account with a wrong password. Sign-in is now locked for a while, longer each time.".into(),
                "If that was you, wait a moment and try again, or request a new password. If not, your account is safe as long as nobody knows your password.".into(),
            ],
            button: None,
            closing: vec![],
        },
        Message::DomainChanged { name, tenant, from, to, until } => Words {
            subject: format!("Your telephone's domain is now {to}"),
            greeting: hello(name),
            paragraphs: vec![
                company(tenant).map_or(format!("The domain of your telephone was changed from {from} to {to}."), |at| {
                    format!("The domain of the telephones at {at} was changed from {from} to {to}.")
                }),
                until.map_or(format!("Phones that are set to {from} no longer work."), |until| {
                    format!("Phones that are set to {from} still work until {until}.")
                }),
                format!("In your phone's settings, replace the domain (also called server or registrar) by {to}. The user name and the password stay as they are. You find all of them in your account."),
            ],
            button: None,
            closing: vec![],
        },
        Message::EmergencyCall { number, extension, location } => Words {
            subject: format!("Emergency call to {number}"),
            greeting: "Hello,".into(),
            paragraphs: vec![
                format!("Extension {extension} has just called {number}."),
                format!("The address on file is: {location}"),
            ],
            button: None,
            closing: vec!["You get this mail because you are an emergency contact.".into()],
        },
        Message::UsageAlert { name, measure, percent, used, most, month } => Words {
            subject: format!("{percent} % of this month's limit: {measure}"),
            greeting: hello(name),
            paragraphs: vec![
                format!("In {month}, your company has used {used} of {most} ({measure})."),
                "Nothing is switched off because of it. You find all figures and the limits on the page \"Usage\".".into(),
            ],
            button: None,
            closing: vec!["You get this mail once a month for each limit at 80 %, and once at 100 %, because you administer the company's telephones.".into()],
        },
        Message::Report { name, report, since, until, calls, before, answered, in_time, .. } => Words {
            subject: format!("{}: {}", titled(report, "Report"), span(since, until, "to")),
            greeting: hello(name),
            paragraphs: vec![
                format!("From {since} to {until}, there were {calls} calls, after {before} in the time before. {answered} of them were answered."),
                format!("Service level (answered within 20 seconds): {in_time}. The whole report is attached as a table."),
            ],
            button: None,
            closing: vec!["You get this mail because you are named for this report in your company's settings.".into()],
        },
    }
}

fn german(message: &Message<'_>) -> Words {
    let hello = |name: &str| harmless(name).map_or("Guten Tag,".to_owned(), |name| format!("Guten Tag {name},"));
    match message {
        Message::Welcome { name, tenant, link } => Words {
            subject: company(tenant).map_or("Ihr Telefonkonto".into(), |bei| format!("Ihr Telefonkonto bei {bei}")),
            greeting: hello(name),
            paragraphs: vec![
                company(tenant).map_or("für Sie wurde ein Konto angelegt. Wählen Sie ein Passwort, um zu beginnen.".into(), |bei| {
                    format!("bei {bei} wurde ein Konto für Sie angelegt. Wählen Sie ein Passwort, um zu beginnen.")
                }),
                "Ihre Nebenstellen und die Einstellungen für Ihr Telefon sehen Sie, sobald Sie angemeldet sind.".into(),
            ],
            button: Some(button("Passwort wählen", link)),
            closing: vec![
                "Der Link gilt einmal, 7 Tage lang. Wenn Sie diese Mail nicht erwartet haben, können Sie sie ignorieren.".into(),
            ],
        },
        Message::VerifyEmail { name, link } => Words {
            subject: "Bestätigen Sie Ihre E-Mail-Adresse".into(),
            greeting: hello(name),
            paragraphs: vec!["bestätigen Sie, dass diese Adresse Ihnen gehört, dann ist Ihr Konto bereit.".into()],
            button: Some(button("Adresse bestätigen", link)),
            closing: vec!["Der Link gilt einmal, einen Tag lang. Wenn Sie sich nicht registriert haben, können Sie diese Mail ignorieren.".into()],
        },
        Message::ResetPassword { name, link } => Words {
            subject: "Neues Passwort setzen".into(),
            greeting: hello(name),
            paragraphs: vec!["für Ihr Konto wurde ein neues Passwort angefordert. Wenn Sie das waren:".into()],
            button: Some(button("Neues Passwort setzen", link)),
            closing: vec!["Der Link gilt einmal, eine Stunde lang. Wenn Sie es nicht waren, bleibt Ihr Passwort, wie es ist.".into()],
        },
        Message::PasswordChanged { name } => Words {
            subject: "Ihr Passwort wurde geändert".into(),
            greeting: format!("Guten Tag {name},"),
            paragraphs: vec![
                "das Passwort Ihres Kontos wurde soeben geändert, und Sie wurden überall sonst abgemeldet.".into(),
                "Wenn Sie das nicht waren, fordern Sie sofort ein neues Passwort an und sagen Sie es Ihrer Verwaltung.".into(),
            ],
            button: None,
            closing: vec![],
        },
        Message::AddressTaken { sign_in_link, forgot_link } => Words {
            subject: "Sie haben bereits ein Konto".into(),
            greeting: "Guten Tag,".into(),
            paragraphs: vec![
                "jemand hat sich mit dieser Adresse registriert, zu der es bereits ein Konto gibt. Es wurde nichts geändert.".into(),
                format!("Zur Anmeldung: {sign_in_link}"),
                "Wenn Sie Ihr Passwort nicht mehr wissen:".into(),
            ],
            button: Some(button("Neues Passwort setzen", forgot_link)),
            closing: vec!["Wenn Sie es nicht waren, können Sie diese Mail ignorieren.".into()],
        },
        Message::SignInLocked { name } => Words {
            subject: "Jemand wollte sich bei Ihrem Konto anmelden".into(),
            greeting: hello(name),
            paragraphs: vec![
                "mehrmals wurde versucht, sich mit einem falschen Passwort bei Ihrem Konto anzumelden. Es ist für eine Weile gesperrt, jedes Mal länger.".into(),
                "Wenn Sie das waren, warten Sie einen Moment und versuchen Sie es noch einmal, oder fordern Sie ein neues Passwort an. Wenn nicht, ist Ihr Konto sicher, solange niemand Ihr Passwort kennt.".into(),
            ],
            button: None,
            closing: vec![],
        },
        Message::DomainChanged { name, tenant, from, to, until } => Words {
            subject: format!("Die Domain Ihres Telefons ist jetzt {to}"),
            greeting: hello(name),
            paragraphs: vec![
                company(tenant).map_or(format!("die Domain Ihres Telefons wurde von {from} in {to} geändert."), |bei| {
                    format!("die Domain der Telefone bei {bei} wurde von {from} in {to} geändert.")
                }),
                until.map_or(format!("Telefone, die auf {from} eingestellt sind, funktionieren nicht mehr."), |until| {
                    format!("Telefone, die auf {from} eingestellt sind, funktionieren noch bis {until}.")
                }),
                format!("Ersetzen Sie in den Einstellungen Ihres Telefons die Domain (auch Server oder Registrar genannt) durch {to}. Benutzername und Passwort bleiben gleich. Sie finden alle Angaben in Ihrem Konto."),
            ],
            button: None,
            closing: vec![],
        },
        Message::EmergencyCall { number, extension, location } => Words {
            subject: format!("Notruf an {number}"),
            greeting: "Guten Tag,".into(),
            paragraphs: vec![
                format!("soeben wurde von Nebenstelle {extension} der Notruf {number} gewählt."),
                format!("Die hinterlegte Adresse ist: {location}"),
            ],
            button: None,
            closing: vec!["Sie erhalten diese Nachricht als Kontakt für Notfälle.".into()],
        },
        Message::UsageAlert { name, measure, percent, used, most, month } => Words {
            subject: format!("{percent} % der Grenze dieses Monats: {measure}"),
            greeting: hello(name),
            paragraphs: vec![
                format!("Ihr Unternehmen hat im Monat {month} {used} von {most} verbraucht ({measure})."),
                "Deswegen wird nichts abgeschaltet. Alle Zahlen und die Grenzen finden Sie auf der Seite „Verbrauch“.".into(),
            ],
            button: None,
            closing: vec!["Sie erhalten diese Mail für jede Grenze einmal im Monat bei 80 % und einmal bei 100 %, weil Sie die Telefone des Unternehmens verwalten.".into()],
        },
        Message::Report { name, report, since, until, calls, before, answered, in_time, .. } => Words {
            subject: format!("{}: {}", titled(report, "Bericht"), span(since, until, "bis")),
            greeting: hello(name),
            paragraphs: vec![
                format!("Vom {since} bis {until} gab es {calls} Anrufe, nach {before} in der Zeit davor. Angenommen wurden {answered}."),
                format!("Servicelevel (innerhalb von 20 Sekunden angenommen): {in_time}. Der ganze Bericht hängt als Tabelle an."),
            ],
            button: None,
            closing: vec!["Sie erhalten diese Mail, weil Sie in den Einstellungen Ihres Unternehmens für diesen Bericht genannt sind.".into()],
        },
    }
}

/// What a subject begins with: the report's name, as far as it fits.
fn titled(report: &str, usual: &str) -> String {
    harmless(report).map_or_else(|| usual.to_owned(), |report| report.chars().take(40).collect())
}

fn span(since: &str, until: &str, to: &str) -> String {
    if since == until { since.to_owned() } else { format!("{since} {to} {until}") }
}
