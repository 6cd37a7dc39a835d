//! The state of gateways to carriers, as switches report it. A switch sends no call over a gateway that it believes to be
//! down, and makes no record of that (`sofia_outgoing_channel` in mod_sofia.c).

use quick_xml::{Reader, events::Event};
use uuid::Uuid;

use super::socket::{Talk, Unanswered};
use crate::routing::carried;

/// Without a name, it lists all gateways (`cmd_xml_status` in mod_sofia.c).
const COMMAND: &str = "sofia xmlstatus gateway";

/// Asks a switch for its gateways.
pub async fn ask(talk: &Talk) -> Result<Vec<Gateway>, Unanswered> {
    read(&talk.ask(COMMAND).await?)
}

/// The gateway of a carrier.
#[derive(Debug, PartialEq, Eq)]
pub struct Gateway {
    pub carrier: Uuid,
    pub up: bool,
    pub state: String,
}

/// Reads the carriers' gateways in a switch's answer. Gateways with other names are the switch's own.
fn read(text: &str) -> Result<Vec<Gateway>, Unanswered> {
    let strange = |error: quick_xml::Error| Unanswered::Strange(error.to_string());
    let mut reader = Reader::from_str(text);
    // mod_sofia does not escape all values.
    reader.config_mut().allow_dangling_amp = true;
    let (mut found, mut element) = (Vec::new(), String::new());
    let (mut name, mut state, mut status) = (String::new(), String::new(), String::new());
    let mut whole = false;
    loop {
        match reader.read_event().map_err(strange)? {
            Event::Start(start) => {
                start.name().as_ref().clone_into(&mut element);
                if element == "gateway" {
                    (name, state, status) = Default::default();
                }
            }
            Event::Text(text) => {
                let field = match element.as_str() {
                    "name" => &mut name,
                    "state" => &mut state,
                    "status" => &mut status,
                    _ => continue,
                };
                field.push_str(text.trim());
            }
            Event::End(end) => {
                if end.name().as_ref() == "gateway"
                    && let Some(carrier) =
                        carried::carrier_of(&name).filter(|carrier| carried::gateway(*carrier) == name)
                {
                    let state = state.chars().take(40).collect();
                    found.push(Gateway { carrier, up: status == "UP", state });
                }
                whole |= end.name().as_ref() == "gateways";
                element.clear();
            }
            Event::Eof if whole => return Ok(found),
            Event::Eof => return Err(Unanswered::Strange("this is not a list of gateways".into())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switchs_list_of_gateways_is_read() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<gateways>\n\
             <gateway>\n <name>c{}</name>\n <profile>external</profile>\n <to>sip:a&b@c</to>\n <state>NOREG</state>\n <status>UP</status>\n </gateway>\n\
             <gateway>\n <name>own</name>\n <state>REGED</state>\n <status>UP</status>\n </gateway>\n\
             <gateway>\n <name>c{}</name>\n <state>FAIL_WAIT</state>\n <status>DOWN</status>\n <retry>30s</retry>\n </gateway>\n</gateways>\n",
            one.simple(),
            two.simple()
        );
        let gateway = |carrier, up, state: &str| Gateway { carrier, up, state: state.into() };
        assert_eq!(read(&text).unwrap(), [gateway(one, true, "NOREG"), gateway(two, false, "FAIL_WAIT")]);
        assert_eq!(read("<gateways>\n</gateways>").unwrap(), []);
        for strange in ["", "-ERR no such command", "<gateways><gateway><name>x</gateway>"] {
            assert!(read(strange).is_err(), "{strange}");
        }
    }
}
