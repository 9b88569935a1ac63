use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::lua::context::Mark;
use crate::net::Resolver;

use super::super::tests::Vm;

/// A server that answers by path, as bad as servers can be.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    while let Some((head, body)) = request(&mut stream) {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let answer = |text: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        let written = match path.split('?').next().unwrap_or_default() {
            "/endless" => {
                let head = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                let block = vec![b'x'; 1 << 16];
                while head.is_ok() && stream.write_all(&block).is_ok() {}
                return;
            }
            "/bomb.gz" => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                packed.write_all(&vec![0; 8 << 20]).unwrap();
                let packed = packed.finish().unwrap();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                    packed.len()
                );
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&packed))
            }
            "/slow" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
                while stream.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
                return;
            }
            "/to-loopback" => stream.write_all(
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            ),
            "/to-other" => stream.write_all(
                b"HTTP/1.1 302 Found\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n",
            ),
            "/round" => {
                stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n")
            }
            "/moved" => {
                stream.write_all(b"HTTP/1.1 303 See Other\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n")
            }
            _ => {
                let told = json!({"head": head, "body": String::from_utf8_lossy(&body)}).to_string();
                stream.write_all(answer(&told).as_bytes())
            }
        };
        if written.is_err() {
            return;
        }
    }
}

fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).ok().filter(|it| *it > 0)?;
        bytes.extend_from_slice(&part[..read]);
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|it| it.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            while bytes.len() < end + 4 + length.unwrap_or(0) {
                let read = stream.read(&mut part).ok().filter(|it| *it > 0)?;
                bytes.extend_from_slice(&part[..read]);
            }
            return Some((head, bytes[end + 4..].to_vec()));
        }
    }
}

/// Answers one address after another, as a name server that is led astray.
struct Turning(Vec<SocketAddr>, AtomicUsize);

impl Resolver for Turning {
    fn resolve(&self, _: &str) -> crate::net::Found {
        let at = self.1.fetch_add(1, Ordering::Relaxed).min(self.0.len() - 1);
        Box::pin(std::future::ready(Ok(vec![self.0[at]])))
    }
}

/// A VM that may reach `parts`, where `allowed.test` and `other.test` are the bad server.
fn vm(parts: serde_json::Value) -> Vm {
    vm_within(parts, 1500)
}

/// The same, whose requests have so many milliseconds.
fn vm_within(parts: serde_json::Value, wall_ms: u64) -> Vm {
    let address = server();
    Vm::with(json!({"http": parts}), |ctx, settings| {
        settings.http_hosts = vec![format!("allowed.test={address}"), format!("other.test={address}")];
        ctx.limits.http_wall_ms = wall_ms;
        ctx.limits.http_body_mib = 1;
    })
}

#[test]
fn requests_carry_what_they_were_given_and_answers_come_back_whole() {
    let vm = vm(json!(["allowed.test"]));
    vm.check(
        "local res = assert(panotti.http.post('http://allowed.test/echo?a=1', {
            json = { n = 1 }, query = { b = {'x', 'y z'} }, headers = { ['X-Own'] = 'yes' } }))
        assert(res.status == 200 and res.url == 'http://allowed.test/echo?a=1&b=x&b=y+z', res.url)
        local told = panotti.json.decode(res.body)
        assert(told.head:find('POST /echo?a=1&b=x&b=y+z HTTP/1.1', 1, true), told.head)
        assert(told.head:find('x-own: yes', 1, true) and told.head:find('content-type: application/json', 1, true))
        assert(told.body == '{\"n\":1}', told.body)
        res = assert(panotti.http.request{ url = 'http://allowed.test/moved', method = 'post', body = '\\0\\255' })
        told = panotti.json.decode(res.body)
        assert(told.head:find('GET /echo HTTP/1.1', 1, true) and told.body == '', told.head)
        assert(res.headers['content-length'] and res.url == 'http://allowed.test/echo')",
    );
    assert!(!vm.call.is_marked(Mark::Denied) && !vm.call.is_marked(Mark::Limit));
}

#[test]
fn misuse_raises_and_says_what_is_wrong() {
    vm(json!(["allowed.test"])).check(
        "local function fails(text, ...)
            local ok, err = pcall(...)
            assert(not ok and err:find(text, 1, true), tostring(err))
        end
        fails('is no address', panotti.http.get, 'allowed.test')
        fails('has an unknown key \\'header\\' (did you mean \\'headers\\'?)', panotti.http.get, 'http://allowed.test/', { header = {} })
        fails('has a name or text that HTTP does not allow', panotti.http.get, 'http://allowed.test/', { headers = { A = 'b\\r\\nHost: evil' } })
        fails('must not stand beside', panotti.http.post, 'http://allowed.test/', { json = 1, body = 'x' })
        fails('must be seconds above 0', panotti.http.get, 'http://allowed.test/', { timeout = -1 })
        fails('has a method that is not sent', panotti.http.request, { url = 'http://allowed.test/', method = 'CONNECT' })
        local res, err = panotti.http.get('http://allowed.test/', { headers = { Host = 'evil' } })
        assert(res == nil and err.code == 'request', err and err.message)",
    );
}

#[test]
fn what_is_not_granted_is_refused_whatever_it_is_called() {
    let shut = [
        "http://169.254.169.254/latest",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0.0.0.0:8080/",
        "http://[::ffff:127.0.0.1]/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://[fd00::1]/",
        "file:///etc/passwd",
        "http://127。0。0。1/",
        "http://localhost/",
        "http://elsewhere.test/",
    ];
    for url in shut {
        for parts in [json!(["allowed.test"]), json!(true)] {
            let everything = parts == json!(true);
            if everything && url.contains("elsewhere") {
                continue;
            }
            let vm = vm(parts);
            vm.check(&format!(
                "local ok, err = pcall(panotti.http.get, '{url}')
                assert(not ok and err:find('needs the permission \\'http:', 1, true), tostring(err))"
            ));
            assert!(vm.call.is_marked(Mark::Denied), "{url}");
        }
    }
}

#[test]
fn redirects_and_names_that_lead_into_the_own_network_are_refused() {
    let open = vm(json!(["allowed.test"]));
    open.check(
        "local res, err = panotti.http.get('http://allowed.test/to-loopback')
        assert(res == nil and err.code == 'denied' and err.message:find('127.0.0.1', 1, true), err and err.message)
        res, err = panotti.http.get('http://allowed.test/to-other')
        assert(res == nil and err.code == 'denied', 'another host')
        res, err = panotti.http.get('http://allowed.test/round')
        assert(res == nil and err.code == 'redirects', err and err.message)",
    );
    assert!(open.call.is_marked(Mark::Denied));
    let turning = Turning(
        vec!["93.184.216.34:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap()],
        AtomicUsize::new(1),
    );
    let vm = Vm::with(json!({"http": ["rebind.test"]}), |ctx, _| ctx.resolver = Arc::new(turning));
    vm.check(
        "local res, err = panotti.http.get('http://rebind.test/')
        assert(res == nil and err.code == 'denied', err and err.message)
        assert(err.message:find('rebind.test is at 127.0.0.1, a loopback address', 1, true), err.message)",
    );
    assert!(vm.call.is_marked(Mark::Denied));
}

#[test]
fn a_name_that_may_be_local_is_reached_there() {
    let address = server();
    let turning = Turning(vec![address], AtomicUsize::new(0));
    let part = format!("local:nas.home:{}", address.port());
    let vm = Vm::with(json!({"http": [part]}), |ctx, _| ctx.resolver = Arc::new(turning));
    vm.check(&format!("assert(panotti.http.get('http://nas.home:{}/').status == 200)", address.port()));
}

#[test]
fn answers_that_never_end_or_grow_without_end_meet_their_limit() {
    // What ends by its size has all the time that a busy machine may take for it.
    for (path, setting, wall_ms) in [
        ("endless", "limits.http_body_mib", 60_000),
        ("bomb.gz", "limits.http_body_mib", 60_000),
        ("slow", "limits.http_wall_ms", 1500),
    ] {
        let vm = vm_within(json!(["allowed.test"]), wall_ms);
        vm.check(&format!(
            "local res, err = panotti.http.get('http://allowed.test/{path}')
            assert(res == nil and err.code == 'limit' and err.message:find('{setting}', 1, true), err and err.message)"
        ));
        assert!(vm.call.is_marked(Mark::Limit));
        assert!(vm.call.noted().unwrap().contains(setting), "the log names the setting, too");
    }
    let vm = vm(json!(["allowed.test"]));
    vm.check(
        "local res, err = panotti.http.get('http://allowed.test/slow', { timeout = 0.2 })
        assert(res == nil and err.code == 'timeout', err and err.code)",
    );
    assert!(!vm.call.is_marked(Mark::Limit));
}

#[test]
fn many_requests_wait_for_their_turn() {
    let vm = vm(json!(["allowed.test"]));
    vm.check(
        "local all = {}
        for i = 1, 40 do all[i] = function() return panotti.http.get('http://allowed.test/' .. i).status end end
        for _, it in ipairs(all) do assert(it() == 200) end",
    );
}

#[test]
fn without_the_permission_the_functions_are_not_there() {
    let vm = Vm::new(json!({}));
    vm.check(
        "local ok, err = pcall(function() return panotti.http.get('http://allowed.test/') end)
        assert(not ok and err:find(\"panotti.http.get needs the permission 'http'\", 1, true), err)",
    );
    assert!(vm.call.is_marked(Mark::Denied));
}
