//! One page of a list.

use serde::Serialize;
use utoipa::ToSchema;

/// The largest page.
pub const MAX_PAGE_SIZE: i64 = 1000;
/// The page size when none is asked for.
pub const DEFAULT_PAGE_SIZE: i64 = 50;
/// Where a filtered list stops counting.
pub const COUNT_LIMIT: i64 = 10_000;

/// Which part of a list is wanted, as a window of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows to pass over.
    pub offset: i64,
    /// Rows to answer.
    pub limit: i64,
}

impl Default for Window {
    fn default() -> Self {
        Window { offset: 0, limit: DEFAULT_PAGE_SIZE }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Rows in all (or counted so far, when `total_is_more`).
    pub total: i64,
    /// There are more than `total` rows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub total_is_more: bool,
    /// This page, counted from 1.
    pub page: i64,
    /// Rows a page.
    pub page_size: i64,
    /// Pages in all.
    pub total_pages: i64,
}

impl<T> Page<T> {
    /// The page that `window` shows of a list with `total` rows.
    pub fn new(items: Vec<T>, total: i64, total_is_more: bool, window: Window) -> Self {
        let page_size = window.limit.max(1);
        Page {
            items,
            total,
            total_is_more,
            page: window.offset / page_size + 1,
            page_size,
            total_pages: (total + page_size - 1) / page_size,
        }
    }
}
