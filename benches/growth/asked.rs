//! What is asked of the server over every size.

use serde_json::{Value, json};

use super::library::{GAME, RARE_GAME, RARE_TAG, TAG, moment, recording_id};
use super::rig::server::Client;
use super::words::{COMMON, Chance, RARE};

/// What a kind of request is about: a panel of a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Clips,
    Filters,
    Sorts,
    Search,
    Journal,
    Told,
    Apart,
    Asked,
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Group::Clips => "clips",
            Group::Filters => "filters",
            Group::Sorts => "sorts",
            Group::Search => "search",
            Group::Journal => "journal",
            Group::Told => "told",
            Group::Apart => "apart",
            Group::Asked => "asked",
        }
    }
}

/// Method, path and body.
pub type Sent = (&'static str, String, String);

/// Makes the request of that number.
type Asks = Box<dyn Fn(&mut Chance, usize, &mut String) -> Sent>;

/// One kind of request.
pub struct Route {
    pub group: Group,
    pub name: &'static str,
    /// What is found out before, such as a place far into a list.
    pub prepare: fn(&mut Client, usize) -> String,
    pub request: Asks,
}

pub fn all() -> Vec<Route> {
    [clips(), filters(), sorts(), search(), journal(), told()].into_iter().flatten().collect()
}

fn clips() -> Vec<Route> {
    let any = |chance: &mut Chance, size: usize| chance.below(size as u64) + 1;
    vec![
        route(Group::Clips, "a clip", move |chance, size| {
            ("GET", format!("/api/v1/clips/{}", any(chance, size)), String::new())
        }),
        get(Group::Clips, "the first page", "/api/v1/clips"),
        Route {
            prepare: deep_page,
            ..kept(Group::Clips, "a page in the middle, by its link", |path| ("GET", path, String::new()))
        },
        route(Group::Clips, "the last page, by its number", |_, size| {
            ("GET", format!("/api/v1/clips?page={}", size / 50), String::new())
        }),
        route(Group::Clips, "a page in the middle, by its number", |_, size| {
            ("GET", format!("/api/v1/clips?page={}", size / 100), String::new())
        }),
        Route {
            prepare: last_page_of_game,
            ..kept(Group::Clips, "the last page of a game, by its number", |path| {
                ("GET", path, String::new())
            })
        },
        get(Group::Clips, "totals", "/api/v1/clips/stats"),
        route(Group::Clips, "a new clip", |chance, _| ("POST", "/api/v1/clips".to_owned(), new_clip(chance))),
        route(Group::Clips, "a change of a clip", move |chance, size| {
            let body = json!({ "title": chance.text(4), "tags": ["night"] }).to_string();
            ("PATCH", format!("/api/v1/clips/{}", any(chance, size)), body)
        }),
        get(Group::Clips, "the first page of recordings", "/api/v1/recordings"),
        route(Group::Clips, "a recording with clips and events", move |chance, size| {
            let id = recording_id(any(chance, size) as usize);
            ("GET", format!("/api/v1/recordings/{id}?include=clips,events"), String::new())
        }),
    ]
}

fn filters() -> Vec<Route> {
    let list = |name, query: String| get(Group::Filters, name, &format!("/api/v1/clips?{query}"));
    vec![
        list("a game with many clips", format!("game_name={}", spaced(GAME))),
        list("a game with few clips", format!("game_name={RARE_GAME}")),
        list("a tag with many clips", format!("tag={TAG}")),
        list("a tag with few clips", format!("tag={RARE_TAG}")),
        list("two tags with many clips", format!("tag={TAG}&tag=tag1")),
        list("completed ones", "status=completed".to_owned()),
        list("failed ones", "status=failed".to_owned()),
        list("those not processed", "processed=false".to_owned()),
        route(Group::Filters, "of a recording", |chance, size| {
            let id = recording_id(chance.below(size as u64) as usize + 1);
            ("GET", format!("/api/v1/clips?recording_id={id}"), String::new())
        }),
        route(Group::Filters, "of a tenth of all time", |_, size| {
            ("GET", format!("/api/v1/clips?{}", between(size, 0.4, 0.5)), String::new())
        }),
        route(Group::Filters, "of so short a time that there are 100", |_, size| {
            ("GET", format!("/api/v1/clips?{}", between(size, 0.4, 0.4 + 100.0 / size as f64)), String::new())
        }),
        list("a game and failed", format!("game_name={}&status=failed", spaced(GAME))),
        list("a game and a tag", format!("game_name={}&tag={TAG}", spaced(GAME))),
        route(Group::Filters, "a game in a tenth of all time", |_, size| {
            let path = format!("/api/v1/clips?game_name={}&{}", spaced(GAME), between(size, 0.4, 0.5));
            ("GET", path, String::new())
        }),
        route(Group::Filters, "a game in a tenth of all time, each time another", |chance, size| {
            // Nobody has counted this one before.
            let from = chance.below(900_000) as f64 / 1e6;
            let path =
                format!("/api/v1/clips?game_name={}&{}", spaced(GAME), between(size, from, from + 0.1));
            ("GET", path, String::new())
        }),
        list("a game, a tag, processing", format!("game_name={}&tag={TAG}&status=processing", spaced(GAME))),
    ]
}

fn sorts() -> Vec<Route> {
    let list = |name, query: &str| get(Group::Sorts, name, &format!("/api/v1/clips?{query}"));
    let game = spaced(GAME);
    vec![
        list("the oldest", "sort=created_at"),
        list("the last recorded", "sort=-recorded_at"),
        list("by title", "sort=title"),
        list("the longest", "sort=-duration"),
        list("the shortest", "sort=duration"),
        list("the longest of a game", &format!("sort=-duration&game_name={game}")),
        list("by title with a tag", &format!("sort=title&tag={TAG}")),
        list("the longest failed ones", "sort=-duration&status=failed"),
    ]
}

fn search() -> Vec<Route> {
    let list = |name, query: String| get(Group::Search, name, &format!("/api/v1/clips?{query}"));
    vec![
        list("a rare word", format!("q={RARE}")),
        list("a common word", format!("q={COMMON}")),
        list("a common word's beginning", format!("q={}", &COMMON[..4])),
        list("two letters", "q=ka".to_owned()),
        list("a common and a rare word", format!("q={COMMON}+{RARE}")),
        list("a common word of a game", format!("q={COMMON}&game_name={}", spaced(GAME))),
        list("a common word, failed", format!("q={COMMON}&status=failed")),
        list("a common word with a tag", format!("q={COMMON}&tag={TAG}")),
        list("a common word, the longest first", format!("q={COMMON}&sort=-duration")),
        list("a word that is not there", "q=qqqqqq".to_owned()),
    ]
}

fn journal() -> Vec<Route> {
    let list = |name, query: &str| get(Group::Journal, name, &format!("/api/v1/events?{query}"));
    vec![
        list("the first page", ""),
        list("the newest", "order=desc"),
        route(Group::Journal, "a page in the middle", |_, size| {
            ("GET", format!("/api/v1/events?after={}", size / 2), String::new())
        }),
        list("of a common type", "type=clip.created&order=desc"),
        list("of a rare type", "type=season.ended"),
        list("of types by a pattern", "type=clip.*&order=desc"),
        route(Group::Journal, "about a subject", |chance, size| {
            let id = chance.below(size as u64) + 1;
            ("GET", format!("/api/v1/events?subject=clip/{id}"), String::new())
        }),
        route(Group::Journal, "of a type in a tenth of all time", |_, size| {
            let path = format!("/api/v1/events?type=clip.created&{}", between(size, 0.4, 0.5));
            ("GET", path, String::new())
        }),
        Route {
            prepare: some_event,
            ..kept(Group::Journal, "an event with its deliveries", |id| {
                ("GET", format!("/api/v1/events/{id}"), String::new())
            })
        },
        get(Group::Journal, "the types", "/api/v1/events/types"),
        get(Group::Journal, "the journal in numbers", "/api/v1/events/stats"),
    ]
}

fn told() -> Vec<Route> {
    let event = |kind: &str, chance: &mut Chance| {
        json!({ "type": kind, "subject": format!("thing/{}", chance.below(1_000)), "data": { "n": 1 } })
            .to_string()
    };
    vec![
        route(Group::Told, "an event that nobody wants", move |chance, _| {
            ("POST", "/api/v1/events".to_owned(), event("bench.unheard", chance))
        }),
        route(Group::Told, "an event until it is acknowledged", move |chance, _| {
            ("POST", "/api/v1/events?wait=5".to_owned(), event("bench.told", chance))
        }),
    ]
}

/// A body like those of clients.
pub fn new_clip(chance: &mut Chance) -> String {
    json!({
        "title": chance.text(4), "file_path": "/srv/clips/new.mp4", "game_name": format!("Game {}", chance.low(40)),
        "duration": 45.5, "resolution": "1920x1080", "fps": 60, "tags": ["ace", "tag0"], "description": chance.text(12),
    })
    .to_string()
}

fn route(group: Group, name: &'static str, request: impl Fn(&mut Chance, usize) -> Sent + 'static) -> Route {
    let request = Box::new(move |chance: &mut Chance, size: usize, _: &mut String| request(chance, size));
    Route { group, name, prepare: |_, _| String::new(), request }
}

/// The same request every time.
fn get(group: Group, name: &'static str, path: &str) -> Route {
    let path = path.to_owned();
    route(group, name, move |_, _| ("GET", path.clone(), String::new()))
}

/// A request that is made of what was found out before.
fn kept(group: Group, name: &'static str, request: fn(String) -> Sent) -> Route {
    let request = Box::new(move |_: &mut Chance, _: usize, prepared: &mut String| request(prepared.clone()));
    Route { group, name, prepare: |_, _| String::new(), request }
}

/// The path of the page that the link of one in the middle leads to.
fn deep_page(client: &mut Client, size: usize) -> String {
    let (_, page) = client.get(&format!("/api/v1/clips?page={}", size / 100));
    let page: Value = serde_json::from_slice(&page).unwrap();
    let last = page["items"].as_array().unwrap().last().unwrap()["id"].as_i64().unwrap();
    format!("/api/v1/clips?page={}&after={last}", size / 100 + 1)
}

/// The path of the last page of a game.
fn last_page_of_game(client: &mut Client, _: usize) -> String {
    let path = format!("/api/v1/clips?game_name={}", spaced(GAME));
    let (_, page) = client.get(&path);
    let page: Value = serde_json::from_slice(&page).unwrap();
    format!("{path}&page={}", page["total_pages"])
}

/// The id of an event in the middle of the journal.
fn some_event(client: &mut Client, size: usize) -> String {
    let (_, page) = client.get(&format!("/api/v1/events?after={}&limit=1", size / 2));
    let page: Value = serde_json::from_slice(&page).unwrap();
    page["items"][0]["id"].as_str().unwrap().to_owned()
}

/// The time between two parts of the library as a query.
fn between(size: usize, from: f64, to: f64) -> String {
    let at = |part: f64| moment((size as f64 * part) as usize).to_string();
    format!("from={}&to={}", at(from), at(to))
}

fn spaced(text: &str) -> String {
    text.replace(' ', "%20")
}
