//! Scripts, styles and images, inside the binary. Their names change with their content, so that browsers can cache them forever.

use std::{borrow::Cow, sync::LazyLock};

use actix_web::{
    HttpResponse, get,
    web::{Bytes, Path},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest as _, Sha256};

struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: Cow<'static, [u8]>,
    /// The path in a request.
    path: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    const CSS: &str = "text/css; charset=utf-8";
    const JS: &str = "text/javascript; charset=utf-8";
    const SVG: &str = "image/svg+xml";
    const PNG: &str = "image/png";
    let mut assets = Vec::new();
    let mut asset = |name, content_type, bytes: &'static [u8]| {
        let bytes = importing(bytes, &assets);
        let (stem, extension) = name_and_extension(name);
        let hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(&bytes)[..9]);
        assets.push(Asset { name, content_type, bytes, path: format!("/assets/{stem}-{hash}.{extension}") });
    };
    asset("app.css", CSS, include_bytes!("assets/app.css"));
    asset("phone.css", CSS, include_bytes!("assets/phone.css"));
    // Modules stand after those that they import.
    asset("acts-base.js", JS, include_bytes!("assets/acts-base.js"));
    asset("acts-ask.js", JS, include_bytes!("assets/acts-ask.js"));
    asset("acts-can.js", JS, include_bytes!("assets/acts-can.js"));
    asset("acts.js", JS, include_bytes!("assets/acts.js"));
    asset("dial.js", JS, include_bytes!("assets/dial.js"));
    asset("look.js", JS, include_bytes!("assets/look.js"));
    asset("app.js", JS, include_bytes!("assets/app.js"));
    asset("live.js", JS, include_bytes!("assets/live.js"));
    asset("chart.js", JS, include_bytes!("assets/chart.js"));
    // uPlot 1.6.32, MIT: assets/uplot-LICENSE.txt. On pages with charts only.
    asset("uplot.js", JS, include_bytes!("assets/uplot-1.6.32.min.js"));
    asset("uplot.css", CSS, include_bytes!("assets/uplot-1.6.32.min.css"));
    asset("docs.js", JS, include_bytes!("assets/docs.js"));
    // Redoc 2.5.4, MIT: assets/redoc-LICENSE.txt.
    asset("redoc.js", JS, include_bytes!("assets/redoc-2.5.4.min.js"));
    // htmx 2.0.11, Zero-Clause BSD.
    asset("htmx.js", JS, include_bytes!("assets/htmx-2.0.11.min.js"));
    // JsSIP 3.13.8, MIT, made by script/jssip: assets/jssip-LICENSE.txt.
    asset("jssip.js", JS, include_bytes!("assets/jssip-3.13.8.min.js"));
    // The phone's modules: each after those that it imports.
    asset("phone-base.js", JS, include_bytes!("assets/phone-base.js"));
    asset("phone-sound.js", JS, include_bytes!("assets/phone-sound.js"));
    asset("phone-quality.js", JS, include_bytes!("assets/phone-quality.js"));
    asset("phone-return.js", JS, include_bytes!("assets/phone-return.js"));
    asset("phone-tabs.js", JS, include_bytes!("assets/phone-tabs.js"));
    asset("phone-line.js", JS, include_bytes!("assets/phone-line.js"));
    asset("phone-calls.js", JS, include_bytes!("assets/phone-calls.js"));
    asset("phone-show.js", JS, include_bytes!("assets/phone-show.js"));
    asset("phone-dial.js", JS, include_bytes!("assets/phone-dial.js"));
    asset("phone-window.js", JS, include_bytes!("assets/phone-window.js"));
    asset("phone-chat.js", JS, include_bytes!("assets/phone-chat.js"));
    asset("phone-caller.js", JS, include_bytes!("assets/phone-caller.js"));
    asset("live-notice.js", JS, include_bytes!("assets/live-notice.js"));
    asset("phone-queues.js", JS, include_bytes!("assets/phone-queues.js"));
    asset("phone-status.js", JS, include_bytes!("assets/phone-status.js"));
    asset("phone-desk.js", JS, include_bytes!("assets/phone-desk.js"));
    asset("phone.js", JS, include_bytes!("assets/phone.js"));
    // Lucide 1.62.0, ISC, some icons MIT: assets/lucide-LICENSE.txt.
    asset("icons.svg", SVG, include_bytes!("assets/icons.svg"));
    asset("icon.svg", SVG, include_bytes!("assets/icon.svg"));
    // The same as it is, and with a margin that may be cut off.
    asset("icon-192.png", PNG, include_bytes!("assets/icon-192.png"));
    asset("icon-512.png", PNG, include_bytes!("assets/icon-512.png"));
    asset("icon-maskable-512.png", PNG, include_bytes!("assets/icon-maskable-512.png"));
    assets
});

fn name_and_extension(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, ""))
}

/// A script that imports others by their plain names (`from "./phone-line.js"`) gets their paths instead, so that its own name changes
/// with theirs. An import map would be an inline script, which the pages' policy forbids.
fn importing(bytes: &'static [u8], before: &[Asset]) -> Cow<'static, [u8]> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.into() };
    if !text.contains(" from \"./") {
        return bytes.into();
    }
    let text = before.iter().fold(text.to_owned(), |text, asset| {
        text.replace(&format!(" from \"./{}\"", asset.name), &format!(" from \"{}\"", asset.path))
    });
    text.into_bytes().into()
}

/// The path of an asset.
#[must_use]
pub fn path(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("/assets/missing", |asset| &asset.path)
}

#[get("/assets/{name}")]
pub async fn serve_asset(name: Path<String>) -> HttpResponse {
    let wanted = format!("/assets/{name}");
    match ASSETS.iter().find(|asset| asset.path == wanted) {
        Some(asset) => HttpResponse::Ok()
            .content_type(asset.content_type)
            .insert_header(("Cache-Control", "public, max-age=31536000, immutable"))
            .body(match &asset.bytes {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::copy_from_slice(bytes),
            }),
        None => HttpResponse::NotFound().finish(),
    }
}

/// What a browser needs to install the product as an application, which opens with the phone.
#[get("/manifest.webmanifest")]
pub async fn serve_manifest() -> HttpResponse {
    let icon = |name: &str, size: &str, purpose: &str| json!({ "src": path(name), "type": if size == "any" { "image/svg+xml" } else { "image/png" }, "sizes": size, "purpose": purpose });
    let manifest = json!({
        "id": "/", "name": "Dialplane", "short_name": "Dialplane", "start_url": "/app/phone", "scope": "/", "display": "standalone",
        "background_color": "#ffffff", "theme_color": "#1f5fbf",
        "icons": [
            icon("icon.svg", "any", "any"), icon("icon-192.png", "192x192", "any"), icon("icon-512.png", "512x512", "any"),
            icon("icon-maskable-512.png", "512x512", "maskable"),
        ],
    });
    HttpResponse::Ok()
        .content_type("application/manifest+json")
        .insert_header(("Cache-Control", "public, max-age=3600"))
        .body(manifest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_import_of_a_script_is_the_path_of_another() {
        let mut imports = 0;
        for asset in
            ASSETS.iter().filter(|asset| asset.content_type.contains("script") && !asset.name.contains("redoc"))
        {
            let text = std::str::from_utf8(&asset.bytes).unwrap();
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let path = line.split('"').nth(1).unwrap_or_else(|| panic!("{}: {line}", asset.name));
                assert!(ASSETS.iter().any(|other| other.path == path), "{}: {line}", asset.name);
                imports += 1;
            }
        }
        assert!(imports > 5, "{imports}");
    }
}
