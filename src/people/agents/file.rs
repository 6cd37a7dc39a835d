//! Reads a CSV file of people, from a spreadsheet or exported by another phone system. Columns are found by name, in any order.

use super::{
    NewAgent,
    bulk::{Read, check_count},
};
use crate::{
    http::labels::With,
    model::{
        error::{Error, Result},
        label_column::LabelColumn,
        labels::LabelsPatch,
    },
    tenancy::auth::rules::Role,
    text::{Code, DisplayName, Email, ExtensionNumber, table_file},
};

/// What a column contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    FirstName,
    LastName,
    /// Both names in one.
    Name,
    Email,
    Role,
    /// How many extensions.
    Extensions,
    /// Which extensions.
    Numbers,
}

const COLUMNS: usize = 7;

/// Column headings without case, spaces and punctuation. If two columns mean the same, the one that is earlier here counts.
/// Ours come first, then those of spreadsheets, FusionPBX (extension_download.php and the export of users), FreePBX (bulk
/// handler: extensions and user manager), and 3CX.
const HEADS: &[(&str, Column)] = &[
    ("firstname", Column::FirstName),
    ("vorname", Column::FirstName),
    ("givenname", Column::FirstName),
    ("directoryfirstname", Column::FirstName),
    ("contactnamegiven", Column::FirstName),
    ("fname", Column::FirstName),
    ("lastname", Column::LastName),
    ("nachname", Column::LastName),
    ("surname", Column::LastName),
    ("familyname", Column::LastName),
    ("directorylastname", Column::LastName),
    ("contactnamefamily", Column::LastName),
    ("lname", Column::LastName),
    ("fullname", Column::Name),
    ("displayname", Column::Name),
    ("name", Column::Name),
    ("effectivecalleridname", Column::Name),
    ("email", Column::Email),
    ("emailaddress", Column::Email),
    ("mail", Column::Email),
    ("emailadresse", Column::Email),
    ("useremail", Column::Email),
    ("contactemail", Column::Email),
    ("voicemailmailto", Column::Email),
    ("voicemailemail", Column::Email),
    ("role", Column::Role),
    ("rolle", Column::Role),
    ("extensions", Column::Extensions),
    ("numbers", Column::Numbers),
    ("number", Column::Numbers),
    ("extension", Column::Numbers),
    ("extensionnumber", Column::Numbers),
    ("ext", Column::Numbers),
    ("durchwahl", Column::Numbers),
    ("nebenstelle", Column::Numbers),
    ("defaultextension", Column::Numbers),
];

/// Which column of a file contains what.
struct Head {
    at: [Option<usize>; COLUMNS],
    labels: Vec<(usize, LabelColumn)>,
    unused: Vec<String>,
}

impl Head {
    fn read(names: &csv::StringRecord) -> Result<Self> {
        let plain = names.iter().map(table_file::plain).collect::<Vec<_>>();
        let mut at = [None; COLUMNS];
        for (head, column) in HEADS {
            if at[*column as usize].is_none() {
                at[*column as usize] = plain.iter().position(|name| name == head);
            }
        }
        let has = |column: Column| at[column as usize].is_some();
        if has(Column::FirstName) && has(Column::LastName) {
            at[Column::Name as usize] = None;
        } else if !has(Column::Name) {
            let missing = if has(Column::FirstName) { "last_name" } else { "first_name" };
            return Err(Error::invalid("file", Code::NoColumn.with("column", missing)));
        }
        if at[Column::Email as usize].is_none() {
            return Err(Error::invalid("file", Code::NoColumn.with("column", "email")));
        }
        let labels =
            names.iter().enumerate().filter_map(|(at, name)| Some((at, LabelColumn::of(name)?))).collect::<Vec<_>>();
        let is_used = |place: usize| at.contains(&Some(place)) || labels.iter().any(|(at, _)| *at == place);
        let unused = names.iter().enumerate().filter(|(place, name)| !name.is_empty() && !is_used(*place));
        let unused = unused.map(|(_, name)| name.to_owned()).collect();
        Ok(Self { at, labels, unused })
    }

    fn value<'a>(&self, row: &'a csv::StringRecord, column: Column) -> &'a str {
        self.at[column as usize].and_then(|at| row.get(at)).unwrap_or_default()
    }
}

/// A file as it was read.
#[derive(Debug)]
pub struct Sheet {
    /// Each line's address, with its agent or what is wrong with the line.
    pub lines: Vec<(String, Read)>,
    /// Where each of them stands in the file, as editors count.
    pub at: Vec<usize>,
    /// The headings of columns that are not used.
    pub unused: Vec<String>,
}

/// Reads a CSV file with at most `most` lines.
///
/// # Errors
///
/// The file is not CSV, a required column is missing, or it has too many lines or none.
pub fn read(bytes: &[u8], most: usize) -> Result<Sheet> {
    let text = table_file::text(bytes).map_err(|why| Error::invalid("file", why))?;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (rows, delimiter) = table_file::rows(&text);
    let before = text[..text.len() - rows.len()].matches('\n').count();
    let text = rows;
    table_file::check_quotes(text, delimiter).map_err(|why| Error::invalid("file", why))?;
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let wrong = |error: &csv::Error| Error::invalid("file", Code::NotCsv.with("reason", error));
    let head = Head::read(reader.headers().map_err(|error| wrong(&error))?)?;
    let (mut lines, mut at) = (Vec::new(), Vec::new());
    for row in reader.records() {
        let row = row.map_err(|error| wrong(&error))?;
        // Spreadsheets write this for a row that was emptied.
        if row.iter().all(str::is_empty) {
            continue;
        }
        check_count(lines.len() + 1, most)?;
        at.push(before + table_file::line_of(text, &row));
        lines.push((head.value(&row, Column::Email).to_owned(), agent(&head, &row)));
    }
    check_count(lines.len(), most)?;
    Ok(Sheet { lines, at, unused: head.unused })
}

fn agent(head: &Head, row: &csv::StringRecord) -> Read {
    let value = |column| head.value(row, column);
    let name = |field, text: &str| DisplayName::parse(text).map_err(|e| Error::invalid(field, e));
    let (mut first, mut last) = (value(Column::FirstName), value(Column::LastName));
    if first.is_empty() && last.is_empty() {
        (first, last) = parts(value(Column::Name));
    }
    let numbers = value(Column::Numbers).split([' ', ',', ';', '/']).filter(|number| !number.is_empty());
    let numbers = numbers.map(ExtensionNumber::parse).collect::<std::result::Result<Vec<_>, _>>();
    let numbers = numbers.map_err(|e| Error::invalid("numbers", e))?;
    let role = match value(Column::Role).to_ascii_lowercase().as_str() {
        "" | "agent" => Role::Agent,
        "manager" => Role::Manager,
        "admin" => Role::Admin,
        "owner" => Role::Owner,
        _ => return Err(Error::invalid("role", Code::UnknownRole)),
    };
    let count = match value(Column::Extensions) {
        "" => None,
        text => Some(text.parse().map_err(|_| Error::invalid("extensions", Code::range(1, 5)))?),
    };
    let mut labels = LabelsPatch::default();
    for (at, label) in &head.labels {
        label.read(row.get(*at).unwrap_or_default(), &mut labels)?;
    }
    let body = NewAgent {
        first_name: name("first_name", first)?,
        last_name: name("last_name", last)?,
        email: Email::parse(value(Column::Email)).map_err(|e| Error::invalid("email", e))?,
        role,
        language: None,
        extensions_count: count,
        numbers: (!numbers.is_empty()).then_some(numbers),
    };
    Ok(With { body, labels })
}

/// Splits `Ada Lovelace` and `Lovelace, Ada` into first and last name. A single word is a first name; the line then lacks the
/// last name.
fn parts(name: &str) -> (&str, &str) {
    let (first, last) = match name.split_once(',') {
        Some((last, first)) => (first, last),
        None => name.trim().rsplit_once(char::is_whitespace).unwrap_or((name, "")),
    };
    (first.trim(), last.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_file_is_read_line_by_line() {
        let text = "\u{feff}email;first_name;last_name;role;extensions;numbers\r\nada@acme.test;Ada;Lovelace;;2;\r\nx;Grace;Hopper;;;\r\ngrace@acme.test;Grace;Hopper;Manager;;2001 2002\r\n";
        let lines = read(text.as_bytes(), 3).unwrap().lines;
        assert_eq!(lines.len(), 3);
        let ada = lines[0].1.as_ref().unwrap();
        assert_eq!((ada.role, ada.extensions_count), (Role::Agent, Some(2)));
        assert_eq!(
            lines[1].1.as_ref().unwrap_err().to_string(),
            "email must be an e-mail address such as ada@acme.example"
        );
        let grace = lines[2].1.as_ref().unwrap();
        assert_eq!((grace.role, grace.numbers.as_ref().unwrap().len()), (Role::Manager, 2));
        let noted = read(b"name,email,external_id,metadata.team\nAda L,ada@acme.test,p-1,north\n", 1).unwrap();
        let labels = &noted.lines[0].1.as_ref().unwrap().labels;
        assert_eq!(labels.external_id.as_ref().unwrap().as_ref().unwrap().as_str(), "p-1");
        assert_eq!((labels.metadata.as_ref().unwrap().as_ref().unwrap().len(), noted.unused.len()), (1, 0));
        assert!(read(b"phone,mail\nx,y\n", 3).unwrap_err().to_string().contains("no column first_name"));
        assert!(read(b"first,last,first_name,email\nx,y,z,e\n", 3).unwrap_err().to_string().contains("last_name"));
        assert!(read(b"", 3).is_err());
        assert!(read(text.as_bytes(), 2).unwrap_err().to_string().contains("1 to 2 lines"));
    }

    /// The person on the first line, with their number.
    fn first(bytes: &[u8]) -> (String, Option<String>) {
        let sheet = read(bytes, 10).unwrap();
        let agent = sheet.lines[0].1.as_ref().unwrap();
        let number = agent.numbers.as_ref().map(|numbers| numbers[0].to_string());
        (format!("{} {} <{}>", agent.first_name, agent.last_name, agent.email), number)
    }

    #[test]
    fn heads_of_spreadsheets_and_of_other_systems_are_understood() {
        let jörg = "Jörg Müller <jm@acme.test>";
        for (file, number) in [
            ("First Name,Last Name,Email Address\nJörg,Müller,jm@acme.test\n", None),
            ("E-Mail\tNachname\tVorname\tDurchwahl\njm@acme.test\tMüller\tJörg\t2001\n", Some("2001")),
            ("Name;E-mail\r\"Müller, Jörg\";jm@acme.test\r", None),
            // 3CX.
            (
                "Number,FirstName,LastName,EmailAddress,MobileNumber,AuthID,AuthPassword\n2001,Jörg,Müller,jm@acme.test,,x,y\n",
                Some("2001"),
            ),
            // FreePBX: the bulk handler's extensions, and its users.
            (
                "extension,password,name,voicemail,voicemail_enable,voicemail_vmpwd,voicemail_email\n2001,,Jörg Müller,default,yes,1,jm@acme.test\n",
                Some("2001"),
            ),
            (
                "username,password,default_extension,description,fname,lname,displayname,email\njm,x,2001,,Jörg,Müller,JM,jm@acme.test\n",
                Some("2001"),
            ),
            // FusionPBX: extensions, with a column of addresses added, and users.
            (
                "\"extension\",\"number_alias\",\"password\",\"effective_caller_id_name\",\"directory_first_name\",\"directory_last_name\",\"voicemail_mail_to\"\n2001,,x,JM,Jörg,Müller,jm@acme.test\n",
                Some("2001"),
            ),
            ("username,user_email,contact_name_given,contact_name_family\njm,jm@acme.test,Jörg,Müller\n", None),
        ] {
            assert_eq!(first(file.as_bytes()), (jörg.to_owned(), number.map(str::to_owned)), "{file}");
        }
    }

    #[test]
    fn a_name_keeps_its_letters_in_every_encoding() {
        assert_eq!(
            first(b"First Name;Last Name;E-Mail\r\nJ\xf6rg;M\xfcller;jm@acme.test\r\n").0,
            "Jörg Müller <jm@acme.test>"
        );
        let utf_16 = "\u{feff}Vorname\tName\tNachname\tE-Mail\r\nZoë\tx\tŽižek\tz@acme.test\r\n".encode_utf16();
        let bytes = utf_16.flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        assert_eq!(first(&bytes).0, "Zoë Žižek <z@acme.test>");
    }

    #[test]
    fn columns_that_nothing_is_taken_from_are_named_and_empty_rows_are_no_lines() {
        let file = "FirstName,LastName,EmailAddress,Email,AuthPassword,\nA,B,a@acme.test,x,secret,\n,,,,,\n\nC,D,c@acme.test,,,\n";
        let sheet = read(file.as_bytes(), 10).unwrap();
        assert_eq!(sheet.at, [2, 5]);
        assert_eq!((sheet.lines.len(), sheet.unused), (2, vec!["EmailAddress".to_owned(), "AuthPassword".to_owned()]));
        let marked = read(b"sep=;\r\n\r\nname;email\r\n\r\nA B;a@acme.test\r\n", 10).unwrap();
        assert_eq!(marked.at, [5]);
        let cut = read(b"first_name,last_name,email,note\nA,B,a@acme.test,\"oops\nC,D,c@acme.test,\n", 10);
        assert!(cut.unwrap_err().to_string().contains("line 2"));
        let alone = read(b"name,email\nReception,r@acme.test\n", 10).unwrap();
        assert!(alone.lines[0].1.as_ref().unwrap_err().to_string().starts_with("last_name"));
    }
}
