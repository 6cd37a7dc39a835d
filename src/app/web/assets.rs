//! Scripts, styles and images, inside the binary. Their names change with their content, so that browsers can cache them forever.

use std::sync::LazyLock;

use actix_web::{HttpResponse, get, web::Path};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// The path in a request.
    path: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |name: &'static str, content_type, bytes: &'static [u8]| {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..9]);
        Asset { name, content_type, bytes, path: format!("/assets/{stem}-{hash}.{extension}") }
    };
    vec![
        asset("app.css", "text/css; charset=utf-8", include_bytes!("assets/app.css")),
        asset("app.js", "text/javascript; charset=utf-8", include_bytes!("assets/app.js")),
        asset("docs.js", "text/javascript; charset=utf-8", include_bytes!("assets/docs.js")),
        // Redoc 2.5.4, MIT: assets/redoc-LICENSE.txt.
        asset("redoc.js", "text/javascript; charset=utf-8", include_bytes!("assets/redoc-2.5.4.min.js")),
        // htmx 2.0.11, Zero-Clause BSD.
        asset("htmx.js", "text/javascript; charset=utf-8", include_bytes!("assets/htmx-2.0.11.min.js")),
        // Lucide 1.62.0, ISC, some icons MIT: assets/lucide-LICENSE.txt.
        asset("icons.svg", "image/svg+xml", include_bytes!("assets/icons.svg")),
        asset("icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    ]
});

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
            .body(asset.bytes),
        None => HttpResponse::NotFound().finish(),
    }
}
