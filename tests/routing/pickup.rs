//! Picking up calls that ring in a group.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Stage, cause, route};

fn plain(document: &str) -> String {
    quick_xml::escape::unescape(document).unwrap().into_owned()
}

async fn extension(stage: &Stage, number: &str, calls: Value) -> (String, String) {
    let new = json!({ "number": number, "sip_username": format!("u{number}"), "calls": calls });
    let made = stage.node.makes(&format!("/v1/tenants/{}/extensions", stage.tenant), new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let text = |field: &str| made.json()[field].as_str().unwrap().to_owned();
    (text("id"), text("sip_username"))
}

async fn group(stage: &Stage, name: &str, members: &[&str], pickup: bool) -> Uuid {
    let new = json!({ "name": name, "members": members, "pickup": pickup });
    let made = stage.node.makes(&format!("/v1/tenants/{}/groups", stage.tenant), new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.id()
}

/// The keys that a phone picks up by, in order.
async fn picks(stage: &Stage, user: &str) -> Vec<String> {
    let answer = plain(&stage.calls_as(user, "*8", Uuid::new_v4()).await);
    let picked = answer.split("application=\"pickup\" data=\"").skip(1);
    picked.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn a_phone_picks_up_in_its_own_groups_first_and_then_at_colleagues_who_allow_it() {
    let stage = Stage::new().await;
    let (one, one_user) = extension(&stage, "21", json!({})).await;
    let (two, _) = extension(&stage, "22", json!({ "pickup": true })).await;
    let (three, _) = extension(&stage, "23", json!({})).await;
    let (other, other_user) = extension(&stage, "24", json!({ "pickup": true })).await;
    let sales = group(&stage, "sales", &[&one, &two, &three], true).await;
    group(&stage, "quiet", &[&one, &three], false).await;
    let foreign = group(&stage, "foreign", &[&other], true).await;
    let at = |id: Uuid| format!("group+{}@acme.test", id.simple());
    assert_eq!(picks(&stage, &one_user).await, [at(sales), "u22@acme.test".to_owned()]);
    assert_eq!(picks(&stage, &other_user).await, [at(foreign)]);
    // The next call sees that somebody has left the group.
    let path = format!("/v1/tenants/{}/groups/{sales}", stage.tenant);
    assert_eq!(stage.node.api("PATCH", &path, json!({ "members": [two, three] })).await.status, 200);
    assert!(picks(&stage, &one_user).await.is_empty());
    // Where nothing rings, the call ends.
    let nothing = stage.calls_as(&one_user, "*8", Uuid::new_v4()).await;
    assert_eq!((route(&nothing).as_str(), cause(&nothing).as_deref()), ("group_pickup", Some("NO_PICKUP")));
    stage.stop().await;
}

#[actix_web::test]
async fn calls_of_a_group_have_a_leg_to_be_picked_up_by_if_the_group_says_so() {
    let stage = Stage::new().await;
    let (one, _) = extension(&stage, "21", json!({})).await;
    let (two, _) = extension(&stage, "22", json!({})).await;
    let new = json!({ "name": "crew", "number": "60", "members": [one, two] });
    let crew = stage.node.makes(&format!("/v1/tenants/{}/groups", stage.tenant), new).await.id();
    let path = format!("/v1/tenants/{}/groups/{crew}", stage.tenant);
    let bridges = async || {
        let answer = plain(&stage.calls("60", Uuid::new_v4()).await);
        let all = answer.split("application=\"bridge\" data=\"").skip(1);
        all.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bridges().await, ["user/u21@acme.test,user/u22@acme.test"]);
    assert_eq!(stage.node.api("PATCH", &path, json!({ "pickup": true })).await.status, 200);
    let key = format!("pickup/group+{}@acme.test", crew.simple());
    assert_eq!(bridges().await, [format!("user/u21@acme.test,user/u22@acme.test,{key}")]);
    // In order, whoever rings may be picked up from.
    assert_eq!(stage.node.api("PATCH", &path, json!({ "strategy": "in_order" })).await.status, 200);
    assert_eq!(bridges().await, [format!("user/u21@acme.test,{key}"), format!("user/u22@acme.test,{key}")]);
    stage.stop().await;
}

#[actix_web::test]
async fn a_phone_that_picks_up_is_named_to_the_caller_unless_it_withholds_its_number() {
    let stage = Stage::new().await;
    extension(&stage, "21", json!({ "pickup": true })).await;
    let (_, user) = extension(&stage, "22", json!({})).await;
    let picks = async |more: &str| {
        let form = stage.form(&user, "*821", Uuid::new_v4());
        let form = format!("{form}&variable_dialplane_number=22&variable_dialplane_name=Desk%20two{more}");
        plain(&stage.node.fetch(&form).await.text())
    };
    let named = picks("").await;
    for part in [
        "set_profile_var\" data=\"caller_id_name=Desk two",
        "set_profile_var\" data=\"caller_id_number=22",
        "sip_cid_in_1xx=false",
    ] {
        assert!(named.find(part) < named.find("application=\"pickup\" data=\"u21@acme.test\""), "{part}: {named}");
        assert!(named.contains(part), "{part}: {named}");
    }
    let withheld = picks("&variable_dialplane_withhold=true").await;
    assert!(!withheld.contains("Desk two") && withheld.contains("caller_id_number=anonymous"), "{withheld}");
    stage.stop().await;
}
