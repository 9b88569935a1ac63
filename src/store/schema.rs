//! The tables as the migrations leave them, in the form that `diesel print-schema` writes.

diesel::table! {
    recordings (id) {
        id -> Text,
        title -> Nullable<Text>,
        status -> Text,
        started_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        duration -> Nullable<Double>,
        start_missing -> Bool,
        metadata -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        version -> BigInt,
        sent_start -> Nullable<Text>,
        sent_end -> Nullable<Text>,
    }
}

diesel::table! {
    tracks (recording_id, name) {
        recording_id -> Text,
        name -> Text,
        path -> Text,
        origin -> Text,
        state -> Text,
        size -> BigInt,
        duration -> Nullable<Double>,
        codec -> Nullable<Text>,
        sample_rate -> Nullable<Integer>,
        channels -> Nullable<Integer>,
        sha256 -> Nullable<Text>,
        probe_error -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    clips (id) {
        id -> BigInt,
        title -> Text,
        file_path -> Text,
        recording_id -> Nullable<Text>,
        description -> Nullable<Text>,
        game_name -> Nullable<Text>,
        game_id -> Nullable<Text>,
        tags -> Text,
        metadata -> Text,
        file_size -> Nullable<BigInt>,
        duration -> Nullable<Double>,
        resolution -> Nullable<Text>,
        fps -> Nullable<Double>,
        codec -> Nullable<Text>,
        recorded_at -> Nullable<BigInt>,
        processed -> Bool,
        processing_status -> Text,
        provenance -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        owns_file -> Bool,
        version -> BigInt,
    }
}

diesel::table! {
    events (seq) {
        seq -> BigInt,
        id -> Text,
        kind -> Text,
        source -> Text,
        subject -> Nullable<Text>,
        time -> BigInt,
        data -> Text,
        correlation_id -> Text,
        causation_id -> Nullable<Text>,
        priority -> SmallInt,
        depth -> SmallInt,
        expires_at -> Nullable<BigInt>,
        plugins -> Nullable<Text>,
        traceparent -> Nullable<Text>,
    }
}

diesel::table! {
    deliveries (id) {
        id -> BigInt,
        event_seq -> BigInt,
        subscriber -> Text,
        hook -> Nullable<Text>,
        subject -> Nullable<Text>,
        rank -> SmallInt,
        replay -> Bool,
        replay_id -> Nullable<BigInt>,
        state -> Text,
        attempts -> Integer,
        crashes -> Integer,
        epoch -> Nullable<BigInt>,
        next_at -> BigInt,
        last_error -> Nullable<Text>,
        created_at -> BigInt,
        began_at -> Nullable<BigInt>,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    plugins (id) {
        id -> BigInt,
        name -> Text,
        display_name -> Nullable<Text>,
        description -> Nullable<Text>,
        version -> Nullable<Text>,
        author -> Nullable<Text>,
        plugin_type -> Text,
        entry_point -> Nullable<Text>,
        install_path -> Nullable<Text>,
        enabled -> Nullable<Bool>,
        registered -> Bool,
        metadata -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        version_count -> BigInt,
    }
}

diesel::table! {
    plugin_configurations (id) {
        id -> BigInt,
        plugin_id -> BigInt,
        key -> Text,
        value -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    plugin_assets (plugin, name) {
        plugin -> Text,
        name -> Text,
        mime -> Text,
        sha256 -> Text,
        size -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    plugin_versions (id) {
        id -> BigInt,
        plugin_id -> BigInt,
        number -> BigInt,
        hash -> Text,
        generation -> BigInt,
        origin -> Text,
        author -> Text,
        note -> Nullable<Text>,
        at -> BigInt,
        restores -> Nullable<BigInt>,
        files -> BigInt,
        bytes -> BigInt,
        rolled_back_at -> Nullable<BigInt>,
        rolled_back_why -> Nullable<Text>,
    }
}

diesel::table! {
    plugin_blobs (hash) {
        hash -> Text,
        size -> BigInt,
        deflated -> Bool,
        bytes -> Binary,
    }
}

diesel::table! {
    plugin_version_files (version_id, path) {
        version_id -> BigInt,
        path -> Text,
        blob -> Text,
    }
}

diesel::table! {
    event_schemas (kind) {
        kind -> Text,
        schema -> Text,
        updated_by -> Text,
        updated_at -> BigInt,
    }
}

diesel::table! {
    plugin_grants (plugin) {
        plugin -> Text,
        permissions -> Text,
        manifest_hash -> Text,
        granted_by -> Text,
        granted_at -> BigInt,
    }
}

diesel::table! {
    plugin_kv (plugin, key) {
        plugin -> Text,
        key -> Text,
        value -> Text,
        expires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    plugin_once (plugin, id) {
        plugin -> Text,
        id -> Text,
        result -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    schedules (id) {
        id -> BigInt,
        plugin -> Text,
        name -> Text,
        kind -> Text,
        when_text -> Text,
        tz -> Text,
        missed -> Text,
        overlap -> Text,
        paused -> Bool,
        next_at -> BigInt,
        skipped -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    schedule_runs (id) {
        id -> BigInt,
        schedule_id -> BigInt,
        cause -> Text,
        scheduled_at -> BigInt,
        started_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        outcome -> Text,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    plugin_tasks (id) {
        id -> BigInt,
        plugin -> Text,
        recording_id -> Text,
        task -> Text,
        status -> Text,
        inputs -> Text,
        outputs -> Text,
        error -> Nullable<Text>,
        started_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    tokens (id) {
        id -> Text,
        secret_hash -> Text,
        name -> Text,
        scopes -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        rate_requests -> Nullable<BigInt>,
        rate_per_s -> Nullable<BigInt>,
    }
}

diesel::table! {
    uploads (id) {
        id -> Text,
        recording_id -> Text,
        track -> Text,
        replaces -> Bool,
        content_type -> Nullable<Text>,
        metadata -> Text,
        length -> BigInt,
        received -> BigInt,
        path -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
        expires_at -> BigInt,
        completed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    audit (id) {
        id -> BigInt,
        at -> BigInt,
        actor -> Text,
        action -> Text,
        subject -> Nullable<Text>,
        detail -> Text,
        actor_name -> Nullable<Text>,
        request_id -> Nullable<Text>,
        outcome -> Text,
    }
}

diesel::table! {
    idempotency (key) {
        key -> Text,
        fingerprint -> Text,
        status -> SmallInt,
        answer -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    counters (name) {
        name -> Text,
        value -> BigInt,
    }
}

diesel::table! {
    webhooks (id) {
        id -> Text,
        name -> Text,
        url -> Text,
        events -> Text,
        filter -> Nullable<Text>,
        enabled -> Bool,
        disabled_reason -> Nullable<Text>,
        timeout_s -> BigInt,
        failing_since -> Nullable<BigInt>,
        secret -> Text,
        old_secret -> Nullable<Text>,
        old_secret_until -> Nullable<BigInt>,
        created_at -> BigInt,
        created_by -> Text,
        updated_at -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    webhook_attempts (id) {
        id -> BigInt,
        webhook -> Text,
        event_id -> Text,
        event_type -> Text,
        kind -> Text,
        attempt -> BigInt,
        at -> BigInt,
        duration_ms -> BigInt,
        status -> Nullable<BigInt>,
        error -> Nullable<Text>,
        answer -> Nullable<Text>,
    }
}

diesel::table! {
    replays (id) {
        id -> BigInt,
        state -> Text,
        selection -> Text,
        subscriber -> Nullable<Text>,
        asked_by -> Text,
        cursor -> BigInt,
        until -> BigInt,
        matched -> BigInt,
        queued -> BigInt,
        done -> BigInt,
        failed -> BigInt,
        created_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    backfills (plugin, pattern) {
        plugin -> Text,
        pattern -> Text,
        replay_id -> BigInt,
    }
}

diesel::table! {
    clip_tags (tag, clip_id) {
        tag -> Text,
        clip_id -> BigInt,
    }
}

diesel::table! {
    event_kinds (kind, block) {
        kind -> Text,
        block -> BigInt,
    }
}

diesel::table! {
    traces (number) {
        number -> BigInt,
        plugin -> Text,
        hook -> Text,
        generation -> BigInt,
        at -> BigInt,
        took_us -> BigInt,
        outcome -> Text,
        kept -> Text,
        request_id -> Nullable<Text>,
        subject -> Nullable<Text>,
        message -> Nullable<Text>,
        bytes -> BigInt,
        body -> Text,
    }
}

diesel::joinable!(plugin_version_files -> plugin_blobs (blob));

diesel::allow_tables_to_appear_in_same_query!(
    recordings,
    tracks,
    clips,
    events,
    deliveries,
    replays,
    backfills,
    event_schemas,
    plugins,
    plugin_configurations,
    plugin_assets,
    plugin_grants,
    plugin_kv,
    plugin_once,
    schedules,
    schedule_runs,
    plugin_tasks,
    plugin_versions,
    plugin_version_files,
    plugin_blobs,
    tokens,
    uploads,
    audit,
    idempotency,
    counters,
    webhooks,
    webhook_attempts,
    clip_tags,
    event_kinds,
    traces,
);
