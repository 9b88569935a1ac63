//! What can go wrong where several routes fail alike.

use crate::error::Code::{self, *};

/// Saving a file of a plugin.
pub(super) const FILE_FAULTS: &[Code] = &[
    PreviewRequired,
    PluginNotFound,
    NotFound,
    Conflict,
    PreconditionFailed,
    TooLarge,
    PluginLoadFailed,
    PreconditionRequired,
    DiskFull,
];
/// Changing a draft.
pub(super) const DRAFT_FAULTS: &[Code] =
    &[PluginNotFound, NotFound, Conflict, PreconditionFailed, TooLarge, PreconditionRequired, DiskFull];
/// Making a draft live.
pub(super) const DRAFT_PUBLISH_FAULTS: &[Code] = &[
    PluginNotFound,
    NotFound,
    Conflict,
    PreconditionFailed,
    TooLarge,
    PluginLoadFailed,
    DiskFull,
    PreviewRequired,
];
/// Taking up a zip file.
pub(super) const UPLOAD_FAULTS: &[Code] = &[
    UnsupportedMediaType,
    Invalid,
    PluginExists,
    Conflict,
    PreconditionFailed,
    PluginLoadFailed,
    PreconditionRequired,
    DiskFull,
    PreviewRequired,
];
/// Changing a plugin's config.
pub(super) const CONFIG_FAULTS: &[Code] =
    &[PluginNotFound, ConfigNotFound, KeyExists, Conflict, Invalid, ConfigRefused, PluginUnavailable];
