//! `external_id` and `metadata`, which almost everything has, and which no type of a subject knows (`http::labels`).

use serde_json::{Map, Value, json};

use crate::model::labels::{MOST_KEYS, MOST_OF_ID, MOST_OF_KEY, MOST_OF_VALUE};

/// What is shown with labels. What has such a thing within has them by that.
const THINGS: [&str; 15] = [
    "Agent",
    "Carrier",
    "Cluster",
    "Contact",
    "CreatedAgent",
    "Destination",
    "DialplanEntry",
    "Extension",
    "Group",
    "Key",
    "Number",
    "Pool",
    "Switch",
    "Tenant",
    "Webhook",
];

/// What makes a thing or makes it equal.
const NEW: [&str; 15] = [
    "BulkNumber",
    "NewAgent",
    "NewCarrier",
    "NewCluster",
    "NewContact",
    "NewDestination",
    "NewEntry",
    "NewExtension",
    "NewGroup",
    "NewKey",
    "NewNumber",
    "NewPool",
    "NewSwitch",
    "NewTenancy",
    "NewWebhook",
];

/// What changes one.
const PATCHES: [&str; 14] = [
    "AgentPatch",
    "CarrierPatch",
    "ClusterPatch",
    "ContactPatch",
    "DestinationPatch",
    "EntryPatch",
    "ExtensionPatch",
    "GroupPatch",
    "KeyPatch",
    "NumberPatch",
    "PoolPatch",
    "SwitchPatch",
    "TenantPatch",
    "WebhookPatch",
];

/// Adds them to the schemas of things and of the bodies that make and change things.
pub fn add(schemas: &mut Map<String, Value>) {
    for (names, add) in [(&THINGS[..], shown as fn() -> Value), (&NEW, new), (&PATCHES, patch)] {
        for name in names {
            let Some(schema) = schemas.get_mut(*name) else { continue };
            let part = add();
            if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
                parts.push(part);
                continue;
            }
            let (Some(schema), Value::Object(part)) = (schema.as_object_mut(), part) else { continue };
            for list in ["properties", "required"] {
                let Some(more) = part.get(list) else { continue };
                match (schema.entry(list).or_insert(Value::Null), more) {
                    (Value::Object(known), Value::Object(more)) => known.extend(more.clone()),
                    (Value::Array(known), Value::Array(more)) => known.extend(more.iter().cloned()),
                    (known @ Value::Null, more) => *known = more.clone(),
                    _ => {}
                }
            }
        }
    }
}

fn external_id(description: &str) -> Value {
    json!({
        "description": description, "type": ["string", "null"], "minLength": 1, "maxLength": MOST_OF_ID, "example": "crm-4711",
    })
}

fn metadata(description: &str, value: &Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": value,
        "propertyNames": { "minLength": 1, "maxLength": MOST_OF_KEY },
        "maxProperties": MOST_KEYS,
        "example": { "cost_center": "4711" },
    })
}

fn value() -> Value {
    json!({ "type": "string", "maxLength": MOST_OF_VALUE })
}

fn shown() -> Value {
    json!({
        "type": "object",
        "properties": {
            "external_id": external_id("The id that it has in another system."),
            "metadata": metadata("What another system notes on it: texts by key.", &value()),
        },
        "required": ["external_id", "metadata"],
    })
}

fn new() -> Value {
    json!({
        "type": "object",
        "properties": {
            "external_id": external_id(
                "The id that it has in another system. It is found by it, and no other of its kind has the same: in a tenant, or in the \
                 platform if it is the platform's. No switch is given it.",
            ),
            "metadata": metadata(
                "Up to 20 texts by key, for another system. Whoever may read the thing reads them, and they are in the audit log: no secrets \
                 belong here.",
                &value(),
            ),
        },
    })
}

fn patch() -> Value {
    let mut patched = new();
    let nullable = json!({ "type": ["string", "null"], "maxLength": MOST_OF_VALUE });
    let mut merged = metadata(
        "A merge patch: keys that it does not name stay, and a key with `null` or an empty text is removed. Whoever may read the thing \
         reads them, and they are in the audit log: no secrets belong here.",
        &nullable,
    );
    // What is there counts as well, so this can't be known of a patch.
    if let Some(members) = merged.as_object_mut() {
        members.remove("maxProperties");
        members.insert("type".into(), json!(["object", "null"]));
    }
    patched["properties"]["metadata"] = merged;
    patched
}
