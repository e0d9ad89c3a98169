//! Decoders and taxonomy over real logs and rules, where `KHIEN_CORPUS` names their folder.

mod formats;
mod taxonomy;
