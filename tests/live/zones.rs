//! A switch tells the time in every zone as Dialplane does.

use std::fmt::Write as _;

use dialplane::text::TimeZone;
use jiff::{Timestamp, civil};

use crate::{
    freeswitch,
    harness::{Database, Node},
    switch::Switch,
};

/// Moments before and after each change of clocks in 2027, and two others.
fn moments(zone: &jiff::tz::TimeZone) -> Vec<Timestamp> {
    let at = |month, day| civil::date(2027, month, day).at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    let (first, last) = (at(1, 1).timestamp(), at(12, 31).timestamp());
    let changes = zone.following(first).map(|change| change.timestamp()).take_while(|change| *change < last);
    let both =
        changes.flat_map(|change| [-1, 0].map(|second| Timestamp::from_second(change.as_second() + second).unwrap()));
    both.chain([at(1, 15).timestamp(), at(7, 15).timestamp()]).collect()
}

#[actix_web::test]
async fn a_switch_tells_the_time_in_every_zone() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let told = tokio::task::spawn_blocking(move || {
        let switch = Switch::boot(&binary, &node);
        // The wrong times, and how many times were compared.
        let compare = |zone: &TimeZone| {
            let rules = zone.rules();
            let moments = moments(&rules);
            let mut wrong = String::new();
            for at in &moments {
                let told = switch.api(&format!("strftime_tz {zone} {}|%Y-%m-%d %H:%M:%S", at.as_second()));
                let expected = rules.to_datetime(*at).strftime("%Y-%m-%d %H:%M:%S").to_string();
                if told.trim() != expected {
                    let _ = writeln!(wrong, "{zone} at {at}: {told} instead of {expected}");
                }
            }
            (wrong, moments.len())
        };
        let (wrong, compared) = TimeZone::all().map(|zone| compare(&zone)).unzip::<_, _, Vec<_>, Vec<_>>();
        println!("{} times compared in {} zones", compared.iter().sum::<usize>(), compared.len());
        assert_eq!(wrong.concat(), "");
        // The rules that it gets on `reloadxml` give the same times.
        switch.api("reloadxml");
        for name in ["Europe/Berlin", "America/Nuuk"] {
            assert_eq!(compare(&TimeZone::parse(name).unwrap()).0, "");
        }
        assert!(switch.api("strftime_tz US/Eastern 1800000000|%H").contains("03"), "other names of a zone work too");
        node
    });
    told.await.unwrap().stop().await;
}
