//! Files that plugins keep, folders an admin opens to them, and programs they may run.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Server;

fn clip(server: &Server) -> Value {
    server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201)["metadata"].clone()
}

#[test]
fn a_plugin_keeps_files_that_survive_a_restart_and_go_with_a_purge() {
    let source = r#"panotti.on.on_clip_captured(function()
      local before = panotti.fs.read("log/seen.txt")
      assert(panotti.fs.append("log/seen.txt", "x"))
      assert(panotti.fs.write("state.bin", "\0\255"))
      local names = {}
      for _, it in panotti.fs.list("log") do table.insert(names, it.name .. ":" .. it.size) end
      local none, err = panotti.fs.read("nothing")
      return { metadata = { before = before, names = names, state = #panotti.fs.read("state.bin"), none = err.code } }
    end)"#;
    let server = Server::with().plugin("keeper", source).start();
    assert_eq!(clip(&server), json!({"names": ["seen.txt:1"], "state": 2, "none": "not_found"}));
    let server = server.kill_and_restart();
    assert_eq!(clip(&server)["before"], "x");
    let status = server.get("/api/v1/plugins/keeper/status").expect(200);
    let files =
        status["quotas"].as_array().unwrap().iter().find(|it| it["name"] == "files").cloned().unwrap();
    assert_eq!((&files["used"], &files["limit"]), (&json!(3), &json!(10_000)));
    let own = server.folder().join("data/plugins/keeper/files");
    assert!(own.join("log/seen.txt").exists());
    server.delete("/api/v1/plugins/keeper?purge=true").expect(204);
    assert!(!own.exists());
}

#[test]
fn other_folders_are_shut_until_they_are_granted_and_links_never_lead_out() {
    let source = r#"local function try(fn, ...)
        local ok, value, err = pcall(fn, ...)
        if not ok then return "raised" end
        return value ~= nil and tostring(value) or err.code
      end
      panotti.on.on_clip_captured(function()
        return { metadata = {
          recording = try(panotti.fs.read, "recordings:a.txt"), write = try(panotti.fs.write, "recordings:a.txt", "y"),
          outside = try(panotti.fs.read, "OUTSIDE/in.txt"), above = try(panotti.fs.read, "OUTSIDE/../secret"),
          dots = try(panotti.fs.read, "../../../../etc/passwd"), link = try(panotti.fs.read, "link/secret"),
        } }
      end)"#;
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("in.txt"), "in").unwrap();
    std::fs::write(folder.path().join("secret"), "s").unwrap();
    let outside = outside.display().to_string();
    let server = Server::with()
        .plugin("reader", &source.replace("OUTSIDE", &outside))
        .plugin_file(
            "reader",
            "plugin.yaml",
            &format!("permissions: {{ fs: ['recordings:read', '{outside}:read'] }}"),
        )
        .start();
    let recordings = server.folder().join("data/recordings");
    std::fs::create_dir_all(&recordings).unwrap();
    std::fs::write(recordings.join("a.txt"), "a").unwrap();
    let own = server.folder().join("data/plugins/reader/files");
    std::fs::create_dir_all(&own).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), own.join("link")).unwrap();
    let shut = json!({"recording": "raised", "write": "raised", "outside": "raised", "above": "raised", "dots": "raised", "link": "denied"});
    assert_eq!(clip(&server), shut);
    server.post("/api/v1/plugins/reader/grants", json!({"all": true})).expect(200);
    let open = json!({"recording": "a", "write": "raised", "outside": "in", "above": "raised", "dots": "raised", "link": "denied"});
    assert_eq!(clip(&server), open);
}

#[test]
fn a_program_runs_once_it_is_named_and_granted() {
    let source = r#"panotti.on.on_clip_captured(function()
        local ok, ended, err = pcall(function()
          return panotti.process.run("shout", { "a-z", "A-Z" }, { stdin = "hello $(id)" })
        end)
        if not ok then return { metadata = { why = ended } } end
        if not ended then return { metadata = { code = err.code } } end
        assert(panotti.process.run("shout", { "a", "A" }, { timeout = 25 }).code == 0, "whole seconds are seconds")
        local _, gone = panotti.process.run("gone")
        assert(gone.code == "no_such_tool" and string.find(gone.message, "/nowhere/at/all", 1, true), gone.message)
        local ok, typo = pcall(panotti.process.run, "shout", {}, { timout = 1 })
        assert(not ok and string.find(typo, "did you mean 'timeout'", 1, true), typo)
        for _, holed in { { "-i", nil, "out.wav" }, { title = "x" }, { "a", b = "c" } } do
          local ok, why = pcall(panotti.process.run, "shout", holed)
          assert(not ok and string.find(why, "a list without holes and names", 1, true), why)
        end
        local _, slow = panotti.process.run("wait", { "30" }, { timeout = 0.2 })
        local other, unknown = pcall(panotti.process.run, "other")
        return { metadata = { out = ended.stdout, code = ended.code, slow = slow.code, other = unknown } }
      end, { timeout = 5 })"#;
    let server = Server::with()
        .plugin("runner", source)
        .plugin_file(
            "runner",
            "plugin.yaml",
            "permissions: { process: [shout, wait, gone] }\nlimits: { question_wall_ms: 10000 }",
        )
        .env("PANOTTI_PROCESS_TOOLS", "shout=/usr/bin/tr,wait=/bin/sleep,gone=/nowhere/at/all")
        .env("PANOTTI_CHAIN_WALL_MS", 10_000)
        .start();
    assert!(clip(&server)["why"].as_str().unwrap().contains("needs the permission 'process'"));
    server.post("/api/v1/plugins/runner/grants", json!({"all": true})).expect(200);
    let ran = clip(&server);
    assert_eq!(
        (&ran["out"], &ran["code"], &ran["slow"]),
        (&json!("HELLO $(ID)"), &json!(0), &json!("timeout"))
    );
    assert!(ran["other"].as_str().unwrap().contains("needs the permission 'process:other'"), "{ran}");
}

/// A plugin whose programs are shells.
fn shells(init: &str, limits: &str) -> crate::common::server::Builder {
    Server::with()
        .plugin("sheller", init)
        .plugin_file(
            "sheller",
            "plugin.yaml",
            &format!("permissions: {{ process: [sh] }}\nlimits: {{ {limits} }}"),
        )
        .env("PANOTTI_PROCESS_TOOLS", "sh=/bin/sh")
        .env("PANOTTI_CHAIN_WALL_MS", 30_000)
}

#[test]
fn a_stop_leaves_no_program_behind_that_ignores_sigterm() {
    let source = r#"panotti.on.on_clip_captured(function()
        panotti.task.spawn(function()
          local script = "trap '' TERM; echo $$ > new && mv new pid; while true; do sleep 1; done"
          panotti.process.run("sh", { "-c", script })
        end)
      end)"#;
    let mut server = shells(source, "").env("PANOTTI_SHUTDOWN_S", 2).start();
    server.post("/api/v1/plugins/sheller/grants", json!({"all": true})).expect(200);
    clip(&server);
    let file = server.folder().join("data/plugins/sheller/files/pid");
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < end, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait("it does not start", &|| file.exists());
    let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let lives = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie is dead; whoever has inherited it may be slow to notice.
        !status.is_empty() && !status.contains(") Z ")
    };
    assert!(lives());
    server.stop();
    wait("it goes on", &|| !lives());
}

#[test]
fn no_more_programs_of_a_plugin_run_at_once_than_it_may_whatever_vm_wants_them() {
    let init = r#"panotti.on.on_clip_captured(function()
        local function one() return assert(panotti.task.run("lib.tool.run")) end
        return { metadata = { at_once = { panotti.task.gather(one, one, one, one, require("lib.tool").run) } } }
      end, { timeout = 25 })"#;
    // Each tells how many there are while it runs.
    let tool = r#"return { run = function()
        local script = "mkdir run.$$; sleep 0.3; ls -d run.* | wc -l; sleep 0.3; rmdir run.$$"
        return tonumber(panotti.process.run("sh", { "-c", script }).stdout)
      end }"#;
    let limits = "processes: 2, question_wall_ms: 25000, max_concurrent_tasks: 4";
    let server = shells(init, limits).plugin_file("sheller", "lib/tool.lua", tool).start();
    server.post("/api/v1/plugins/sheller/grants", json!({"all": true})).expect(200);
    let at_once: Vec<u64> = serde_json::from_value(clip(&server)["at_once"].clone()).unwrap();
    assert!(at_once.len() == 5 && at_once.iter().all(|it| (1..=2).contains(it)), "{at_once:?}");
}

#[test]
fn what_a_program_wrote_counts_also_when_nobody_waited_for_its_end() {
    let init = r#"panotti.on.on_clip_captured(function()
        panotti.fs.write("seed", "x")
        local program = panotti.task.spawn(function()
          panotti.process.run("sh", { "-c", "head -c 1000000 /dev/zero > big; touch done; sleep 60" })
        end)
        while not panotti.fs.stat("done") do panotti.sleep(0.05) end
        program:cancel()
        panotti.sleep(3)
        assert(panotti.fs.write("more", "x"))
      end, { timeout = 25 })"#;
    let server = shells(init, "question_wall_ms: 25000").start();
    server.post("/api/v1/plugins/sheller/grants", json!({"all": true})).expect(200);
    clip(&server);
    let status = server.get("/api/v1/plugins/sheller/status").expect(200);
    let quotas = status["quotas"].as_array().unwrap();
    let bytes = quotas.iter().find(|it| it["name"] == "file_bytes").unwrap();
    assert_eq!(bytes["used"], json!(1_000_002), "{status}");
}

#[test]
fn what_a_plugin_hands_over_is_held_to_its_memory() {
    let source = r#"panotti.on.on_clip_captured(function()
      local text, refused, why = string.rep("x", 2 ^ 20), 0, nil
      local tasks = {}
      for i = 1, 100 do
        tasks[i] = panotti.task.spawn(function()
          local ok, err = pcall(panotti.fs.write, "f" .. i % 4, text)
          if not ok then refused += 1 why = err end
        end)
      end
      for _, task in tasks do task:join() end
      return { metadata = { refused = refused, why = why } }
    end, { timeout = 10 })"#;
    let limits = "limits: { memory_mib: 16, question_wall_ms: 10000 }";
    let server = Server::with()
        .plugin("copier", source)
        .plugin_file("copier", "plugin.yaml", limits)
        .env("PANOTTI_CHAIN_WALL_MS", 10_000)
        .start();
    assert!(clip(&server)["why"].as_str().unwrap().contains("limits.memory_mib = 16"));
    let status = server.get("/api/v1/plugins/copier/status").expect(200);
    let quotas = status["quotas"].as_array().unwrap();
    let held = quotas.iter().find(|it| it["name"] == "held_bytes").unwrap();
    assert_eq!((held["limit"].as_u64(), held["used"].as_u64()), (Some(16 << 20), Some(0)), "{held}");
    assert!(held["peak"].as_u64() <= Some(16 << 20) && held["refused"].as_u64() > Some(0), "{held}");
}
