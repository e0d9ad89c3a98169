//! Errors of the server's rooms in the language of whoever reads them.

use std::error::Error;

use khien_ingest::journal::OpenError;
use khien_lake::QueryError;
use khien_server::admin::{AdminError, ContentError, DetectionsError, IdentityError, SourcesError};
use khien_server::enrich::KnowledgeError;
use khien_server::forward::ForwardError;
use khien_server::serve::ServeError;

use crate::safe;
use crate::text::Text;

/// What an error says to people; `None` when it has only words of a library.
pub fn said(cause: &(dyn Error + 'static), text: Text) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<AdminError>() {
        return admin(error, text);
    }
    if let Some(error) = cause.downcast_ref::<ServeError>() {
        return serve(error, text);
    }
    if let Some(error) = cause.downcast_ref::<ForwardError>() {
        return forward(error, text);
    }
    if let Some(error) = cause.downcast_ref::<QueryError>() {
        return query(error, text);
    }
    if let Some(error) = cause.downcast_ref::<SourcesError>() {
        return error.said(text.0);
    }
    if let Some(error) = cause.downcast_ref::<IdentityError>() {
        return error.said(text.0);
    }
    if let Some(error) = cause.downcast_ref::<DetectionsError>() {
        return error.said(text.0);
    }
    if let Some(error) = cause.downcast_ref::<OpenError>() {
        return Some(journal(error, text));
    }
    cause.downcast_ref::<ContentError>().map(|error| error.message().text(text.0))
}

fn admin(error: &AdminError, text: Text) -> Option<String> {
    match error {
        AdminError::Folder(_) => Some(text.data_folder_unusable().to_owned()),
        AdminError::Sources(error) => error.said(text.0),
        AdminError::Identity(error) => error.said(text.0),
        AdminError::Detections(error) => error.said(text.0),
        AdminError::Keeping(error) => error.said(text.0),
        AdminError::Content(error) => Some(error.message().text(text.0)),
        AdminError::Store(_) => Some(text.state_unusable().to_owned()),
    }
}

fn serve(error: &ServeError, text: Text) -> Option<String> {
    let path = |path: &std::path::Path| safe::line(&path.display().to_string()).into_owned();
    match error {
        ServeError::Folder { path: folder, .. } => Some(text.folder_unusable(&path(folder))),
        ServeError::Listen { address, .. } => Some(text.cannot_listen(&address.to_string())),
        ServeError::NoCertificate => Some(text.no_certificate().to_owned()),
        ServeError::Certificate { path: file, reason } => {
            Some(text.certificate_unusable(&path(file), &safe::line(reason)))
        }
        ServeError::Knowledge(KnowledgeError::File { path: file, .. }) => Some(text.file_unreadable(&path(file))),
        ServeError::Knowledge(KnowledgeError::Owner { path: file, line, reason }) => {
            Some(text.owners_unusable(&path(file), &line.to_string(), &safe::line(&reason.text(text.0))))
        }
        ServeError::Knowledge(KnowledgeError::Geoip { path: file, reason }) => {
            Some(text.geoip_unusable(&path(file), &safe::line(reason)))
        }
        ServeError::Lake(_) => Some(text.lake_unusable().to_owned()),
        ServeError::Store(_) => Some(text.state_unusable().to_owned()),
        ServeError::Journal(error) => Some(journal(error, text)),
        ServeError::Sources(error) => error.said(text.0),
        ServeError::Detections(error) => error.said(text.0),
        ServeError::Thread(_) => None,
    }
}

fn forward(error: &ForwardError, text: Text) -> Option<String> {
    match error {
        ForwardError::Folder { path, .. } => Some(text.folder_unusable(&safe::line(&path.display().to_string()))),
        ForwardError::Journal(error) => Some(journal(error, text)),
        ForwardError::Listen { address, .. } => Some(text.cannot_listen(&address.to_string())),
        ForwardError::Address(address) => Some(text.address_unusable(&safe::line(address))),
        ForwardError::Http(_) => None,
    }
}

fn journal(error: &OpenError, text: Text) -> String {
    match error {
        OpenError::Io { path, .. } => text.journal_unusable(&safe::line(&path.display().to_string())),
        OpenError::InUse { path } => text.journal_in_use(&safe::line(&path.display().to_string())),
    }
}

fn query(error: &QueryError, text: Text) -> Option<String> {
    match error {
        QueryError::Missing(folder) => Some(text.no_lake(&safe::line(folder))),
        QueryError::OnlyQueries => Some(text.only_queries().to_owned()),
        QueryError::Invalid(message) => Some(message.text(text.0)),
        QueryError::Search(fault) => Some(fault.text(text.0)),
        QueryError::Time(limit) => Some(text.query_long(&text.count(limit.as_secs()))),
        QueryError::Memory(bytes) => Some(text.query_memory(&text.count((bytes >> 20) as u64))),
        QueryError::Rows(most) => Some(text.query_rows(&text.count(*most as u64))),
        QueryError::Sql(_) | QueryError::Lake(_) | QueryError::Output(_) => None,
    }
}
