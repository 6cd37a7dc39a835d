//! The table of codes: one line each, with name, kind, advice, and the sentence in English and German.

use super::{Advice, Kind, Texts};

macro_rules! codes {
    ($($code:ident $name:literal $kind:ident $advice:ident $english:literal $german:literal;)+) => {
        /// Why something was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($code),+ }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The name in problems. It never changes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name),+ }
            }

            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$code => Kind::$kind),+ }
            }

            #[must_use]
            pub const fn advice(self) -> Advice {
                match self { $(Self::$code => Advice::$advice),+ }
            }

            #[must_use]
            pub const fn texts(self) -> Texts {
                match self { $(Self::$code => Texts { english: $english, german: $german }),+ }
            }
        }
    };
}

codes! {
    // What does not exist, or is not yours.
    NotFound "not_found" NotFound NameExisting "Not found: {what}." "Nicht gefunden: {what}.";
    PageNotFound "page_not_found" NotFound NameExisting "This page does not exist." "Diese Seite gibt es nicht.";
    Forbidden "forbidden" Forbidden AskAdministrator "Your role or your API key's scopes don't allow this." "Ihre Rolle oder die Berechtigungen Ihres API-Schlüssels erlauben das nicht.";
    FieldNotYours "field_not_yours" Forbidden AskAdministrator "Only an administrator can change {field}." "{field} kann nur die Verwaltung ändern.";
    RoleNotYours "role_not_yours" Forbidden AskAdministrator "You can't change somebody with this role." "Jemanden mit dieser Rolle können Sie nicht ändern.";
    SecondFactorStaysRequired "second_factor_stays_required" Forbidden AskAdministrator "Only a platform administrator can make the second factor optional again." "Nur die Plattformverwaltung kann den zweiten Faktor wieder freistellen.";
    XmlNotYours "xml_not_yours" Forbidden AskAdministrator "Only platform administrators can create XML entries." "Einträge aus XML kann nur die Plattformverwaltung anlegen.";
    XmlNotYoursToChange "xml_not_yours_to_change" Forbidden AskAdministrator "Only platform administrators can change XML entries." "Einträge aus XML kann nur die Plattformverwaltung ändern.";
    XmlNotYoursToDelete "xml_not_yours_to_delete" Forbidden AskAdministrator "Only platform administrators can delete XML entries." "Einträge aus XML kann nur die Plattformverwaltung löschen.";
    TenantIsBeingDeleted "tenant_is_being_deleted" Conflict ChangeFirst "The tenant is being deleted, so nothing can be added to it. Set its status to active first." "Der Mandant wird gerade gelöscht: Es kommt nichts mehr hinzu. Setzen Sie zuerst seinen Status auf active.";
    FeatureOff "feature_off" Conflict ChangeFirst "{feature} is switched off for this tenant. Switch it on first: features.{feature} in its settings." "{feature} ist für diesen Mandanten ausgeschaltet. Schalten Sie es zuerst ein: features.{feature} in den Einstellungen.";
    EmailHasAccount "email_has_account" Conflict ChooseAnother "This e-mail address already has an account. Sign in with it, or have another address entered." "Zu dieser E-Mail-Adresse gibt es bereits ein Konto. Melden Sie sich damit an, oder lassen Sie eine andere Adresse eintragen.";
    KeyAboveYours "key_above_yours" Forbidden AskAdministrator "The key has more rights than you have." "Der Schlüssel hat mehr Rechte als Sie.";
    NotFromOurPage "not_from_our_page" Forbidden ReadAgain "The request did not come from one of our pages. Reload the page. Scripts must send its token as X-CSRF-Token." "Die Anfrage kam nicht von einer unserer Seiten. Laden Sie die Seite neu. Skripte müssen deren Token als X-CSRF-Token senden.";
    // Test mode.
    NotASandbox "not_a_sandbox" Conflict ReadDescription "Only for a tenant that was created as a sandbox (sandbox: true)." "Nur für Mandanten, die als Testmandant angelegt wurden (sandbox: true).";
    TooManyPlayed "too_many_played" TooMany Wait "At most {most} calls are played in a minute. Try again in {seconds} seconds." "In einer Minute werden höchstens {most} Anrufe gespielt. Versuchen Sie es in {seconds} Sekunden wieder.";
    RingsNobody "rings_nobody" Field Correct "does not fit: nobody is rung by this call, whose route is {route}" "passt nicht: Dieser Anruf lässt niemanden klingeln, sein Weg ist {route}";
    NotRung "not_rung" Field Correct "is not rung by this call" "klingelt bei diesem Anruf nicht";
    // Recordings.
    RecordingHeld "recording_held" Conflict ChangeFirst "This recording is under a legal hold ({reason}). End the hold first, if you may." "Diese Aufzeichnung darf nicht gelöscht werden ({reason}). Heben Sie zuerst die Sperre auf, wenn Sie das dürfen.";
    RecordingsHeld "recordings_held" Conflict ChangeFirst "{recordings} recordings of this tenant are under a legal hold. End the holds first." "{recordings} Aufzeichnungen dieses Mandanten dürfen nicht gelöscht werden. Heben Sie zuerst deren Sperren auf.";
    RecordingsAway "recordings_away" Unavailable Wait "The store of recordings can't be read right now." "Der Speicher der Aufzeichnungen ist gerade nicht lesbar.";
    // Erasures.
    ErasureHeld "erasure_held" Conflict ChangeFirst "{recordings} recordings of calls with this person are under a legal hold. End the holds first, if you may." "{recordings} Aufzeichnungen von Anrufen mit dieser Person dürfen nicht gelöscht werden. Heben Sie zuerst deren Sperren auf, wenn Sie das dürfen.";
    ErasuresUnderWay "erasures_under_way" Conflict Wait "{most} people are being erased already. Try again when one of these erasures is done." "Es werden schon {most} Personen gelöscht. Versuchen Sie es wieder, wenn eine dieser Löschungen fertig ist.";
    OwnNumber "own_number" Field Correct "is a phone number of your own" "ist eine eigene Rufnummer";
    // Voicemail.
    VoicemailAway "voicemail_away" Unavailable Wait "The switch that keeps the messages can't be asked right now. Try again in a moment." "Der Switch, auf dem die Nachrichten liegen, ist gerade nicht erreichbar. Versuchen Sie es gleich noch einmal.";
    VoicemailRefused "voicemail_refused" Conflict ReadAgain "The switch refused to change the mailbox: {answer}." "Der Switch hat die Änderung am Postfach abgelehnt: {answer}.";
    VoicemailNotHere "voicemail_not_here" Unavailable Wait "The sound of this message has not come from the switch yet. Try again in some seconds." "Der Ton dieser Nachricht ist noch nicht vom Switch gekommen. Versuchen Sie es in einigen Sekunden wieder.";
    GreetingNotRecorded "greeting_not_recorded" Field Correct "was not recorded yet" "wurde noch nicht aufgesprochen";
    HasNoVoicemail "has_no_voicemail" Field Correct "takes no messages" "nimmt keine Nachrichten an";
    // Acting on calls.
    CallGone "call_gone" NotFound ReadAgain "The call is over, or it is not yours." "Das Gespräch ist zu Ende, oder es ist nicht Ihres.";
    NoPhoneInCall "no_phone_in_call" Conflict ReadAgain "None of your phones is in this call, so there is nobody to do this for." "An diesem Gespräch ist keines Ihrer Telefone beteiligt: Es gibt niemanden, für den das geschehen könnte.";
    NoWrapUp "no_wrap_up" Conflict ReadAgain "The agent is not in wrap-up, so there is nothing to change." "Der Mitarbeiter ist nicht in der Nachbearbeitung: Es gibt nichts zu ändern.";
    NotConnected "not_connected" Conflict ReadAgain "The phone is connected with nobody right now." "Das Telefon ist gerade mit niemandem verbunden.";
    PageNotThere "page_not_there" Conflict ReadAgain "The page that asks for the call is not registered at the call's switch." "Die Seite, die das Gespräch zurückholen möchte, ist am Switch des Gesprächs nicht angemeldet.";
    NotBroughtBack "not_brought_back" Conflict ReadAgain "The page did not answer, so the call could not be brought back to it." "Die Seite hat nicht geantwortet, deshalb ließ sich das Gespräch nicht zurückholen.";
    WrongReturnSeconds "wrong_return_seconds" Unprocessable Correct "Give 10 to 600 seconds, or 0 if nobody is to be sent on." "Geben Sie 10 bis 600 Sekunden an, oder 0, wenn niemand weitergeleitet werden soll.";
    NotAnsweredYet "not_answered_yet" Conflict ReadAgain "Nobody has answered yet." "Es hat noch niemand abgehoben.";
    NobodyAside "nobody_aside" Conflict ReadAgain "No consultation is in progress on this call. Begin with the action consult." "In diesem Gespräch läuft keine Rückfrage. Beginnen Sie mit der Aktion consult.";
    SomebodyAside "somebody_aside" Conflict ReadAgain "A consultation is already in progress on this call." "In diesem Gespräch läuft schon eine Rückfrage.";
    NobodyPays "nobody_pays" Conflict ChangeFirst "Sending the waiting caller to {to} needs an extension of your own that may call there, because it is charged. The caller stays where they are." "Um den wartenden Anrufer an {to} weiterzugeben, brauchen Sie eine eigene Nebenstelle, die dort anrufen darf, denn sie zahlt. Der Anrufer bleibt, wo er ist.";
    NotSentThere "not_sent_there" Conflict ChangeFirst "A call to {to} would go nowhere ({reason}). Whoever waits stays where they are." "Ein Anruf an {to} ginge nirgendwohin ({reason}). Der Anrufer bleibt, wo er ist.";
    CantBePlayed "cant_be_played" Conflict ReadDescription "This can't be done to a call that is played in a sandbox: docs/sandbox.md lists what can." "Das geht nicht bei einem Gespräch, das in einem Testmandanten gespielt wird: docs/sandbox.md nennt, was geht.";
    NotParked "not_parked" Conflict ReadAgain "The call is not parked." "Das Gespräch ist nicht geparkt.";
    IsRecorded "is_recorded" Conflict ReadAgain "The call is recorded already." "Das Gespräch wird schon aufgezeichnet.";
    RecordedByPolicy "recorded_by_policy" Forbidden AskAdministrator "The company records this call. You can pause the recording, but only a manager can stop it." "Das Unternehmen zeichnet dieses Gespräch auf. Sie können die Aufzeichnung anhalten, beenden kann sie nur eine Leitung.";
    NotRecorded "not_recorded" Conflict ReadAgain "The call is not recorded." "Das Gespräch wird nicht aufgezeichnet.";
    CallBackUnderWay "call_back_under_way" Conflict ReadAgain "An agent's phone calls this number at this moment. End that call, or wait until it is over." "Gerade ruft ein Mitarbeiter diese Nummer an. Beenden Sie dieses Gespräch, oder warten Sie, bis es vorbei ist.";
    CallBackOver "call_back_over" Conflict ReadAgain "Nobody will call this number any more: it was reached, given up or cancelled." "Diese Nummer wird nicht mehr angerufen: Sie wurde erreicht, aufgegeben oder abgebrochen.";
    ActedOn "acted_on" Conflict ReadAgain "Somebody else acts on this call at this moment. Read it again before you try again." "Gerade führt jemand anderes an diesem Gespräch etwas aus. Lesen Sie es noch einmal, bevor Sie es wieder versuchen.";
    SwitchRefused "switch_refused" Conflict ReadAgain "The switch refused: {answer}. The call has changed, perhaps because somebody else was faster." "Der Switch hat abgelehnt: {answer}. Das Gespräch ist anders als eben, vielleicht war jemand schneller.";
    NoPhoneRegistered "no_phone_registered" Conflict ChangeFirst "No phone of the extension {extension} is registered." "Kein Telefon der Nebenstelle {extension} ist angemeldet.";
    WhichPhone "which_phone" Unprocessable Correct "Say whose phone is called first: agent_id or extension_id." "Sagen Sie, wessen Telefon zuerst angerufen wird: agent_id oder extension_id.";
    TooManyMessages "too_many_messages" TooMany Wait "At most {most} messages a minute. Try again in a while." "Höchstens {most} Nachrichten in einer Minute. Versuchen Sie es etwas später noch einmal.";
    TooManyStreams "too_many_streams" TooMany Wait "Too many connections listen to events already. Close some, or try again in a while." "Es hören schon zu viele Verbindungen auf Ereignisse. Schließen Sie einige, oder versuchen Sie es später noch einmal.";
    TooManyCallsPlaced "too_many_calls_placed" TooMany Wait "Too many calls are made at once. Try again in a second." "Es werden zu viele Anrufe auf einmal hergestellt. Versuchen Sie es in einer Sekunde noch einmal.";
    SupervisionForbidden "supervision_forbidden" Forbidden AskAdministrator "The company does not want calls to be listened to: calling.supervision in its settings." "Die Firma möchte nicht, dass Gespräche mitgehört werden: calling.supervision in ihren Einstellungen.";
    // Signing in.
    Unauthorized "unauthorized" Unauthorized SignIn "You are not signed in. Send an API key as X-API-Key, or an access token as Authorization: Bearer." "Sie sind nicht angemeldet. Senden Sie einen API-Schlüssel als X-API-Key, oder ein Token als Authorization: Bearer.";
    WrongPassword "wrong_password" Unauthorized SignIn "The e-mail address or the password is wrong." "Die E-Mail-Adresse oder das Passwort ist falsch.";
    AccountSuspended "account_suspended" Unauthorized AskAdministrator "This account is suspended." "Dieses Konto ist gesperrt.";
    RefreshTokenExpired "refresh_token_expired" Unauthorized SignIn "The refresh token has expired. Sign in again." "Das Token zum Erneuern ist abgelaufen. Melden Sie sich wieder an.";
    SecondFactorNeeded "second_factor_needed" Unauthorized SignIn "Enter the code from your authenticator app as well." "Geben Sie auch den Code Ihrer Authentifizierungs-App ein.";
    ConfirmEmailFirst "confirm_email_first" Conflict ChangeFirst "Confirm your e-mail address first, with the link in the mail we sent you." "Bestätigen Sie zuerst Ihre E-Mail-Adresse mit dem Link in der Mail, die wir Ihnen gesendet haben.";
    SecondFactorIsSetUp "second_factor_is_set_up" Conflict SecondFactor "A second factor is already set up. Switch it off first." "Ein zweiter Faktor ist schon eingerichtet. Schalten Sie ihn zuerst ab.";
    NoSecondFactorToConfirm "no_second_factor_to_confirm" Conflict SecondFactor "There is no second factor to confirm. Start setting one up first." "Es gibt keinen zweiten Faktor zu bestätigen. Beginnen Sie zuerst mit dem Einrichten.";
    SecondFactorRequired "second_factor_required" Conflict SecondFactor "Your account must have a second factor." "Ihr Konto muss einen zweiten Faktor haben.";
    // What is already in use.
    NumberTaken "number_taken" Conflict ChooseAnother "{number} is already in use." "{number} wird bereits verwendet.";
    NameTakenBy "name_taken_by" Conflict ChooseAnother "{name} is already in use by {kind} {id}." "{name} wird bereits verwendet: {kind} {id}.";
    ExternalIdTaken "external_id_taken" Conflict ChooseAnother "The external_id {external_id} is already in use by {kind} {id}." "Die external_id {external_id} wird bereits verwendet: {kind} {id}.";
    NameTaken "name_taken" Conflict ChooseAnother "{name} is already in use in this tenant." "{name} wird bei diesem Mandanten bereits verwendet.";
    SipUsernameUsed "sip_username_used" Conflict ChooseAnother "A deleted extension had the SIP username {name}. Switches may still keep its registration and mailbox, so it can't be used again. Choose another, or leave it out to get a new one." "Eine gelöschte Nebenstelle hatte den SIP-Benutzer {name}. Switches haben vielleicht noch ihre Anmeldung und ihr Postfach, deshalb wird er nicht wieder vergeben. Wählen Sie einen anderen, oder lassen Sie ihn weg, um einen neuen zu bekommen.";
    CarrierNameTaken "carrier_name_taken" Conflict ChooseAnother "A carrier already has this name." "Ein Carrier hat bereits diesen Namen.";
    TemplateNameTaken "template_name_taken" Conflict ChooseAnother "A template named {name} already exists." "Eine Vorlage namens {name} gibt es bereits.";
    ClusterNameTaken "cluster_name_taken" Conflict ChooseAnother "A cluster named {name} already exists." "Einen Cluster namens {name} gibt es bereits.";
    SwitchNameTaken "switch_name_taken" Conflict ChooseAnother "A switch named {name} already exists." "Einen Switch namens {name} gibt es bereits.";
    DomainOfCluster "domain_of_cluster" Conflict ChooseAnother "The domain {domain} is a SIP domain of a cluster, to which other clusters send calls. Choose another." "Die Domain {domain} ist eine SIP-Domain eines Clusters, an die andere Cluster Anrufe senden. Wählen Sie eine andere.";
    SipDomainOfTenant "sip_domain_of_tenant" Conflict ChooseAnother "One of these SIP domains is a tenant's domain, or was and still works. Choose another." "Eine dieser SIP-Domains ist die Domain eines Mandanten, oder war es und gilt noch. Wählen Sie eine andere.";
    FormerDomainsFull "former_domains_full" Conflict ChangeFirst "The tenant already keeps {most} former domains, which is the most. End one of them first, or set keep_former_days to 0." "Der Mandant behält schon {most} frühere Domains, mehr geht nicht. Beenden Sie zuerst eine davon, oder setzen Sie keep_former_days auf 0.";
    DomainTaken "domain_taken" Conflict ChooseAnother "The domain {domain} is already in use." "Die Domain {domain} wird bereits verwendet.";
    EmailTaken "email_taken" Conflict ChooseAnother "{email} is already in use." "{email} wird bereits verwendet.";
    ThisEmailTaken "this_email_taken" Conflict ChooseAnother "This e-mail address is already in use." "Diese E-Mail-Adresse wird bereits verwendet.";
    EmailOfATenant "email_of_a_tenant" Conflict ChooseAnother "{email} is already in use by somebody of a tenant. Choose another address." "{email} wird bereits bei einem Mandanten verwendet. Nehmen Sie eine andere Adresse.";
    PoolOverlaps "pool_overlaps" Conflict ChooseAnother "It overlaps the pool {first} to {last}." "Er überschneidet sich mit dem Bereich {first} bis {last}.";
    NumberOutsidePools "number_outside_pools" Conflict NameExisting "{number} is in none of the tenant's pools. Choose a number from a pool, or add a pool with it." "{number} liegt in keinem Nummernbereich des Mandanten. Wählen Sie eine Nummer aus einem Bereich, oder legen Sie einen Bereich mit ihr an.";
    ExtensionTaken "extension_taken" Conflict ChooseAnother "The extension {number} is already in use." "Die Nebenstelle {number} wird bereits verwendet.";
    NumberHeld "number_held" Conflict ChooseAnother "{number} is reserved, or it rests because something had it recently. Choose another, or release it first." "{number} ist reserviert, oder sie ruht, weil sie bis vor Kurzem vergeben war. Wählen Sie eine andere, oder geben Sie sie zuerst frei.";
    DomainRests "domain_rests" Conflict ChooseAnother "Another tenant had the domain {domain} recently, and phones and links may still mean that tenant. Until {until}, only a platform administrator can use it again, with \"reuse\": true." "Die Domain {domain} hatte bis vor Kurzem ein anderer Mandant: Telefone und Links meinen vielleicht noch ihn. Bis {until} kann nur die Plattformverwaltung sie wieder vergeben, mit \"reuse\": true.";
    SipUsernamesUsedIn "sip_usernames_used_in" Conflict ChooseAnother "In the domain {domain}, another extension had the SIP username {name}, and switches may still keep its registration and its mailbox. Choose another domain." "In der Domain {domain} hatte eine andere Nebenstelle den SIP-Benutzer {name}; Switches haben vielleicht noch ihre Anmeldung und ihr Postfach. Wählen Sie eine andere Domain.";
    NumberMeansElse "number_means_else" Conflict ChooseAnother "{number} is an emergency number or a feature code here." "{number} ist hier eine Notrufnummer oder ein Funktionscode.";
    NumberWouldMeanElse "number_would_mean_else" Conflict ChooseAnother "{name} would become an emergency number or a feature code, but is in use by {kind} {id}." "{name} würde zu einer Notrufnummer oder einem Funktionscode, wird aber verwendet: {kind} {id}.";
    NumberWantedTwice "number_wanted_twice" Conflict ChooseAnother "{number} is listed twice." "{number} ist zweimal angegeben.";
    LineTwice "line_twice" Conflict CorrectFile "This appears twice in the list." "Das steht zweimal in der Liste.";
    // What has to be changed first.
    SeveralOfThisName "several_of_this_name" Conflict ChangeFirst "There are several of kind {kind} with the name {name}. Name them differently, or use the id." "Es gibt mehrere der Art {kind} mit dem Namen {name}. Benennen Sie sie verschieden, oder nehmen Sie die Kennung.";
    WebhooksFull "webhooks_full" Conflict MakeRoom "There are {most} webhooks already, which is the most." "Es gibt schon {most} Webhooks; mehr sind nicht möglich.";
    FormerDomain "former_domain" Conflict ChooseAnother "This is a former domain of a tenant, whose domain is {domain} now." "Das ist eine frühere Domain eines Mandanten, dessen Domain jetzt {domain} ist.";
    LastOwner "last_owner" Conflict ChangeFirst "This is the tenant's last owner. Make somebody else an owner first." "Das ist der letzte Inhaber. Machen Sie zuerst jemand anderen zum Inhaber.";
    OwnerSuspended "owner_suspended" Conflict ChangeFirst "The agent of this extension is suspended. Activate the agent instead." "Die Person dieser Nebenstelle ist gesperrt. Geben Sie stattdessen die Person frei.";
    NumberAssigned "number_assigned" Conflict ChangeFirst "It is assigned to {agent} (agent {id}). Unassign it first." "Sie ist {agent} zugewiesen (Person {id}). Heben Sie zuerst die Zuweisung auf.";
    NumberOfAnother "number_of_another" Conflict ChangeFirst "{number} is assigned to {agent} (agent {id}). Send \"take_over\": true to move it." "{number} ist {agent} zugewiesen (Person {id}). Senden Sie \"take_over\": true, um sie zu übernehmen.";
    AgentSuspended "agent_suspended" Conflict ChangeFirst "{agent} is suspended. Activate the agent first." "{agent} ist gesperrt. Aktivieren Sie die Person zuerst.";
    NotInvited "not_invited" Conflict ReadAgain "The invitation was already accepted." "Die Einladung wurde bereits angenommen.";
    NumberNotAssigned "number_not_assigned" Conflict ReadAgain "It is not assigned." "Sie ist nicht zugewiesen.";
    InUse "in_use" Conflict ChangeFirst "It is still in use. First change: {users}." "Es wird noch benutzt. Ändern Sie zuerst: {users}.";
    DefaultClusterStays "default_cluster_stays" Conflict ChangeFirst "The default cluster can't be deleted. Set its status to draining instead." "Der Standard-Cluster kann nicht gelöscht werden. Setzen Sie stattdessen seinen Status auf „draining“.";
    ClusterInUse "cluster_in_use" Conflict ChangeFirst "It still has {tenants} tenants and {switches} switches. Move or delete them first." "Er hat noch {tenants} Mandanten und {switches} Switches. Ziehen Sie sie zuerst um oder löschen Sie sie.";
    TenantInUse "tenant_in_use" Conflict ChangeFirst "The tenant still has {extensions} extensions, {groups} groups and {numbers} numbers. To delete them as well, use ?cascade=true, on the command line --cascade." "Der Mandant hat noch {extensions} Nebenstellen, {groups} Gruppen und {numbers} Rufnummern. Um diese mitzulöschen, verwenden Sie ?cascade=true, an der Kommandozeile --cascade.";
    Changed "changed" Changed ReadAgain "Somebody changed it meanwhile: it now has version {version}. Read it again." "Es wurde inzwischen geändert und hat jetzt Version {version}. Laden Sie es neu.";
    // Limits.
    PoolExhausted "pool_exhausted" Conflict MakeRoom "There are not {wanted} free extension numbers: {free} are free, {used} used, {held} reserved or resting. Enlarge a pool, or add one." "Es gibt keine {wanted} freien Nebenstellen: {free} sind frei, {used} benutzt, {held} reserviert oder ruhend. Vergrößern Sie einen Bereich oder fügen Sie einen hinzu.";
    NoClusterInRegion "no_cluster_in_region" Conflict MakeRoom "No cluster in {region} with an active switch has room for another tenant. Add a switch there, raise a cluster's max_tenants, or name a cluster with cluster_id." "Kein Cluster in {region} mit einem aktiven Switch hat Platz für einen weiteren Mandanten. Legen Sie dort einen Switch an, erhöhen Sie max_tenants eines Clusters, oder nennen Sie mit cluster_id einen Cluster.";
    NoCluster "no_cluster" Conflict MakeRoom "No cluster with an active switch has room for another tenant. Add a switch, raise a cluster's max_tenants, or name a cluster with cluster_id." "Kein Cluster mit einem aktiven Switch hat Platz für einen weiteren Mandanten. Legen Sie einen Switch an, erhöhen Sie max_tenants eines Clusters, oder nennen Sie mit cluster_id einen Cluster.";
    ClusterFull "cluster_full" Conflict MakeRoom "The cluster {cluster} is not active, or has no room for another tenant." "Der Cluster {cluster} ist nicht aktiv oder hat keinen Platz für einen weiteren Mandanten.";
    EntriesFull "entries_full" Conflict MakeRoom "A tenant has at most {most} entries." "Ein Mandant hat höchstens {most} Einträge.";
    TooMuchWork "too_much_work" Field MakeRoom "would make the tenant's entries take {cost} steps per call ({own} for this entry), but at most {most} are allowed: use fewer conditions, smaller repetitions in patterns, or one pattern instead of several entries" "ließe die Einträge des Mandanten {cost} Schritte je Anruf kosten ({own} für diesen Eintrag), erlaubt sind höchstens {most}: Nehmen Sie weniger Bedingungen, kleinere Wiederholungen in Mustern oder ein Muster statt mehrerer Einträge";
    TooMuchXml "too_much_xml" Field MakeRoom "would make the tenant's XML entries {bytes} bytes long, but at most {most} are allowed" "würde die XML-Einträge des Mandanten {bytes} Bytes lang machen, erlaubt sind höchstens {most}";
    PlanTooLarge "plan_too_large" Field MakeRoom "would make the tenant's settings, destinations and entries {bytes} bytes long, but at most {most} are allowed: delete or shorten something" "würde Einstellungen, Ziele und Einträge des Mandanten {bytes} Bytes lang machen, erlaubt sind höchstens {most}: Löschen oder kürzen Sie etwas";
    TooManyAttempts "too_many_attempts" TooMany Wait "Too many attempts. Try again in {seconds} seconds." "Zu viele Versuche. Versuchen Sie es in {seconds} Sekunden wieder.";
    ChangesUnderWay "changes_under_way" TooMany Wait "Other changes are under way. Try again in {seconds} seconds." "Andere Änderungen sind noch im Gange. Versuchen Sie es in {seconds} Sekunden wieder.";
    TooManySignIns "too_many_sign_ins" Unavailable Wait "Too many sign-ins at once. Try again in a moment." "Zu viele Anmeldungen auf einmal. Versuchen Sie es gleich noch einmal.";
    UploadsWait "uploads_wait" Unavailable Wait "Other uploads are being worked on. Try again in a minute." "Andere Importe werden gerade bearbeitet. Versuchen Sie es in einer Minute noch einmal.";
    NodeStops "node_stops" Unavailable Wait "This node is about to stop. Try again in a moment: another one serves you." "Dieser Knoten wird gerade beendet. Versuchen Sie es gleich noch einmal: Dann bedient Sie ein anderer.";
    SwitchUnheard "switch_unheard" Unavailable Wait "The switch that has the call can't be heard right now. Try again in a moment." "Der Switch, auf dem das Gespräch ist, meldet sich gerade nicht. Versuchen Sie es gleich noch einmal.";
    SwitchAway "switch_away" Unavailable Wait "The switch takes no commands right now, so nothing was done. Try again in a moment." "Der Switch nimmt gerade keine Befehle an: Es ist nichts geschehen. Versuchen Sie es gleich noch einmal.";
    NotSeenToHappen "not_seen_to_happen" Unavailable ReadAgain "The switch took the command but did not confirm it within {seconds} seconds. Read the call again." "Der Switch hat den Befehl angenommen, aber {seconds} Sekunden lang nicht bestätigt. Lesen Sie das Gespräch noch einmal.";
    NoSwitchForCall "no_switch_for_call" Conflict Wait "No switch can make the call right now. Try again in a moment." "Gerade kann kein Switch den Anruf herstellen. Versuchen Sie es gleich noch einmal.";
    DatabaseUnavailable "database_unavailable" Unavailable Wait "The database is not available right now. Try again in a moment." "Die Datenbank ist gerade nicht erreichbar. Versuchen Sie es gleich noch einmal.";
    DatabaseFull "database_full" Unavailable MakeDiskRoom "The database's disk is full: nothing was changed. Try again when there is room." "Die Festplatte der Datenbank ist voll: Es wurde nichts geändert. Versuchen Sie es wieder, wenn Platz ist.";
    Internal "internal" Internal Report "Something went wrong on our side. The log has details under this id." "Bei uns ist etwas schiefgegangen. Unter dieser Kennung stehen Einzelheiten im Log.";
    // Requests that can't be read.
    BodyTooSlow "body_too_slow" TooSlow Wait "The body arrived too slowly or not at all." "Der Inhalt kam zu langsam oder gar nicht.";
    BodyTooLargeHere "body_too_large_here" TooLarge ReadDescription "The body is larger than {kibibytes} KiB." "Der Inhalt ist größer als {kibibytes} KiB.";
    BodyTooLarge "body_too_large" TooLarge ReadDescription "The body is larger than {mebibytes} MiB." "Der Inhalt ist größer als {mebibytes} MiB.";
    FileTooLarge "file_too_large" BadRequest CorrectFile "The file is larger than {mebibytes} MiB." "Die Datei ist größer als {mebibytes} MiB.";
    RatesTooLarge "rates_too_large" BadRequest CorrectFile "A rate sheet may have at most {mebibytes} MiB." "Eine Preisliste darf höchstens {mebibytes} MiB haben.";
    RateHeadsUnknown "rate_heads_unknown" Field CorrectFile "has no known column of prefixes, or none of prices per minute. Name them `prefix` and `price`. Its first line is: {heads}" "hat keine bekannte Spalte mit Vorwahlen oder keine mit Minutenpreisen. Nennen Sie sie `prefix` und `price`. Die erste Zeile ist: {heads}";
    RateHeadsTwice "rate_heads_twice" Field CorrectFile "has two columns that mean the same: {one} and {other}. Delete one, or give it another name" "hat zwei Spalten, die dasselbe bedeuten: {one} und {other}. Löschen Sie eine, oder nennen Sie sie anders";
    RatesUnread "rates_unread" BadRequest CorrectFile "The rates could not be read." "Die Preise konnten nicht gelesen werden.";
    FormIncomplete "form_incomplete" BadRequest Wait "The form did not arrive completely. Please send it again." "Das Formular kam nicht vollständig an. Bitte senden Sie es noch einmal.";
    NotJson "not_json" BadRequest ReadDescription "The body is not JSON: {reason}." "Der Inhalt ist kein JSON: {reason}.";
    QueryUnreadable "query_unreadable" BadRequest ReadDescription "The query can't be read: {reason}." "Die Parameter der Adresse sind nicht lesbar: {reason}.";
    UnknownSort "unknown_sort" Field ReadDescription "must be one of: {known}" "muss eines davon sein: {known}";
    UnknownMember "unknown_member" Field ReadDescription "names {name}, which these items don't have. They have: {known}" "nennt {name}, was diese Einträge nicht haben. Sie haben: {known}";
    UnknownParameter "unknown_parameter" BadRequest ReadDescription "There is no query parameter {name} here. Known are: {known}." "Den Parameter {name} gibt es hier nicht. Bekannt sind: {known}.";
    MethodNotAllowed "method_not_allowed" MethodNotAllowed ReadDescription "This path has no such method. It has {allowed}." "Diese Adresse kennt die Methode nicht, sondern {allowed}.";
    WrongMediaType "wrong_media_type" WrongType ReadDescription "The body must be {taken}, not {sent}." "Der Inhalt muss {taken} sein, nicht {sent}.";
    WrongIdempotencyKey "wrong_idempotency_key" BadRequest ReadDescription "Idempotency-Key must have 1 to 200 printable characters." "Idempotency-Key muss 1 bis 200 druckbare Zeichen haben.";
    IdempotencyKeyUsed "idempotency_key_used" Unprocessable ReadDescription "This Idempotency-Key was used for another request. Use a new one for a new request." "Dieser Idempotency-Key wurde für eine andere Anfrage benutzt. Nehmen Sie für eine neue Anfrage einen neuen.";
    WrongIfMatch "wrong_if_match" BadRequest ReadDescription "If-Match must be the ETag that a read returned, such as \"v3\"." "If-Match muss das ETag sein, das beim Lesen kam, etwa \"v3\".";
    HowToListen "how_to_listen" BadRequest ReadDescription "Ask for a WebSocket (Upgrade: websocket) or for server-sent events (Accept: text/event-stream)." "Verlangen Sie einen WebSocket (Upgrade: websocket) oder server-sent events (Accept: text/event-stream).";
    NoWebSocket "no_web_socket" BadRequest ReadDescription "This does not begin a WebSocket: {reason}." "Damit beginnt kein WebSocket: {reason}.";
    UnknownTopic "unknown_topic" BadRequest ReadDescription "There is no topic of this name. The description of /v1/events lists them." "Ein Thema dieses Namens gibt es nicht. Die Beschreibung von /v1/events nennt sie.";
    WhichTenant "which_tenant" BadRequest ReadDescription "Name the tenant with ?tenant_id=…." "Nennen Sie den Mandanten mit ?tenant_id=….";
    ControlCharacters "control_characters" Unprocessable Correct "The request must not contain control characters." "Die Anfrage darf keine Steuerzeichen enthalten.";
    BeyondLimits "beyond_limits" Unprocessable Correct "A number or time in the request is too large or too small to be stored." "Eine Zahl oder Zeit in der Anfrage ist zu groß oder zu klein, um gespeichert zu werden.";
    BreaksARule "breaks_a_rule" Unprocessable Correct "The request breaks a rule of the database: {rule}." "Die Anfrage verletzt eine Regel der Datenbank: {rule}.";
    ExistsAlready "exists_already" Conflict ChooseAnother "It already exists." "Das gibt es bereits.";
    RefersToNothing "refers_to_nothing" Conflict ReadAgain "It refers to something that does not exist, or no longer exists." "Es bezieht sich auf etwas, das es nicht oder nicht mehr gibt.";
    TooLong "too_long" Unprocessable Correct "One of the values is too long." "Einer der Werte ist zu lang.";
    NoSuchCaller "no_such_caller" Unprocessable NameExisting "The tenant has no extension {caller}. Leave out caller for a call from outside." "Der Mandant hat keine Nebenstelle {caller}. Lassen Sie caller für einen Anruf von außen weg.";
    // Fields: how much and how many.
    Missing "missing" Field Correct "is missing" "fehlt";
    Unreadable "unreadable" Field Correct "can't be read: {reason}" "ist nicht lesbar: {reason}";
    NotAWholeNumber "not_a_whole_number" Field Correct "must be a whole number" "muss eine ganze Zahl sein";
    OutOfBounds "out_of_bounds" Field Correct "is larger or smaller than anything that is possible here" "ist größer oder kleiner als alles, was hier möglich ist";
    IdExpected "id_expected" Field Correct "must be an id, such as 01a21491-c92c-766f-afb9-8960de517d3e" "muss eine Kennung sein, etwa 01a21491-c92c-766f-afb9-8960de517d3e";
    GivenTwice "given_twice" Field Correct "is there twice" "kommt zweimal vor";
    NotText "not_text" Field Correct "must be text" "muss Text sein";
    NotAList "not_a_list" Field Correct "must be a list" "muss eine Liste sein";
    NotAnObject "not_an_object" Field Correct "must be an object" "muss ein Objekt sein";
    NotOneOf "not_one_of" Field Correct "must be one of these: {known}" "muss eines davon sein: {known}";
    UnknownField "unknown_field" Field ReadDescription "is not known here. Known are: {known}" "gibt es hier nicht. Bekannt sind: {known}";
    OutOfRange "out_of_range" Field Correct "must be {least} to {most}" "muss {least} bis {most} sein";
    AboveMost "above_most" Field Correct "must be at most {most}" "darf höchstens {most} sein";
    TooManyEntries "too_many_entries" Field Correct "must have at most {most} entries" "darf höchstens {most} Einträge haben";
    LinesOutOfRange "lines_out_of_range" Field CorrectFile "must be 1 to {most} lines" "muss 1 bis {most} Zeilen haben";
    TooManyLines "too_many_lines" Field CorrectFile "must have at most {most} lines" "darf höchstens {most} Zeilen haben";
    NoLines "no_lines" Field CorrectFile "has no lines" "hat keine Zeilen";
    NotCsv "not_csv" Field CorrectFile "is not CSV: {reason}" "ist keine CSV-Datei: {reason}";
    SpreadsheetNotCsv "spreadsheet_not_csv" Field CorrectFile "is a spreadsheet ({kind}), not a CSV file: open it, choose Save As, and pick CSV UTF-8" "ist eine Tabelle ({kind}), keine CSV-Datei: Öffnen Sie sie, wählen Sie „Speichern unter“ und dann „CSV UTF-8“";
    UnknownColumn "unknown_column" Field CorrectFile "has an unknown column {column}: delete it" "hat die unbekannte Spalte {column}: Löschen Sie sie";
    FurtherColumn "further_column" Field CorrectFile "has {value} in an unknown column: each number needs a line of its own" "hat {value} in einer unbekannten Spalte: Jede Nummer braucht ihre eigene Zeile";
    QuoteNotClosed "quote_not_closed" Field CorrectFile "has a quotation mark in line {line} that is never closed, so the rest of it can't be read" "hat in Zeile {line} ein Anführungszeichen, das nicht geschlossen wird: Der Rest ist nicht lesbar";
    NoColumn "no_column" Field CorrectFile "has no column {column}: the first line must name the columns" "hat keine Spalte {column}: Die erste Zeile muss die Spalten nennen";
    NotANumber "not_a_number" Field Correct "must be a number" "muss eine Zahl sein";
    NotDigits "not_digits" Field Correct "must be digits" "muss aus Ziffern bestehen";
    TooManyActions "too_many_actions" Field Correct "must have at most {most} actions each" "dürfen je höchstens {most} Aktionen haben";
    DelaysTooLong "delays_too_long" Field Correct "must have delays of at most {most} seconds" "darf Verzögerungen von höchstens {most} Sekunden haben";
    LengthOutOfRange "length_out_of_range" Field Correct "must have {least} to {most} characters" "muss {least} bis {most} Zeichen haben";
    WrongCursor "wrong_cursor" Field ReadDescription "must be the next_cursor of a page" "muss der next_cursor einer Seite sein";
    // Fields: what they name.
    NamesNoTemplate "names_no_template" Field NameExisting "must be the name of an existing template" "muss der Name einer vorhandenen Vorlage sein";
    NamesNoCluster "names_no_cluster" Field NameExisting "must be an existing cluster" "muss ein vorhandener Cluster sein";
    NamesNoTenant "names_no_tenant" Field NameExisting "must be an existing tenant" "muss ein vorhandener Mandant sein";
    NamesNoAgent "names_no_agent" Field NameExisting "must be an agent of this tenant" "muss eine Person dieses Mandanten sein";
    NamesNoNumber "names_no_number" Field NameExisting "must be a number of this agent" "muss eine Nummer dieser Person sein";
    NotAChoice "not_a_choice" Field Correct "must be one of the choices" "muss eine der angebotenen Möglichkeiten sein";
    NoExtensionYet "no_extension_yet" Field ChangeFirst "names {number}, which no extension has: create the extension first, then give it to the agent" "nennt {number}, aber diese Nummer hat keine Nebenstelle: Legen Sie zuerst die Nebenstelle an, und geben Sie sie dann dem Mitarbeiter";
    NamesNoExtension "names_no_extension" Field NameExisting "names {id}, which is not an extension of this tenant" "nennt {id}, aber das ist keine Nebenstelle dieses Mandanten";
    NamesNothing "names_nothing" Field NameExisting "must be something that this tenant has" "muss etwas sein, das dieser Mandant hat";
    NamesNoTarget "names_no_target" Field NameExisting "names {kind} {id}, which this tenant does not have" "nennt {kind} {id}, aber das hat dieser Mandant nicht";
    NamesNoRegion "names_no_region" Field NameExisting "must be one of the regions: {regions}" "muss eine der Regionen sein: {regions}";
    NamesExtensionTwice "names_extension_twice" Field Correct "must not name an extension twice" "darf eine Nebenstelle nicht zweimal nennen";
    NamesOneTwice "names_one_twice" Field Correct "must not name the same one twice" "darf nicht dasselbe zweimal nennen";
    FeatureCodeTwice "feature_code_twice" Field Correct "{code} is used twice" "{code} kommt zweimal vor";
    CountryDiffers "country_differs" Field Correct "is {said}, but {number} is a number of {found}" "ist {said}, aber {number} ist eine Nummer von {found}";
    CountryUnknown "country_unknown" Field Correct "is unknown" "ist unbekannt";
    LeadsTooFar "leads_too_far" Field Correct "leads on too often, one after the other: {way}. At most {most} are possible: lead directly to where calls end" "führt zu oft weiter, eins nach dem anderen: {way}. Möglich sind höchstens {most}: Führen Sie direkt dorthin, wo Anrufe enden";
    LeadsToItself "leads_to_itself" Field Correct "leads back to itself: {way}" "führt zu sich selbst zurück: {way}";
    LeadsToThisExtension "leads_to_this_extension" Field Correct "leads back to this extension" "führt zu dieser Nebenstelle zurück";
    MadeElsewhere "made_elsewhere" Field ReadDescription "can't be created here: extensions and groups are resources of their own" "kann hier nicht angelegt werden: Nebenstellen und Gruppen sind eigene Ressourcen";
    DeleteInstead "delete_instead" Field ReadDescription "can't be set to deleted: delete the extension instead" "kann nicht auf gelöscht gesetzt werden: Löschen Sie stattdessen die Nebenstelle";
    CountDiffers "count_differs" Field Correct "must match the number of numbers given" "muss zur Anzahl der angegebenen Nummern passen";
    NamesTooLong "names_too_long" Field Correct "and the first name together have more than 80 characters" "und der Vorname haben zusammen mehr als 80 Zeichen";
    UnknownRole "unknown_role" Field Correct "must be owner, admin, manager or agent" "muss owner, admin, manager oder agent sein";
    RoleAboveYours "role_above_yours" Field AskAdministrator "is more than you may give" "ist mehr, als Sie vergeben dürfen";
    WrongScope "wrong_scope" Field Correct "must be *, RESOURCE:read or RESOURCE:write, where RESOURCE is one of {known}; not {scope}" "muss *, RESSOURCE:read oder RESSOURCE:write sein, mit einer Ressource aus {known}; nicht {scope}";
    IdOrKey "id_or_key" Field Correct "must be given, or key, but not both" "muss angegeben werden oder key, aber nicht beides";
    CantChange "cant_change" Field ReadDescription "can't change: it is set when it is created" "kann nicht geändert werden: Es wird beim Anlegen bestimmt";
    NotThePathsName "not_the_paths_name" Field Correct "must be the one in the path" "muss der im Pfad sein";
    // Fields: what belongs together.
    PinMissing "pin_missing" Field Correct "is required: nobody can open a mailbox without one" "ist nötig: Ohne PIN kann niemand ein Postfach öffnen";
    PinMisplaced "pin_misplaced" Field Correct "is only for conferences and mailboxes" "gibt es nur bei Konferenzen und Postfächern";
    PasswordWithoutUsername "password_without_username" Field Correct "must be given together with a username" "muss zusammen mit einem Benutzernamen angegeben werden";
    RegisterNeedsPassword "register_needs_password" Field Correct "needs a username and password" "braucht Benutzernamen und Passwort";
    ConditionsOrXml "conditions_or_xml" Field Correct "are required, or xml" "sind nötig, oder xml";
    NotWithConditions "not_with_conditions" Field Correct "can't be combined with conditions" "kann nicht mit Bedingungen kombiniert werden";
    NoAction "no_action" Field Correct "must have an action" "müssen eine Aktion haben";
    XmlRefused "xml_refused" Field Correct "{reason}" "wird abgelehnt: {reason}";
    // Why XML is refused: the reasons of `xml_refused`.
    XmlTooLarge "xml_too_large" Field Correct "must not be larger than {most} KiB" "darf nicht größer als {most} KiB sein";
    XmlNotWellFormed "xml_not_well_formed" Field Correct "is not well-formed: {error}" "ist nicht wohlgeformt: {error}";
    XmlTooDeep "xml_too_deep" Field Correct "must not nest elements more than {most} deep" "darf Elemente höchstens {most} tief verschachteln";
    XmlTriedInTooManyWays "xml_tried_in_too_many_ways" Field Correct "has expressions that a switch would try in too many ways: use fewer ?, {…} and |" "hat Ausdrücke, die ein Switch auf zu viele Arten versuchen würde: Verwenden Sie weniger ?, {…} und |";
    XmlHasText "xml_has_text" Field Correct "must have its values in attributes, not in text" "muss Werte in Attributen haben, nicht als Text";
    XmlNotOnlyElements "xml_not_only_elements" Field Correct "must consist of elements only: no comments, declarations or references" "darf nur aus Elementen bestehen: keine Kommentare, Deklarationen oder Verweise";
    XmlWithoutExtension "xml_without_extension" Field Correct "must consist of one or more whole <extension> elements" "muss aus ganzen <extension>-Elementen bestehen, mindestens einem";
    XmlNotOneConfiguration "xml_not_one_configuration" Field Correct "must be one <configuration name=\"{name}\">" "muss genau eine <configuration name=\"{name}\"> sein";
    XmlWithoutExternal "xml_without_external" Field Correct "must have a profile named external, for carriers" "muss ein Profil namens external haben, für Carrier";
    XmlElementRefused "xml_element_refused" Field Correct "must not contain <{element}>" "darf <{element}> nicht enthalten";
    XmlElementMisplaced "xml_element_misplaced" Field Correct "must not contain <{element}> in that place" "darf <{element}> an dieser Stelle nicht enthalten";
    XmlTooManyAttributes "xml_too_many_attributes" Field Correct "has <{element}> with more than {most} attributes" "hat <{element}> mit mehr als {most} Attributen";
    XmlAttributeRefused "xml_attribute_refused" Field Correct "must not have the attribute {attribute} in <{element}>" "darf das Attribut {attribute} in <{element}> nicht haben";
    XmlFieldNotTested "xml_field_not_tested" Field Correct "may test only {fields}, not {field}" "darf nur {fields} prüfen, nicht {field}";
    XmlValueRefused "xml_value_refused" Field Correct "has {attribute}={value}, which is not allowed" "hat {attribute}={value}, was nicht erlaubt ist";
    XmlControlCharacter "xml_control_character" Field Correct "has a control character in {attribute}" "hat ein Steuerzeichen in {attribute}";
    XmlApplicationRefused "xml_application_refused" Field Correct "must not run {application}" "darf {application} nicht ausführen";
    XmlArgumentRefused "xml_argument_refused" Field Correct "must not pass {data} to {application}: it {reason}" "darf {data} nicht an {application} übergeben: Es {reason}";
    XmlPattern "xml_pattern" Field Correct "has an expression that {reason}" "hat einen Ausdruck, der nicht geht: Er {reason}";
    PatternExpanded "pattern_expanded" Field Correct "has an expression with ${, which a switch expands" "hat einen Ausdruck mit ${, das ein Switch ersetzt";
    PatternOfOtherKind "pattern_of_other_kind" Field Correct "has an expression that begins with _ or /: write a regular expression" "hat einen Ausdruck, der mit _ oder / beginnt: Schreiben Sie einen regulären Ausdruck";
    PatternSpecialGroup "pattern_special_group" Field Correct "has an expression with a special group other than (?:…) and (?i)" "hat einen Ausdruck mit einer besonderen Gruppe, die weder (?:…) noch (?i) ist";
    PatternWordBorder "pattern_word_border" Field Correct "has an expression with a border of a word other than \\b" "hat einen Ausdruck mit einer anderen Wortgrenze als \\b";
    PatternNestedSets "pattern_nested_sets" Field Correct "has an expression with nested character sets" "hat einen Ausdruck mit verschachtelten Zeichenmengen";
    PatternRepeatsTooOften "pattern_repeats_too_often" Field Correct "has an expression with more than {most} repetitions" "hat einen Ausdruck mit mehr als {most} Wiederholungen";
    PatternRepeatsChoice "pattern_repeats_choice" Field Correct "has an expression that repeats a repetition or a choice, such as (a+)+ or (a|b)*" "hat einen Ausdruck, der eine Wiederholung oder eine Auswahl wiederholt, wie (a+)+ oder (a|b)*";
    // What an application of the dialplan takes: the reasons of `xml_argument_refused`.
    TakesNothing "takes_nothing" Field Correct "takes no argument" "nimmt kein Argument";
    TakesNumber "takes_number" Field Correct "takes a number from {least} to {most}" "nimmt eine Zahl von {least} bis {most}";
    TakesCause "takes_cause" Field Correct "takes a hangup cause, such as USER_BUSY" "nimmt einen Auflegegrund, wie USER_BUSY";
    TakesStatus "takes_status" Field Correct "takes a SIP status from 400 to 699, such as 486" "nimmt einen SIP-Status von 400 bis 699, wie 486";
    TakesSound "takes_sound" Field Correct "takes a sound file, a music stream or a tone" "nimmt eine Tondatei, eine Wartemusik oder einen Ton";
    TakesVariable "takes_variable" Field Correct "takes a variable that entries may set" "nimmt eine Variable, die Einträge setzen dürfen";
    TakesAssignment "takes_assignment" Field Correct "takes NAME=VALUE" "nimmt NAME=WERT";
    TakesNotVariable "takes_not_variable" Field Correct "can't set {name}, which {reason}" "kann {name} nicht setzen: Es {reason}";
    TakesDialled "takes_dialled" Field Correct "takes a number in the tenant's own context" "nimmt eine Nummer im eigenen Kontext des Mandanten";
    TakesDialString "takes_dial_string" Field Correct "takes user/NUMBER@DOMAIN, sofia/gateway/NAME/NUMBER or error/CAUSE" "nimmt user/NUMMER@DOMAIN, sofia/gateway/NAME/NUMMER oder error/GRUND";
    TakesMailbox "takes_mailbox" Field Correct "takes default DOMAIN MAILBOX, with the tenant's own domain" "nimmt default DOMAIN POSTFACH, mit der eigenen Domain des Mandanten";
    TakesDestination "takes_destination" Field Correct "takes ID.DOMAIN of one of the tenant's destinations" "nimmt ID.DOMAIN eines Ziels des Mandanten";
    TakesConference "takes_conference" Field Correct "takes ID@ID.DOMAIN of one of the tenant's conferences" "nimmt ID@ID.DOMAIN einer Konferenz des Mandanten";
    TakesSlot "takes_slot" Field Correct "takes DOMAIN and a slot from 1 to 99" "nimmt DOMAIN und einen Parkplatz von 1 bis 99";
    TakesNeighbour "takes_neighbour" Field Correct "takes one of the tenant's extensions, such as 1000@DOMAIN" "nimmt eine Nebenstelle des Mandanten, wie 1000@DOMAIN";
    TakesWord "takes_word" Field Correct "takes one of these: {words}" "nimmt eines von diesen: {words}";
    TakesDeadline "takes_deadline" Field Correct "takes +SECONDS, and optionally a hangup cause" "nimmt +SEKUNDEN und, wenn gewünscht, einen Auflegegrund";
    TakesVolume "takes_volume" Field Correct "takes read or write, and a level from -4 to 4" "nimmt read oder write und eine Stufe von -4 bis 4";
    TakesKeys "takes_keys" Field Correct "takes keys of a phone" "nimmt Tasten eines Telefons";
    GatewayInSandbox "gateway_in_sandbox" Field Correct "must not dial over a gateway: nothing of a sandbox leaves the platform" "darf nicht über ein Gateway wählen: von einem Testmandanten geht nichts nach außen";
    CodeForOwnPhone "code_for_own_phone" Field Correct "must not be a code that changes an extension, unless your own phone dials it" "darf kein Code sein, der eine Nebenstelle ändert, außer Ihr eigenes Telefon wählt ihn";
    LevelsFromOne "levels_from_one" Field Correct "must have levels and positions from 1" "müssen Stufen und Plätze ab 1 haben";
    MenuKeys "menu_keys" Field Correct "must be named by one digit, '*' or '#', and there must be one" "müssen mit einer Ziffer, '*' oder '#' benannt sein, und es muss einen geben";
    SpeedDialKeys "speed_dial_keys" Field Correct "must be named by two digits" "müssen mit zwei Ziffern benannt sein";
    EndsBeforeItBegins "ends_before_it_begins" Field Correct "must not end before they begin" "dürfen nicht enden, bevor sie beginnen";
    ClosesBeforeItOpens "closes_before_it_opens" Field Correct "must be after open; 24:00 is the end of the day" "muss nach open liegen; 24:00 ist das Ende des Tages";
    SpansOverlap "spans_overlap" Field Correct "must not begin before the previous span ends" "darf nicht vor dem Ende der Zeit davor liegen";
    TooManySpans "too_many_spans" Field Correct "may have at most {most} spans" "darf höchstens {most} Zeiten haben";
    TooManyDays "too_many_days" Field Correct "may have at most {most} days" "darf höchstens {most} Tage haben";
    NotAPatch "not_a_patch" Field Correct "must be an object: a merge patch" "muss ein Objekt sein: ein Merge-Patch";
    UnknownSchema "unknown_schema" Field Correct "must be 1" "muss 1 sein";
    WrongConfigKeys "wrong_config_keys" Field Correct "may have at most 20 entries, with names of 1 to 40 characters from A-Z a-z 0-9 _ -" "darf höchstens 20 Einträge haben, mit Namen aus 1 bis 40 der Zeichen A-Z a-z 0-9 _ -";
    AmountOutOfRange "amount_out_of_range" Field Correct "must be 0 to {most} millionths" "muss 0 bis {most} Millionstel sein";
    TooManyContacts "too_many_contacts" Field Correct "may have at most {most} contacts and {most} numbers" "darf höchstens {most} Kontakte und {most} Nummern haben";
    EmergencyDigits "emergency_digits" Field Correct "must have 2 to 6 digits" "muss 2 bis 6 Ziffern haben";
    PoolDigits "pool_digits" Field Correct "must have 2 to 15 digits" "muss 2 bis 15 Ziffern haben";
    PoolBackwards "pool_backwards" Field Correct "must not be below first_number, and have at most 15 digits" "darf nicht unter first_number liegen und höchstens 15 Ziffern haben";
    PoolTooLarge "pool_too_large" Field Correct "makes the pool too large: it may have at most {most} numbers" "macht den Bereich zu groß: Er darf höchstens {most} Nummern haben";
    WrongWebsocketUrl "wrong_websocket_url" Field Correct "must begin with wss:// (or ws://) and have at most 255 characters" "muss mit wss:// (oder ws://) beginnen und darf höchstens 255 Zeichen haben";
    WrongIceServers "wrong_ice_servers" Field Correct "must be at most 10 servers whose urls begin with stun: or turn:" "dürfen höchstens 10 Server sein, deren Adressen mit stun: oder turn: beginnen";
    NotATelephoneNumber "not_a_telephone_number" Field Correct "must be a telephone number, such as +12025550123" "muss eine Rufnummer sein, etwa +12025550123";
    // Fields: secrets.
    Wrong "wrong" Field Correct "is wrong" "ist falsch";
    CodeWrongOrUsed "code_wrong_or_used" Field Correct "is wrong, or was used before" "ist falsch oder wurde schon benutzt";
    CodeNotNow "code_not_now" Field Correct "does not match: check the clock of your device" "passt nicht: Prüfen Sie die Uhr Ihres Geräts";
    NotTheSignUpsPassword "not_the_sign_ups_password" Field Correct "is not the one that was chosen when signing up. If you did not sign up, do nothing" "ist nicht das, das beim Registrieren gewählt wurde. Wenn Sie sich nicht registriert haben, tun Sie nichts";
    LinkExpired "link_expired" Field SignIn "has expired: it was used, is too old, or a newer one was sent" "ist abgelaufen: Er wurde benutzt, ist zu alt, oder es wurde ein neuerer gesendet";
    Damaged "damaged" Field AskAdministrator "is damaged" "ist beschädigt";
    NotMade "not_made" Field Wait "could not be created: {reason}" "konnte nicht angelegt werden: {reason}";
    PasswordOfYourName "password_of_your_name" Field StrongPassword "is too weak: it is made of your name or address" "ist zu schwach: Es besteht aus Ihrem Namen oder Ihrer Adresse";
    PasswordGuessedSoon "password_guessed_soon" Field StrongPassword "is too weak: It would be guessed soon — use several uncommon words, or let a password manager make one" "ist zu schwach: Es wäre bald erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordRowOfKeys "password_row_of_keys" Field StrongPassword "is too weak: Straight rows of keys are easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Tastenreihen sind leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordKeyboardPattern "password_keyboard_pattern" Field StrongPassword "is too weak: Short keyboard patterns are easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Kurze Tastaturmuster sind leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordRepeats "password_repeats" Field StrongPassword "is too weak: Repeats like \"aaa\" are easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Wiederholungen wie „aaa“ sind leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordRepeatsParts "password_repeats_parts" Field StrongPassword "is too weak: Repeats like \"abcabcabc\" are only slightly harder to guess than \"abc\" — use several uncommon words, or let a password manager make one" "ist zu schwach: Wiederholungen wie „abcabcabc“ sind kaum schwerer zu erraten als „abc“ – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordVeryCommon "password_very_common" Field StrongPassword "is too weak: This is a very common password — use several uncommon words, or let a password manager make one" "ist zu schwach: Das ist ein sehr häufiges Passwort – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordTop10 "password_top_10" Field StrongPassword "is too weak: This is a top-10 common password — use several uncommon words, or let a password manager make one" "ist zu schwach: Das ist eines der zehn häufigsten Passwörter – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordTop100 "password_top_100" Field StrongPassword "is too weak: This is a top-100 common password — use several uncommon words, or let a password manager make one" "ist zu schwach: Das ist eines der hundert häufigsten Passwörter – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordSimilar "password_similar" Field StrongPassword "is too weak: This is similar to a commonly used password — use several uncommon words, or let a password manager make one" "ist zu schwach: Das ähnelt einem häufigen Passwort – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordSequence "password_sequence" Field StrongPassword "is too weak: Sequences like abc or 6543 are easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Folgen wie abc oder 6543 sind leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordYear "password_year" Field StrongPassword "is too weak: Recent years are easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Jahreszahlen sind leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordOneWord "password_one_word" Field StrongPassword "is too weak: A word by itself is easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Ein einzelnes Wort ist leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordDate "password_date" Field StrongPassword "is too weak: Dates are often easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Daten sind oft leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordName "password_name" Field StrongPassword "is too weak: Names and surnames by themselves are easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Vor- und Nachnamen allein sind leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    PasswordCommonName "password_common_name" Field StrongPassword "is too weak: Common names and surnames are easy to guess — use several uncommon words, or let a password manager make one" "ist zu schwach: Häufige Vor- und Nachnamen sind leicht zu erraten – nehmen Sie mehrere ungewöhnliche Wörter oder lassen Sie einen Passwortmanager eines machen";
    // Fields: the types of text.
    NotAnId "not_an_id" Field Correct "this is not an id: an id looks like 01a21491-c92c-766f-afb9-8960de517d3e, and the `list` commands show them" "das ist keine Kennung: Eine Kennung sieht aus wie 01a21491-c92c-766f-afb9-8960de517d3e, und die Befehle mit `list` zeigen sie";
    NotAnEmail "not_an_email" Field Correct "must be an e-mail address such as ada@acme.example" "muss eine E-Mail-Adresse sein, etwa ada@acme.example";
    NotAnEndpoint "not_an_endpoint" Field Correct "must be a web address that begins with https://, without a password, such as https://crm.example/dialplane" "muss eine Webadresse sein, die mit https:// beginnt, ohne Passwort, etwa https://crm.example/dialplane";
    NotAnOrigin "not_an_origin" Field Correct "must be a web origin such as https://crm.example: https, a host and perhaps a port, without a path" "muss ein Web-Ursprung sein, etwa https://crm.example: https, ein Host und vielleicht ein Port, ohne Pfad";
    NotADomain "not_a_domain" Field Correct "must be a DNS name such as acme.example: letters, digits, '-' and at least one '.'" "muss ein DNS-Name sein, etwa acme.example: Buchstaben, Ziffern, '-' und mindestens ein '.'";
    DomainOfFreeswitch "domain_of_freeswitch" Field ChooseAnother "is a name FreeSWITCH uses itself" "ist ein Name, den FreeSWITCH selbst benutzt";
    NotAnExtensionNumber "not_an_extension_number" Field Correct "must be 2 to 15 digits" "muss 2 bis 15 Ziffern haben";
    NotE164 "not_e164" Field Correct "must be a number in E.164 form, such as +12025550123" "muss eine Nummer in E.164-Form sein, etwa +12025550123";
    NotAHeaderName "not_a_header_name" Field Correct "must be the name of a SIP header that begins with X- or P-, such as X-DID" "muss der Name eines SIP-Headers sein, der mit X- oder P- beginnt, etwa X-DID";
    OnlyWithAnotherDomain "only_with_another_domain" Field Correct "goes with another domain only" "gilt nur zusammen mit einer anderen Domain";
    NamesNoReader "names_no_reader" Field NameExisting "must be ids of owners, administrators and managers of this tenant" "müssen Ids von Inhabern, Administratoren und Managern dieses Mandanten sein";
    OnlyByAgent "only_by_agent" Field Correct "goes with by=agent only" "gilt nur zusammen mit by=agent";
    NeedsFeature "needs_feature" Field ChangeFirst "needs {feature}, which is switched off for this tenant: switch on features.{feature} as well" "braucht {feature}, was für diesen Mandanten ausgeschaltet ist: Schalten Sie auch features.{feature} ein";
    NationalNeedsCountry "national_needs_country" Field Correct "must be given: the numbering plan of a country says how to read national numbers" "muss angegeben werden: Nationale Rufnummern werden nach dem Rufnummernplan eines Landes gelesen";
    HeaderMustBeNamed "header_must_be_named" Field Correct "must name the header with the number if number_in is header, and must be absent otherwise" "muss den Header mit der Rufnummer nennen, wenn number_in header ist, und sonst fehlen";
    NotACallerNumber "not_a_caller_number" Field Correct "must be 1 to 15 digits, with an optional leading '+'" "muss 1 bis 15 Ziffern haben, auch mit '+' davor";
    NotPressable "not_pressable" Field Correct "must be 1 to 40 keys of a phone: digits, '*', '#', A to D, and 'w' for a pause" "muss 1 bis 40 Tasten eines Telefons haben: Ziffern, '*', '#', A bis D und 'w' für eine Pause";
    NotANumberToShow "not_a_number_to_show" Field Correct "must be one of the agent's own numbers" "muss eine eigene Rufnummer des Agenten sein";
    NotDiallable "not_diallable" Field Correct "has no number to be reached at" "hat keine Nummer, unter der man es erreicht";
    NotADialNumber "not_a_dial_number" Field Correct "must be 1 to 24 digits, '*' or '#', or '+' and digits" "muss 1 bis 24 Ziffern, '*' oder '#' haben, oder '+' und Ziffern";
    NotAPrefix "not_a_prefix" Field Correct "must be 1 to 15 digits" "muss 1 bis 15 Ziffern haben";
    NotAFeatureCode "not_a_feature_code" Field Correct "must be '*' and 1 to 4 digits, or 3 to 6 digits" "muss '*' und 1 bis 4 Ziffern sein, oder 3 bis 6 Ziffern";
    NotASoundFile "not_a_sound_file" Field Correct "must be a .wav, .mp3, .ogg, .opus, .ulaw or .alaw file in the switch's sounds folder, such as custom/welcome.wav" "muss eine Datei .wav, .mp3, .ogg, .opus, .ulaw oder .alaw im Sounds-Ordner des Switches sein, etwa custom/welcome.wav";
    NameLength "name_length" Field Correct "must have 1 to 80 characters" "muss 1 bis 80 Zeichen haben";
    WordsLength "words_length" Field Correct "must have 1 to 200 characters" "muss 1 bis 200 Zeichen haben";
    SpokenLength "spoken_length" Field Correct "must have 1 to 500 characters" "muss 1 bis 500 Zeichen haben";
    NotALine "not_a_line" Field Correct "must be one line of 1 to 200 characters" "muss eine Zeile mit 1 bis 200 Zeichen sein";
    NotAPageTemplate "not_a_page_template" Field Correct "must be an address that begins with https:// and has at most number, name and external_id in braces, after the host's name" "muss eine Adresse sein, die mit https:// beginnt und nach dem Namen des Servers höchstens number, name und external_id in geschweiften Klammern enthält";
    NotProse "not_prose" Field Correct "must have 1 to 8000 characters, and no control characters except line breaks" "muss 1 bis 8000 Zeichen haben, und keine Steuerzeichen außer Zeilenumbrüchen";
    Empty "empty" Field Correct "must not be empty" "darf nicht leer sein";
    WritesToOneself "writes_to_oneself" Field Correct "must be somebody else" "muss jemand anderes sein";
    NobodyToWriteTo "nobody_to_write_to" Field Correct "must be somebody of your company who is not suspended" "muss jemand aus Ihrem Unternehmen sein, dessen Zugang nicht gesperrt ist";
    InvisibleCharacters "invisible_characters" Field Correct "must not contain control or invisible characters" "darf keine Steuer- oder unsichtbaren Zeichen enthalten";
    ForbiddenCharacters "forbidden_characters" Field Correct "must not contain any of $ { } \\ % < > \" ; ` | ^ [ ]" "darf keines der Zeichen $ { } \\ % < > \" ; ` | ^ [ ] enthalten";
    ControlOrForbidden "control_or_forbidden" Field Correct "must not contain control characters or any of $ { } \\ % < > & \" ' ; ` | ^ [ ]" "darf keine Steuerzeichen und keines der Zeichen $ { } \\ % < > & \" ' ; ` | ^ [ ] enthalten";
    HoldsDirective "holds_directive" Field Correct "must not contain a word that FreeSWITCH's preprocessor acts on" "darf kein Wort enthalten, auf das der Präprozessor von FreeSWITCH reagiert";
    HoldsColons "holds_colons" Field Correct "must not begin with a colon or contain two in a row" "darf nicht mit einem Doppelpunkt beginnen und keine zwei hintereinander enthalten";
    HoldsScheme "holds_scheme" Field Correct "must not contain :: or ://, which name things that a switch runs or opens" "darf weder :: noch :// enthalten, die etwas nennen, was ein Switch ausführt oder öffnet";
    NamesDialplane "names_dialplane" Field Correct "must not begin with \"dialplane\", as what Dialplane itself writes does" "darf nicht mit „dialplane“ beginnen wie das, was Dialplane selbst schreibt";
    NotAHost "not_a_host" Field Correct "must be a host such as sip.carrier.example or 192.0.2.1:5060" "muss ein Host sein, etwa sip.carrier.example oder 192.0.2.1:5060";
    NotANetwork "not_a_network" Field Correct "must be an IPv4 address or network such as 192.0.2.0/28, /8 at the widest" "muss eine IPv4-Adresse oder ein Netz sein, etwa 192.0.2.0/28, höchstens /8";
    NotACarrierUser "not_a_carrier_user" Field Correct "must be 1 to 64 letters, digits or any of . _ - + @ * =" "muss 1 bis 64 Buchstaben, Ziffern oder Zeichen . _ - + @ * = haben";
    NotASipUsername "not_a_sip_username" Field Correct "must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter, a digit or '+'" "muss 1 bis 64 Buchstaben, Ziffern, '.', '_' oder '-' haben und mit einem Buchstaben, einer Ziffer oder '+' beginnen";
    NotAGroupName "not_a_group_name" Field Correct "must have a letter: without one it is a number" "muss einen Buchstaben haben: ohne ist es eine Nummer";
    NotASwitchName "not_a_switch_name" Field Correct "must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or a digit" "muss 1 bis 64 Buchstaben, Ziffern, '.', '_' oder '-' haben und mit einem Buchstaben oder einer Ziffer beginnen";
    NotALabel "not_a_label" Field Correct "must be 1 to 64 letters, digits, '.', '_', '-', '+' or '@', beginning with a letter or digit" "muss 1 bis 64 Buchstaben, Ziffern, '.', '_', '-', '+' oder '@' haben und mit einem Buchstaben oder einer Ziffer beginnen";
    NotLabels "not_labels" Field Correct "must be words of letters, digits, '.', '_', '-', '+' or '@', separated by commas" "müssen Wörter aus Buchstaben, Ziffern, '.', '_', '-', '+' oder '@' sein, mit Kommas dazwischen";
    NotAStreamName "not_a_stream_name" Field Correct "must be 1 to 40 letters, digits, '_' or '-', beginning with a letter or digit" "muss 1 bis 40 Buchstaben, Ziffern, '_' oder '-' haben und mit einem Buchstaben oder einer Ziffer beginnen";
    NotAnExternalId "not_an_external_id" Field Correct "must be 1 to 128 characters, without control characters and without spaces at its ends" "muss 1 bis 128 Zeichen haben, ohne Steuerzeichen und ohne Leerzeichen am Rand";
    NotAMetadataKey "not_a_metadata_key" Field Correct "has a key that is not 1 to 40 characters without control characters" "hat einen Schlüssel, der nicht 1 bis 40 Zeichen ohne Steuerzeichen hat";
    NotAMetadataValue "not_a_metadata_value" Field Correct "must be a text of up to 500 characters" "muss ein Text mit bis zu 500 Zeichen sein";
    NotATemplateName "not_a_template_name" Field Correct "must be 1 to 40 characters from a-z, 0-9 and -" "muss 1 bis 40 der Zeichen a-z, 0-9 und - haben";
    NotASipSecret "not_a_sip_secret" Field Correct "must be 12 to 64 letters, digits or any of . _ - + = * #" "muss 12 bis 64 Buchstaben, Ziffern oder Zeichen . _ - + = * # haben";
    NotAForeignSecret "not_a_foreign_secret" Field Correct "must be 1 to 128 printable characters without spaces, and no '<'" "muss 1 bis 128 druckbare Zeichen ohne Leerzeichen und ohne '<' haben";
    NotAPin "not_a_pin" Field Correct "must be 4 to 12 digits" "muss 4 bis 12 Ziffern haben";
    PinIsNumber "pin_is_number" Field Correct "must not be the mailbox's own number" "darf nicht die Nummer des Postfachs sein";
    PinTooEasy "pin_too_easy" Field Correct "must not be a run such as 1234, nor repeated digits such as 1111 or 1212" "darf weder eine Folge wie 1234 noch eine Wiederholung wie 1111 oder 1212 sein";
    NotCodecs "not_codecs" Field Correct "must be codecs that FreeSWITCH knows, separated by commas, such as OPUS,PCMA@20i" "müssen Codecs sein, die FreeSWITCH kennt, mit Kommas dazwischen, etwa OPUS,PCMA@20i";
    NoAudioCodec "no_audio_codec" Field Correct "must have a codec for audio, such as PCMA" "müssen einen Codec für Ton haben, etwa PCMA";
    NotATime "not_a_time" Field Correct "must be a time such as 09:30, up to 24:00" "muss eine Uhrzeit sein, etwa 09:30, höchstens 24:00";
    NotADay "not_a_day" Field Correct "must be a day such as 2026-12-24" "muss ein Tag sein, etwa 2026-12-24";
    NotAMoment "not_a_moment" Field Correct "must be a time between the years 1900 and 9999, such as 2026-12-24T18:00:00Z" "muss ein Zeitpunkt zwischen den Jahren 1900 und 9999 sein, etwa 2026-12-24T18:00:00Z";
    NotATimeZone "not_a_time_zone" Field Correct "must be a time zone such as Europe/Berlin" "muss eine Zeitzone sein, etwa Europe/Berlin";
    ZoneNotInDatabase "zone_not_in_database" Field ChooseAnother "is a time zone that the database does not know: update the time zones on its machine, or choose another" "ist eine Zeitzone, die die Datenbank nicht kennt: Aktualisieren Sie die Zeitzonen auf ihrem Rechner, oder wählen Sie eine andere";
    CurrencyInUse "currency_in_use" Field ChangeFirst "can't change on a day on which calls were charged in {currency}: change it before the first call of a day" "kann nicht an einem Tag geändert werden, an dem Anrufe in {currency} berechnet wurden: Ändern Sie sie vor dem ersten Anruf eines Tages";
    NotACurrency "not_a_currency" Field Correct "must be a currency such as EUR" "muss eine Währung sein, etwa EUR";
    NotAnExchangeRate "not_an_exchange_rate" Field Correct "must be a number above 0 and up to 1000000, with up to 12 decimals after a point, such as 1.0843" "muss eine Zahl über 0 und bis 1000000 sein, mit bis zu 12 Stellen nach einem Punkt, etwa 1.0843";
    SameCurrency "same_currency" Field ChooseAnother "must be another currency than the first" "muss eine andere Währung als die erste sein";
    NotACountry "not_a_country" Field Correct "must be a country such as DE" "muss ein Land sein, etwa DE";
    NotALanguage "not_a_language" Field Correct "must be a language such as en or pt-BR" "muss eine Sprache sein, etwa en oder pt-BR";
    NotMusic "not_music" Field Correct "must be the name of a music stream, such as default" "muss der Name eines Musik-Streams sein, etwa default";
    NotAJitterBuffer "not_a_jitter_buffer" Field Correct "must be up to three numbers of milliseconds, separated by colons, such as 60:200:20" "müssen bis zu drei Zahlen von Millisekunden mit Doppelpunkten dazwischen sein, etwa 60:200:20";
    NotWaitSeconds "not_wait_seconds" Field Correct "must be 1 to 3600 seconds" "müssen 1 bis 3600 Sekunden sein";
    NotARingback "not_a_ringback" Field Correct "must be a tone such as %(1000,4000,425), or the name of a music stream" "muss ein Ton sein, etwa %(1000,4000,425), oder der Name eines Musik-Streams";
    NotCauses "not_causes" Field Correct "must be true, false, or hangup causes such as USER_BUSY,NO_ANSWER" "muss true, false oder eine Liste von Gründen wie USER_BUSY,NO_ANSWER sein";
    NotKeys "not_keys" Field Correct "must be none, any, or keys of a phone such as *#" "muss none, any oder Tasten eines Telefons wie *# sein";
    UnknownVariable "unknown_variable" Field Correct "is not a variable that may be set; the documentation lists them" "ist keine Variable, die gesetzt werden darf; die Dokumentation nennt sie";
    NotATemplate "not_a_template" Field Correct "must be digits, '*', '#', a leading '+', and {1} to {9}" "muss aus Ziffern, '*', '#', einem '+' davor und {1} bis {9} bestehen";
    PatternLength "pattern_length" Field Correct "must have at most 200 characters, none of them a control character" "darf höchstens 200 Zeichen haben, keines davon ein Steuerzeichen";
    PatternUnicode "pattern_unicode" Field Correct "must not switch on Unicode: dialled numbers are ASCII" "darf Unicode nicht einschalten: Gewählte Nummern sind ASCII";
    PatternTooLarge "pattern_too_large" Field Correct "would be too large an expression; use fewer or smaller repetitions, or several expressions" "wäre ein zu großer Ausdruck; nehmen Sie weniger oder kleinere Wiederholungen oder mehrere Ausdrücke";
    NotAPattern "not_a_pattern" Field Correct "must be a regular expression without look-around, back-references or Unicode classes" "muss ein regulärer Ausdruck ohne Vorausschau, Rückverweise und Unicode-Klassen sein";
    NotExpirySeconds "not_expiry_seconds" Field Correct "must be a number of seconds, 60 to 86400" "muss eine Zahl von Sekunden sein, 60 bis 86400";
    NotDeviationSeconds "not_deviation_seconds" Field Correct "must be a number of seconds, 1 to 30" "muss eine Zahl von Sekunden sein, 1 bis 30";
    NotACallLimit "not_a_call_limit" Field Correct "must be a number of calls, 1 to 10000" "muss eine Zahl von Anrufen sein, 1 bis 10000";
    NotAFlag "not_a_flag" Field Correct "must be true or false" "muss true oder false sein";
    NotAPeriod "not_a_period" Field Correct "must be the first and the last of at most {days} days" "müssen der erste und der letzte von höchstens {days} Tagen sein";
    NotAMonth "not_a_month" Field Correct "must be a month such as 2026-11" "muss ein Monat sein, etwa 2026-11";
    NotAThreshold "not_a_threshold" Field Correct "must be 5, 10, 15, 20, 30, 45, 60, 90 or 120 seconds" "müssen 5, 10, 15, 20, 30, 45, 60, 90 oder 120 Sekunden sein";
    NumberOfAnotherContact "number_of_another_contact" Conflict Correct "{number} belongs to another contact." "{number} gehört zu einem anderen Kontakt.";
    NotAContact "not_a_contact" Field Correct "must be the id of one of the tenant's contacts" "muss die ID eines Kontakts des Mandanten sein";
    NotADisposition "not_a_disposition" Field Correct "must be one of the tenant's dispositions, which are in its settings" "muss eines der Gesprächsergebnisse des Mandanten sein, die in seinen Einstellungen stehen";
    NotAStatusReason "not_a_status_reason" Field Correct "must be one of the tenant's reasons for this status, which are in its settings" "muss einer der Gründe des Mandanten für diesen Status sein, die in seinen Einstellungen stehen";
    NotSecureMedia "not_secure_media" Field Correct "must be mandatory, optional or forbidden" "muss mandatory, optional oder forbidden sein";
}

/// The German name of a resource, or its English name if it has no other.
pub(super) fn thing(english: &str) -> &str {
    match english {
        "agent" => "Mitarbeiter",
        "tenant" => "Mandant",
        "former domain" => "frühere Domain",
        "page" => "Durchsage",
        "number" => "Rufnummer",
        "extension" => "Nebenstelle",
        "group" => "Gruppe",
        "pool" => "Nummernbereich",
        "reserved number" => "reservierte Nummer",
        "exchange rate" => "Wechselkurs",
        "template" => "Vorlage",
        "template of the platform's own" => "Vorlage der Plattform",
        "destination" => "Ziel",
        "entry" => "Eintrag",
        "carrier" => "Carrier",
        "key" => "Schlüssel",
        "webhook" => "Webhook",
        "delivery" => "Zustellung",
        "thing" => "Gesuchtes",
        "configuration" => "Konfiguration",
        "cluster" => "Cluster",
        "switch" => "Switch",
        "event socket" => "Event-Socket",
        "call" => "Anruf",
        "leg" => "Gesprächsseite",
        "contact" => "Kontakt",
        "erasure" => "Löschung",
        "recording" => "Aufzeichnung",
        "voicemail" => "Sprachnachricht",
        "mail" => "Mail",
        "call record" => "Verbindungsnachweis",
        "signing key" => "Signaturschlüssel",
        "user" => "Konto",
        "purge" => "endgültige Löschung",
        "queue" => "Warteschlange",
        "ivr" => "Menü",
        "conference" => "Konferenz",
        "mailbox" => "Postfach",
        "schedule" => "Zeitplan",
        "announcement" => "Ansage",
        "call-back" => "Rückruf",
        "external" => "externe Nummer",
        "speed dial" => "Kurzwahl",
        other => other,
    }
}
