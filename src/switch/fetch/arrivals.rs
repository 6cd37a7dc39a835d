//! Which carrier a call from outside came from, and how that carrier writes numbers.

use std::net::{IpAddr, Ipv4Addr};

use super::request::{Arrival, Dialplan};
use crate::{
    model::carrier::{Inbound, NumberPlace},
    routing::carried::{self, Carrier},
    text::E164,
};

/// The carriers, by what their calls are recognised by.
#[derive(Debug, Default)]
pub struct Arrivals {
    carriers: Vec<Known>,
    usual: Inbound,
}

/// What a switch does not send of a call from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// `variable_sip_network_ip`
    Address,
    /// `variable_sip_to_user`
    To,
    /// The header that the carrier names; or the carrier did not send it.
    Header,
}

#[derive(Debug)]
struct Known {
    gateway: String,
    /// Base addresses with their masks.
    networks: Vec<(u32, u32)>,
    inbound: Inbound,
}

impl Arrivals {
    #[must_use]
    pub fn of<'a>(carriers: impl Iterator<Item = &'a Carrier>) -> Self {
        let carriers = carriers.map(|carrier| {
            let host = carrier.config.host.as_str();
            let host = host.split_once(':').map_or(host, |(host, _)| host);
            let networks = carrier.config.networks.iter().map(crate::text::Network::as_str);
            let texts = networks.chain([host]).chain(carrier.addresses.iter().map(String::as_str));
            Known {
                gateway: carried::gateway(carrier.id),
                networks: texts.filter_map(network).collect(),
                inbound: carrier.config.inbound.clone(),
            }
        });
        let carriers = carriers.collect::<Vec<_>>();
        // If all carriers write numbers in the usual way, there is nothing to tell apart.
        let is_needed = carriers.iter().any(|known| !known.inbound.is_usual());
        Self { carriers: if is_needed { carriers } else { Vec::new() }, usual: Inbound::default() }
    }

    /// The ways in which the call's numbers may be written: one for its gateway's carrier, or those of all carriers that
    /// share its address.
    fn ways(&self, arrival: &Arrival<'_>) -> Vec<&Inbound> {
        if let Some(known) = self.carriers.iter().find(|known| arrival.gateway.as_deref() == Some(&*known.gateway)) {
            return vec![&known.inbound];
        }
        // Where the switch does not say from where a call comes, it may be anybody's.
        let Some(address) = arrival.address else {
            return self.carriers.iter().map(|known| &known.inbound).chain([&self.usual]).collect();
        };
        let is_here = |known: &&Known| match address {
            IpAddr::V4(address) => known.networks.iter().any(|(base, mask)| u32::from(address) & mask == *base),
            // Carriers' networks are of IPv4.
            IpAddr::V6(_) => false,
        };
        let ways = self.carriers.iter().filter(is_here).map(|known| &known.inbound).collect::<Vec<_>>();
        if ways.is_empty() { vec![&self.usual] } else { ways }
    }

    /// What the switch would have to send for a call's number to be read, and does not: its `xml_curl.conf.xml` is an older one, or lacks
    /// the header that the carrier names.
    #[must_use]
    pub fn lacks(&self, arrival: &Arrival<'_>) -> Option<Lack> {
        if self.carriers.is_empty() {
            return None;
        }
        if arrival.address.is_none() && arrival.gateway.is_none() {
            return Some(Lack::Address);
        }
        self.ways(arrival).into_iter().find_map(|way| match (way.number_in, &way.header) {
            (NumberPlace::Header, Some(header)) if !arrival.has_header(header.as_str()) => Some(Lack::Header),
            (NumberPlace::To, _) if arrival.to.is_none() => Some(Lack::To),
            _ => None,
        })
    }

    /// The number that a call from outside is for, and the caller's number. If carriers that share an address would read
    /// a number differently, it is `None`: no phone rings by a guess.
    #[must_use]
    pub fn numbers(&self, dialplan: &Dialplan<'_>) -> (Option<E164>, Option<E164>) {
        // A call that the platform's own routes sent here has its number in their form.
        let ways = if is_ours(dialplan) { vec![&self.usual] } else { self.ways(&dialplan.arrival) };
        let called = |way: &&Inbound| match (way.number_in, &way.header) {
            (NumberPlace::Header, Some(header)) => way.called(&dialplan.arrival.header(header.as_str())?),
            (NumberPlace::To, _) => way.called(dialplan.arrival.to.as_deref()?),
            _ => way.called(&dialplan.destination),
        };
        let number = agreed(ways.iter().map(called));
        if ways.iter().all(|way| way.is_usual()) {
            // How callers' numbers are written isn't declared: a tenant's own patterns see them as shown.
            return (number, None);
        }
        let caller = |way: &&Inbound| way.caller(dialplan.caller_number.as_deref()?);
        (number, agreed(ways.iter().map(caller)))
    }
}

/// Did the platform's own routes send the call here?
#[must_use]
pub fn is_ours(dialplan: &Dialplan<'_>) -> bool {
    dialplan.caller.is_some() || dialplan.on_behalf.is_some() || dialplan.hops.is_sent()
}

/// The number, if all who could read it agree.
fn agreed(read: impl Iterator<Item = Option<E164>>) -> Option<E164> {
    let mut read = read.flatten();
    let first = read.next()?;
    read.all(|other| other == first).then_some(first)
}

fn network(text: &str) -> Option<(u32, u32)> {
    let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
    let bits = bits.parse::<u32>().ok().filter(|bits| (1..=32).contains(bits))?;
    let mask = u32::MAX << (32 - bits);
    Some((u32::from(address.parse::<Ipv4Addr>().ok()?) & mask, mask))
}
