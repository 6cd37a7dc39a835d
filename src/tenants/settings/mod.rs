//! stub
use serde::{Deserialize, Serialize};
use serde_json::Value;
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(value_type = Object)]
pub struct Settings(pub Value);
#[derive(Debug)]
pub struct SettingsError {
    pub field: String,
    pub message: String,
}
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Template {
    pub name: String,
    pub version: i32,
    pub settings: Settings,
}
impl Settings {
    pub fn parse(v: &Value) -> Result<Self, SettingsError> {
        Ok(Self(v.clone()))
    }
    pub fn patched(&self, _: &Value) -> Result<Self, SettingsError> {
        Ok(self.clone())
    }
}
impl Template {
    pub fn parse(v: &Value) -> Result<Self, SettingsError> {
        serde_json::from_value(v.clone()).map_err(|e| SettingsError { field: String::new(), message: e.to_string() })
    }
}
pub fn builtin() -> Vec<Template> {
    vec![Template { name: "default".into(), version: 1, settings: Settings(serde_json::json!({})) }]
}
pub fn schema() -> Value {
    Value::Null
}
