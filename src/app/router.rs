//! The app listener's routes.

use actix_web::{
    HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::{PayloadError, QueryPayloadError},
    middleware::{DefaultHeaders, Next},
    web,
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{monitoring, status};
use crate::http::problem::Problem;
use crate::{
    people::{agents, me, onboarding},
    switch::{agents::api as agent_status, call_backs, control, link, live, messages, sandbox, simulate, voicemail},
    telephony::{
        calls, carriers, contacts, destinations, dialplan, erasures, exchange, extensions, groups, history, numbers,
        pools, recordings, reports, usage,
    },
    tenancy::{audit, auth, clusters, keys, mail, retention, switches, tenants, webhooks},
    text::{Code, Why},
};

/// All routes of the API, which each worker serves and `/openapi.json` describes.
macro_rules! every_route {
    ($config:ident) => {
        $config
            .service(onboarding::sign_up::sign_up)
            .service(auth::api::login)
            .service(auth::api::refresh)
            .service(auth::api::logout)
            .service(auth::api::forgot_password)
            .service(auth::api::reset_password)
            .service(onboarding::sign_up::verify)
            .service(auth::api::change_password)
            .service(auth::api::begin_two_factor)
            .service(auth::api::confirm_two_factor)
            .service(auth::api::disable_two_factor)
            .service(me::me)
            .service(onboarding::api::create_tenant)
            .service(tenants::api::list_tenants)
            .service(tenants::api::tenant_by_domain)
            .service(onboarding::api::put_tenant)
            .service(tenants::api::show_tenant)
            .service(tenants::api::update_tenant)
            .service(tenants::api::delete_tenant)
            .service(tenants::api::show_purge)
            .service(tenants::api::list_former_domains)
            .service(tenants::api::end_former_domain)
            .service(onboarding::api::show_settings)
            .service(onboarding::api::update_settings)
            .service(retention::api::show_retention)
            .service(retention::api::update_retention)
            .service(onboarding::api::show_setup)
            .service(onboarding::api::create_template)
            .service(onboarding::api::list_templates)
            .service(onboarding::api::list_template_versions)
            .service(onboarding::api::template_schema)
            .service(onboarding::api::show_template)
            .service(onboarding::api::put_template)
            .service(onboarding::api::delete_template)
            .service(agents::api::create_agents)
            .service(agents::api::create_agent)
            .service(agents::api::list_agents)
            .service(agents::api::update_agents)
            .service(agents::api::delete_agents)
            .service(agents::api::show_agent)
            .service(agents::api::agent_by_email)
            .service(agents::api::put_agent)
            .service(agents::api::update_agent)
            .service(agents::api::delete_agent)
            .service(pools::api::create_pool)
            .service(pools::api::list_pools)
            .service(pools::api::show_pool)
            .service(pools::api::update_pool)
            .service(pools::api::delete_pool)
            .service(pools::api::reserve_number)
            .service(pools::api::list_reserved_numbers)
            .service(pools::api::show_reserved_number)
            .service(pools::api::release_number)
            .service(audit::api::list_audit)
            .service(sandbox::api::play_call)
            .service(sandbox::api::list_played_calls)
            .service(sandbox::api::show_played_call)
            .service(mail::api::list_mails)
            .service(mail::api::show_mail)
            .service(clusters::api::create_cluster)
            .service(clusters::api::list_clusters)
            .service(clusters::api::show_cluster)
            .service(clusters::api::update_cluster)
            .service(clusters::api::delete_cluster)
            .service(clusters::api::list_configurations)
            .service(clusters::api::show_configuration)
            .service(clusters::api::put_configuration)
            .service(clusters::api::delete_configuration)
            .service(extensions::api::create_extension)
            .service(extensions::api::rotate_secret)
            .service(extensions::api::list_extensions)
            .service(extensions::api::update_extensions)
            .service(extensions::api::delete_extensions)
            .service(extensions::api::show_extension)
            .service(extensions::api::extension_by_number)
            .service(extensions::api::put_extension)
            .service(extensions::api::update_extension)
            .service(extensions::api::delete_extension)
            .service(groups::api::create_group)
            .service(groups::api::list_groups)
            .service(groups::api::update_groups)
            .service(groups::api::delete_groups)
            .service(groups::api::show_group)
            .service(groups::api::group_by_name)
            .service(groups::api::put_group)
            .service(groups::api::update_group)
            .service(groups::api::delete_group)
            .service(destinations::api::create_destination)
            .service(destinations::api::list_destinations)
            .service(destinations::api::show_destination)
            .service(destinations::api::destination_by_name)
            .service(destinations::api::put_destination)
            .service(destinations::api::update_destination)
            .service(destinations::api::delete_destination)
            .service(dialplan::api::create_entry)
            .service(dialplan::api::list_entries)
            .service(dialplan::api::show_entry)
            .service(dialplan::api::update_entry)
            .service(dialplan::api::delete_entry)
            .service(numbers::api::create_number)
            .service(numbers::api::create_numbers)
            .service(numbers::api::upload_numbers)
            .service(numbers::api::list_numbers)
            .service(numbers::api::show_agent_numbers)
            .service(numbers::api::choose_number)
            .service(numbers::api::assign_number)
            .service(numbers::api::unassign_number)
            .service(numbers::api::update_numbers)
            .service(numbers::api::delete_numbers)
            .service(numbers::api::show_number)
            .service(numbers::api::number_by_number)
            .service(numbers::api::put_number)
            .service(numbers::api::update_number)
            .service(numbers::api::delete_number)
            .service(carriers::api::create_carrier)
            .service(carriers::api::list_carriers)
            .service(carriers::api::show_carrier)
            .service(carriers::api::carrier_by_name)
            .service(carriers::api::put_carrier)
            .service(carriers::api::update_carrier)
            .service(carriers::api::delete_carrier)
            .service(carriers::api::replace_rates)
            .service(carriers::api::upload_rates)
            .service(carriers::api::list_rates)
            .service(carriers::api::preview_rates)
            .service(carriers::api::test_carrier)
            .service(exchange::api::set_exchange_rate)
            .service(exchange::api::list_exchange_rates)
            .service(exchange::api::show_exchange_rate)
            .service(exchange::api::delete_exchange_rate)
            .service(calls::api::list_outbound_calls)
            .service(calls::api::list_unreadable_records)
            .service(calls::api::show_unreadable_record)
            .service(calls::api::list_unreadable_call_records)
            .service(calls::api::read_records_again)
            .service(history::api::list_calls)
            .service(history::api::count_calls)
            .service(history::api::export_calls)
            .service(control::written::show_call)
            .service(control::written::update_call)
            .service(recordings::api::list_recordings)
            .service(recordings::api::show_recording)
            .service(recordings::api::hear_recording)
            .service(recordings::api::share_recording)
            .service(recordings::api::update_recording)
            .service(recordings::api::delete_recording)
            .service(recordings::api::hear_shared_recording)
            .service(voicemail::api::list_voicemail)
            .service(voicemail::api::list_mailboxes)
            .service(voicemail::api::show_voicemail)
            .service(voicemail::api::hear_voicemail)
            .service(voicemail::api::mark_voicemail)
            .service(voicemail::api::delete_voicemail)
            .service(voicemail::api::forward_voicemail)
            .service(voicemail::api::show_greetings)
            .service(voicemail::api::choose_greeting)
            .service(voicemail::api::remove_greeting)
            .service(reports::api::report_calls)
            .service(reports::api::export_report)
            .service(usage::api::show_usage)
            .service(usage::api::show_usage_limits)
            .service(usage::api::update_usage_limits)
            .service(contacts::api::create_contact)
            .service(contacts::api::list_contacts)
            .service(contacts::api::look_up_contact)
            .service(contacts::api::import_contacts)
            .service(contacts::api::export_contacts)
            .service(contacts::api::show_contact)
            .service(contacts::api::update_contact)
            .service(contacts::api::delete_contact)
            .service(erasures::api::create_erasure)
            .service(erasures::api::list_erasures)
            .service(erasures::api::show_erasure)
            .service(simulate::api::preview_route)
            .service(simulate::api::explain_route)
            .service(switches::api::create_switch)
            .service(switches::api::list_switches)
            .service(switches::api::show_switch)
            .service(switches::api::update_switch)
            .service(switches::api::delete_switch)
            .service(link::api::put_event_socket)
            .service(link::api::show_event_socket)
            .service(link::api::delete_event_socket)
            .service(link::api::list_switch_gateways)
            .service(link::api::list_switch_pushes)
            .service(link::api::list_switch_cleanups)
            .service(link::api::list_carrier_gateways)
            .service(live::api::live_registrations)
            .service(live::api::live_calls)
            .service(live::api::live_queues)
            .service(live::api::live_agents)
            .service(agent_status::show_agent_status)
            .service(agent_status::set_agent_status)
            .service(agent_status::set_agent_wrap_up)
            .service(agent_status::list_agent_activity)
            .service(live::api::live_conferences)
            .service(live::api::live_parked)
            .service(live::api::live_gateways)
            .service(live::stream::listen_to_events)
            .service(messages::api::list_chat_people)
            .service(messages::api::mark_chat_seen)
            .service(messages::api::list_chat_messages)
            .service(messages::api::send_chat_message)
            .service(messages::api::list_notices)
            .service(messages::api::send_notice)
            .service(call_backs::api::list_call_backs)
            .service(call_backs::api::show_call_back)
            .service(call_backs::api::cancel_call_back)
            .service(control::api::make_call)
            .service(control::api::show_call_job)
            .service(control::api::act_on_call)
            .service(control::api::supervise_call)
            .service(monitoring::health::show_health)
            .service(monitoring::stats::show_stats)
            .service(monitoring::errors::show_errors)
            .service(switches::api::drain_switch)
            .service(switches::api::resume_switch)
            .service(webhooks::api::create_webhook)
            .service(webhooks::api::list_webhooks)
            .service(webhooks::api::show_webhook)
            .service(webhooks::api::update_webhook)
            .service(webhooks::api::delete_webhook)
            .service(webhooks::api::rotate_webhook_secret)
            .service(webhooks::api::test_webhook)
            .service(webhooks::api::replay_webhook)
            .service(webhooks::api::list_deliveries)
            .service(webhooks::api::show_delivery)
            .service(webhooks::api::replay_delivery)
            .service(keys::api::create_key)
            .service(keys::api::list_keys)
            .service(keys::api::show_key)
            .service(keys::api::update_key)
            .service(keys::api::delete_key)
            .service(keys::api::rotate_key)
    };
}

/// Adds the routes to a worker.
pub fn api(config: &mut web::ServiceConfig) {
    every_route!(config);
}

/// The same routes, for their description.
pub fn described(config: &mut ServiceConfig) {
    every_route!(config);
}

/// Adds routes that the description leaves out: the node's state.
pub fn status(config: &mut web::ServiceConfig) {
    config.service(status::healthz).service(status::metrics);
    config.service(status::readyz).service(status::ready_for_switches).service(status::ready_for_people);
}

/// The headers of every answer from the app listener.
#[must_use]
pub fn default_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Referrer-Policy", "same-origin"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
        .add(("Cache-Control", "no-store"))
}

/// What holds for the whole API.
const ABOUT: &str = "The control plane of a FreeSWITCH fleet.

**Who asks.** Send a key as `X-API-Key`, or an access token as `Authorization: Bearer …`. What belongs to another tenant is 404.

**Tenants.** Paths below `/v1/tenants/{tenant_id}` name the tenant. Elsewhere it is the tenant of whoever asks; platform administrators name \
it with `?tenant_id=`. Lists of what belongs to the platform or to a tenant (carriers, keys, webhooks) take `?tenant_id=` as a filter. A tenant \
that does not exist is 404, also for lists.

**Lists** come in pages: `limit`, and `cursor` with the `next_cursor` of the page before. Query parameters that an operation does not have \
are refused.

**Changes** are in force with a switch's next fetch once `Dialplane-Visible` says that all nodes have seen them. `If-Match` with the `ETag` \
that was read keeps two people from overwriting each other; `Idempotency-Key` makes it safe to send a request again.

**Refusals** are `application/problem+json` (RFC 9457). Programs compare `code`; `/problems` explains each.

**Limits.** Where something is limited (wrong passwords, keys and links, sign-ups, calls that are made, streams, large uploads, played calls), \
answers say what is left: `RateLimit-Policy` what is allowed, `RateLimit` how many more there are and in how many seconds there are more again. \
Each 429 has `Retry-After`.

**Test mode.** A tenant that is created with `sandbox: true` works like any other, but nothing of it is dialled or mailed outside: **no call \
reaches an emergency service.** `/v1/sandbox/calls` plays calls, and `/v1/sandbox/mails` has what would have been sent.

**Times** are UTC (RFC 3339), numbers E.164, money whole millionths of the currency's unit.

**Versions.** Within `/v1`, fields, parameters, codes and operations are only added: ignore what you don't know. What is to go answers \
with `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) headers for at least a year before, and is marked here.";

#[derive(OpenApi)]
#[openapi(
    info(title = "Dialplane", description = ABOUT, license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    security(("api_key" = []), ("bearer" = [])),
    modifiers(&SecuritySchemes)
)]
pub struct ApiDescription;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        components.add_security_scheme("api_key", key);
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// Turns actix's own answer to a body that is too large into a problem.
pub async fn large_bodies(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let answer = next.call(request).await?.map_into_boxed_body();
    let error = answer.response().error().and_then(|error| error.as_error::<PayloadError>());
    if !matches!(error, Some(PayloadError::Overflow)) {
        return Ok(answer);
    }
    let problem = Problem::from(Code::BodyTooLarge.with("mebibytes", crate::http::input::MAX_BODY >> 20));
    Ok(answer.into_response(HttpResponse::from_error(problem)))
}

/// What is wrong with a query, without what was sent.
fn in_query(error: &QueryPayloadError) -> String {
    match error {
        QueryPayloadError::Deserialize(error) => Why::of_serde(&error.to_string()).english().into_owned(),
        _ => "it is not of the form name=value&name=value".to_owned(),
    }
}

/// Turns actix's own errors into problems, such as a path that is not an id, or an unreadable query.
pub fn error_handlers(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PathConfig::default().error_handler(|_, _| Problem::not_found("thing").into()))
        .app_data(
            web::QueryConfig::default()
                .error_handler(|error, _| Problem::from(Code::QueryUnreadable.with("reason", in_query(&error))).into()),
        )
        .app_data(web::PayloadConfig::new(crate::http::input::MAX_BODY));
}
