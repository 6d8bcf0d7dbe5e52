//! Components whose code is written by hand, instruction by instruction: what no compiler would make. Their types are
//! those of any other guest, so that they load.

use std::path::PathBuf;

/// The types of a listener, and what a crafted guest may import besides: all of it as a component of any language has it.
const TYPES: &str = r#"
    (import "sandbus:bus/types@0.1.0" (instance $types
        (type $value' (variant
            (case "text" string) (case "boolean" bool) (case "integer" s64) (case "float" f64) (case "bytes" (list u8))))
        (export "value" (type $value (eq $value')))
        (type $message' (record
            (field "destination" string) (field "content-type" (option string)) (field "payload" (list u8))
            (field "reply-expected" bool)))
        (export "message" (type $message (eq $message')))
        (type $reply' (record
            (field "payload" (list u8)) (field "content-type" (option string))
            (field "values" (list (tuple string $value)))))
        (export "reply" (type $reply (eq $reply')))
        (type $options' (record
            (field "priority" (option u8)) (field "deliver-after-ms" (option u64)) (field "expires-after-ms" (option u64))
            (field "ordering-key" (option string)) (field "dedup-key" (option string))))
        (export "send-options" (type $options (eq $options')))
        (type $outgoing' (record
            (field "payload" (list u8)) (field "content-type" (option string))
            (field "values" (list (tuple string $value))) (field "response-destination" (option string))
            (field "response-id" (option string)) (field "options" (option $options))))
        (export "outgoing" (type $outgoing (eq $outgoing')))
        (type $advice' (record (field "reason" string) (field "after-ms" (option u32))))
        (export "retry-advice" (type $advice (eq $advice')))
        (type $failure' (variant (case "refused" string) (case "retry" $advice)))
        (export "failure" (type $failure (eq $failure')))
        (type $unit' (enum "messages" "bytes"))
        (export "queue-unit" (type $unit (eq $unit')))
        (type $full' (record (field "pending" u64) (field "pending-max" u64) (field "unit" $unit)))
        (export "queue-full" (type $full (eq $full')))
        (type $large' (record (field "message-bytes" u64) (field "message-bytes-max" u64)))
        (export "too-large" (type $large (eq $large')))
        (type $error' (variant
            (case "no-such-destination") (case "no-listener") (case "queue-full" $full) (case "closed") (case "paused")
            (case "denied") (case "too-large" $large) (case "hops-exceeded") (case "invalid" string) (case "busy")
            (case "limit-reached" string) (case "other" string)))
        (export "send-error" (type $error (eq $error')))))
    (alias export $types "value" (type $value))
    (alias export $types "message" (type $message))
    (alias export $types "reply" (type $reply))
    (alias export $types "failure" (type $failure))
    (alias export $types "outgoing" (type $outgoing))
    (alias export $types "send-error" (type $error))
    (import "sandbus:bus/current-message@0.1.0" (instance $current
        (alias outer 1 $value (type $value))
        (export "get-value" (func (param "key" string) (result (option $value))))))
    (import "sandbus:bus/message-bus@0.1.0" (instance $bus
        (alias outer 1 $outgoing (type $outgoing))
        (alias outer 1 $error (type $error))
        (export "send" (func
            (param "destination" string) (param "message" $outgoing) (result (result string (error $error)))))))
    (import "wasi:random/random@0.2.6" (instance $random (export "get-random-u64" (func (result u64)))))
    (import "wasi:io/poll@0.2.6" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
        (alias outer 1 $pollable (type $pollable'))
        (export "pollable" (type $pollable (eq $pollable')))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
"#;

/// A memory, and an allocator that lies about allocations of 101 to 103 bytes: outside of memory, never, not at all.
const MEMORY: &str = r#"
    (core module $memory
        (memory (export "memory") 4)
        (global $free (export "free") (mut i32) (i32.const 65536))
        (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
            (local $at i32)
            (if (i32.eq (local.get $size) (i32.const 101)) (then (return (i32.const 0xfffffff0))))
            (if (i32.eq (local.get $size) (i32.const 102)) (then (loop (br 0))))
            (if (i32.eq (local.get $size) (i32.const 103)) (then unreachable))
            (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
            (global.set $free (i32.add (local.get $at) (local.get $size)))
            (local.get $at)))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $in_memory))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $get_value (canon lower (func $current "get-value") (memory $in_memory) (realloc $realloc)))
    (core func $send (canon lower (func $bus "send") (memory $in_memory) (realloc $realloc)))
    (core func $random_number (canon lower (func $random "get-random-u64")))
    (core func $after (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
"#;

/// Where `receive` puts what it answers: 36 bytes, all zero when a call begins, which is done without a reply.
pub(crate) const ANSWER: u32 = 64;

/// A listener of this name whose `receive` does what stands behind the first letter of the payload, as text of WebAssembly
/// that may use `$payload` and `$length`. `e` echoes what stands behind the first five bytes, so that it can serve a good
/// message too. `more` are fields of the module.
pub(crate) fn listener(name: &str, acts: &[(char, &str)], more: &str) -> PathBuf {
    let acts: String = acts
        .iter()
        .map(|(letter, body)| {
            format!("(if (i32.eq (local.get $what) (i32.const {})) (then {body}))\n", *letter as u32)
        })
        .collect();
    let text = format!(
        r#"(component {TYPES} {MEMORY}
            (core module $guest
                (import "memory" "memory" (memory 4))
                (import "memory" "free" (global $free (mut i32)))
                (import "host" "get-value" (func $get_value (param i32 i32 i32)))
                (import "host" "send" (func $send (param i32 i32)))
                (import "host" "random" (func $random (result i64)))
                (import "host" "after" (func $after (param i64) (result i32)))
                (import "host" "block" (func $block (param i32)))
                (global $afterwards (mut i32) (i32.const 0))
                (func (export "receive")
                    (param i32 i32 i32 i32 i32) (param $payload i32) (param $length i32) (param i32) (result i32)
                    (local $what i32)
                    (memory.fill (i32.const {ANSWER}) (i32.const 0) (i32.const 36))
                    (global.set $free (i32.const 65536))
                    (local.set $what (i32.load8_u (local.get $payload)))
                    (if (i32.eq (local.get $what) (i32.const 101)) (then
                        (i32.store8 (i32.const 68) (i32.const 1))
                        (i32.store (i32.const 72) (i32.add (local.get $payload) (i32.const 5)))
                        (i32.store (i32.const 76) (i32.sub (local.get $length) (i32.const 5)))))
                    {acts}
                    (i32.const {ANSWER}))
                (func (export "afterwards") (param i32)
                    (if (i32.eq (global.get $afterwards) (i32.const 1)) (then unreachable))
                    (if (i32.eq (global.get $afterwards) (i32.const 2)) (then (loop (br 0))))
                    (if (i32.eq (global.get $afterwards) (i32.const 3))
                        (then (call $get_value (i32.const 300) (i32.const 1) (i32.const 1024)))))
                (data (i32.const 200) "\ff\fe\ed\a0\80")
                (data (i32.const 300) "k")
                {more})
            (core instance $guest (instantiate $guest
                (with "memory" (instance $memory))
                (with "host" (instance
                    (export "get-value" (func $get_value)) (export "send" (func $send))
                    (export "random" (func $random_number)) (export "after" (func $after))
                    (export "block" (func $block))))))
            (func $receive (param "message" $message) (result (result (option $reply) (error $failure)))
                (canon lift (core func $guest "receive") (memory $in_memory) (realloc $realloc)
                    (post-return (core func $guest "afterwards"))))
            (instance $listener (export "receive" (func $receive)))
            (export "sandbus:bus/message-listener@0.1.0" (instance $listener)))"#
    );
    let component = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    // Tests that run side by side write the same bytes; none of them may read half of them.
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (path, part) =
        (directory.join(format!("{name}.wasm")), directory.join(format!("{name}-{}", unique())));
    std::fs::write(&part, component).and_then(|()| std::fs::rename(&part, &path)).expect("a file");
    path
}

fn unique() -> String {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}
