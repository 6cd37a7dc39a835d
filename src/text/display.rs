//! Text that people see and that passes through a switch.

use super::{Code, TextError, text_column, text_type};

text_type!(
    /// The name of an extension, as phones and pages show it. Any script is allowed, but no character that FreeSWITCH acts on.
    DisplayName, parse_display_name, "Ada Lovelace"
);
text_type!(
    /// The name part of a caller id.
    CallerName, parse_display_name, "Acme Sales"
);
text_type!(
    /// The address that voicemail is sent to. It becomes part of a mail command on the switch, so it has no quotes and no shell
    /// characters.
    Email, parse_email, "ada@acme.example"
);
impl DisplayName {
    /// The name as a dial string can hold it: letters, digits, and few other characters. Perhaps nothing is left.
    #[must_use]
    pub fn in_dial_string(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { ' ' };
        self.as_str().chars().map(plain).collect::<String>().trim().to_owned()
    }
}

text_column!(DisplayName, CallerName, Email);

/// Characters that display text must not have, because they mean something to a switch:
/// `$ { } \ %` in expansion, `< > &` in markup (`switch_xml_ampencode` writes `<!` unescaped), `" '` and `;` in SIP headers,
/// `` ` | ^ `` in shells and dial strings, `[ ]` around leg variables.
pub(super) fn is_active(c: char) -> bool {
    matches!(c, '$' | '{' | '}' | '\\' | '%' | '<' | '>' | '&' | '"' | '\'' | ';' | '`' | '|' | '^' | '[' | ']')
}

/// Active characters that names need, as in O'Brien and AT&T. They are safe: they are written as references in XML; a switch sets
/// the directory's variables unchanged (`switch_channel_set_variable` in `sofia_handle_sip_i_invite`, sofia.c), hands the name to
/// the other leg unchanged (`user_outgoing_channel` in mod_dptools.c; an event of mod_callcenter.c), and doubles `'` in its SQL
/// (`%q`, etSQLESCAPE in switch_mprintf.c). Our dial strings and arguments never contain a name. tests/live/names.rs tests them.
pub(super) fn is_of_names(c: char) -> bool {
    matches!(c, '\'' | '&')
}

/// Characters that are invisible or reorder the text around them.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}' | '\u{e0000}'..='\u{e0fff}')
        || (c as u32) & 0xfffe == 0xfffe
}

/// Refuses a word, in upper or lower case, for which FreeSWITCH drops the whole line (`preprocess()` in switch_xml.c).
pub(super) fn no_directive(text: &str) -> Result<(), TextError> {
    if text.to_ascii_lowercase().contains("x-pre-process") {
        return Err(TextError(Code::HoldsDirective));
    }
    Ok(())
}

pub(super) fn parse_display_name(text: &str) -> Result<String, TextError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 80 {
        return Err(TextError(Code::NameLength));
    }
    if name.chars().any(is_invisible) {
        return Err(TextError(Code::InvisibleCharacters));
    }
    if name.chars().any(|c| is_active(c) && !is_of_names(c)) {
        return Err(TextError(Code::ForbiddenCharacters));
    }
    no_directive(name)?;
    Ok(name.to_owned())
}

fn parse_email(text: &str) -> Result<String, TextError> {
    const WHAT: TextError = TextError(Code::NotAnEmail);
    let (local, domain) = text.split_once('@').ok_or(WHAT)?;
    let local_is_fine = (1..=64).contains(&local.len())
        && local.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'='))
        && !local.starts_with(['.', '-'])
        && !local.ends_with('.')
        && !local.contains("..");
    let domain = super::Domain::parse(domain).map_err(|_| WHAT)?;
    no_directive(local)?;
    if local_is_fine { Ok(format!("{local}@{domain}")) } else { Err(WHAT) }
}
